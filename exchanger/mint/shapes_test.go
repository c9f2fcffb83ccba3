// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// grantOf is a grant as a decision would make it, of a token that is no access token.
func grantOf(kind policy.TokenType) *policy.Grant {
	return &policy.Grant{
		TokenService: service, Issuer: issuer, ClientID: "shop/app", Audiences: []string{"shop.internal"}, TokenType: kind,
		Subject:  &policy.Token{Subject: "corp:alice", ACR: "urn:mfa", AMR: []string{"pwd", "otp"}, AuthTime: 1893490000, MayAct: claims{"sub": "x"}},
		IssuedAt: start().Truncate(time.Second), ExpiresAt: start().Truncate(time.Second).Add(time.Minute), Scopes: []string{"show", "print"},
		Act: claims{"sub": "agent", "act": claims{"sub": "first"}}, Impersonator: &policy.Impersonator{Issuer: "i", Subject: "s", ClientID: "c", Grant: "g"},
		Confirmation: policy.Confirmation{JKT: "thumb", X5T: "print"}, Claims: []policy.GrantedClaim{{Name: "quota", Value: int64(7)}},
		Transaction: &policy.Transaction{Details: claims{"a": claims{"b": int64(1)}}, Context: claims{"ip": "x"}, Workloads: []string{"first", "shop/app"}},
		IDJAG:       &policy.IDJAG{Audience: "https://other.example", ClientID: "our-app", Resources: []string{"https://api.other.example"}},
		TokenBytes:  8192,
	}
}

func TestTokensThatAreNoAccessTokensSayWhatWasGranted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   policy.TokenType
		change func(*policy.Grant)
		typ    string
		want   string
		claims claims
	}{
		"KC-44: an ID-JAG": {
			policy.TypeIDJAG, nil, "oauth-id-jag+jwt",
			"acr act amr aud auth_time client_id cnf exp iat impersonator iss jti may_act quota resource scope sub",
			claims{"aud": "https://other.example", "client_id": "our-app", "resource": "https://api.other.example", "scope": "show print"},
		},
		"KC-44: an ID-JAG of little": {policy.TypeIDJAG, func(g *policy.Grant) {
			g.Subject, g.Act, g.Impersonator, g.Claims, g.Scopes = &policy.Token{Subject: "corp:alice"}, nil, nil, nil, nil
			g.Confirmation, g.IDJAG.Resources = policy.Confirmation{}, nil
		}, "oauth-id-jag+jwt", "aud client_id exp iat iss jti sub", claims{"sub": "corp:alice"}},
		"an ID-JAG for two resources": {
			policy.TypeIDJAG, func(g *policy.Grant) { g.IDJAG.Resources = []string{"a", "b"} }, "oauth-id-jag+jwt",
			"acr act amr aud auth_time client_id cnf exp iat impersonator iss jti may_act quota resource scope sub",
			claims{"resource": []any{"a", "b"}},
		},
		"a transaction token": {
			policy.TypeTransaction, nil, "txntoken+jwt",
			"acr act amr aud auth_time cnf exp iat impersonator iss jti may_act quota rctx req_wl req_wl_chain scope sub tctx txn xqr",
			claims{"aud": "shop.internal", "req_wl": "shop/app", "tctx": claims{"a": claims{"b": 1.0}}, "txn": "transaction"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := grantOf(test.kind)
			if test.change != nil {
				test.change(g)
			}
			form, ok := shapeOf(test.kind)
			if !ok || form.typ != test.typ {
				t.Fatalf("typ %q", form.typ)
			}
			token := &Token{TokenID: "id", Transaction: "transaction"}
			payload, err := form.payload(nil, g, token, "sealed")
			if err != nil {
				t.Fatal(err)
			}
			var got claims
			if err := json.Unmarshal(payload, &got); err != nil {
				t.Fatal(err)
			}
			if names := strings.Join(slices.Sorted(maps.Keys(got)), " "); names != test.want {
				t.Errorf("claims %s, want %s", names, test.want)
			}
			for c, v := range test.claims {
				if !reflect.DeepEqual(got[c], v) {
					t.Errorf("%s = %v, want %v", c, got[c], v)
				}
			}
			if what := form.compare(payload, g, token, "sealed"); what != "" {
				t.Errorf("what was written is refused: %s", what)
			}
			noticed(t, form, payload, g, token)
		})
	}
}

// noticed alters every claim of a payload, and wants each noticed.
func noticed(t *testing.T, form shape, payload []byte, g *policy.Grant, token *Token) {
	t.Helper()
	var whole claims
	if err := json.Unmarshal(payload, &whole); err != nil {
		t.Fatal(err)
	}
	differs := func(c claims) bool {
		altered, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return form.compare(altered, g, token, "sealed") != ""
	}
	for name, v := range whole {
		less := maps.Clone(whole)
		delete(less, name)
		if !differs(less) {
			t.Errorf("nobody notices that %s is gone", name)
		}
		for _, other := range variants(v) {
			if reflect.DeepEqual(other, v) {
				continue
			}
			changed := maps.Clone(whole)
			changed[name] = other
			if !differs(changed) {
				t.Errorf("nobody notices that %s is %v", name, other)
			}
		}
		twice := append([]byte(`{"`+name+`":"x",`), payload[1:]...)
		if form.compare(twice, g, token, "sealed") == "" {
			t.Errorf("nobody notices that %s is there twice", name)
		}
	}
	more := maps.Clone(whole)
	more["admin"] = true
	if !differs(more) {
		t.Error("nobody notices one more claim")
	}
	for _, broken := range []string{"", "{", "[]", "null", string(payload[:len(payload)-1]), string(payload) + "x"} {
		if form.compare([]byte(broken), g, token, "sealed") == "" {
			t.Errorf("nobody notices %q", broken)
		}
	}
}
