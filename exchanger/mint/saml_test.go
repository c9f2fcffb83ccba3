// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package mint

import (
	"crypto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/saml"
)

const legacy = "https://legacy.example/sp"

// assertion decides about an assertion.
func assertion(tb testing.TB, edit func(*policy.Spec)) *policy.Decision {
	tb.Helper()
	w := &wish{asks: policy.TypeSAML2, values: literals{"floor": int64(3), "mail": "alice@corp.example", "groups": []any{"a", "b"}}}
	spec := manifests(w)
	spec.Clients[0].SAML = &policy.SAMLTarget{
		EntityID: legacy, Recipient: legacy + "/acs", NameIDFormat: "Persistent", Attributes: []policy.Claim{{Name: "mail", Expression: "mail"}},
	}
	spec.Policies[0].TokenTypes = append(spec.Policies[0].TokenTypes, policy.TypeSAML2)
	if edit != nil {
		edit(spec)
	}
	snapshot, err := policy.Compile(spec, 7, w.values)
	if err != nil {
		tb.Fatal(err)
	}
	svc, _ := snapshot.Service(service)
	corp, _ := svc.TrustedIssuer("corp")
	t, ref := corp.Identify(policy.Presented{Type: "at+jwt", Claims: claims{
		"iss": "https://login.corp.example", "sub": "alice", "aud": "shop/app", "iat": start().Unix() - 60, "exp": start().Unix() + 3600,
		"scope": "images", "preferred_username": "alice",
	}})
	if ref != nil {
		tb.Fatal(ref)
	}
	w.audiences, w.scopes = []string{legacy}, []string{"images"}
	return w.decideFor(tb, snapshot, t)
}

func read(t *testing.T, token string, k *keys.Current) *saml.Assertion {
	t.Helper()
	d, err := saml.Parse(token, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := d.Verify([]crypto.PublicKey{k.Certificates()[0].Certificate.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func attributes(a *saml.Assertion) map[string][]string {
	out := map[string][]string{}
	for _, attribute := range a.Attributes {
		out[attribute.Name] = attribute.Values
	}
	return out
}

func TestAnAssertionSaysWhatTheDecisionAllows(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "ES384", "RS256", "PS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			k := ring(t, algorithm)
			token, ref := new(Minter).Assertion(assertion(t, nil), k, start)
			if ref != nil {
				t.Fatal(ref)
			}
			a, at := read(t, token.Value, k), attributes(read(t, token.Value, k))
			second := start().Truncate(time.Second)
			if a.ID != token.TokenID || a.Issuer != issuer || a.NameID != (saml.NameID{Value: "corp:alice", Format: saml.FormatPersistent}) ||
				!slices.Equal(a.Audiences, []string{legacy}) || a.Recipient != legacy+"/acs" ||
				!a.IssuedAt.Equal(second) || !a.NotBefore.Equal(second) || !a.ExpiresAt.Equal(second.Add(5*time.Minute)) || token.ExpiresIn != 300 {
				t.Errorf("%+v", a)
			}
			if !a.AuthenticatedAt.Equal(second.Add(-time.Minute)) || !strings.HasSuffix(a.AuthnContext, ":unspecified") {
				t.Errorf("nobody said when and how, and it says %s, %s", a.AuthenticatedAt, a.AuthnContext)
			}
			if len(at) != 6 || at["mail"][0] != "alice@corp.example" || at["scope"][0] != "images" || at["client_id"][0] != "shop/app" || at["txn"][0] != token.Transaction {
				t.Errorf("%v", at)
			}
		})
	}
}

func TestAnAssertionIsNotMade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit    func(*policy.Spec)
		keys    func(*testing.T) *keys.Current
		reason  policy.Reason
		outcome policy.Outcome
	}{
		"with an EdDSA key": {nil, func(t *testing.T) *keys.Current { return ring(t, "EdDSA") }, policy.TokenTypeNotGranted, policy.Denied},
		"without a key":     {nil, func(*testing.T) *keys.Current { return nil }, policy.SignerUnavailable, policy.Unable},
		"for a username that is no e-mail address": {
			func(s *policy.Spec) { s.Clients[0].SAML.NameIDFormat = "EmailAddress" }, nil, policy.SubjectMapping, policy.Denied,
		},
		"with a claim and an attribute that differ": {func(s *policy.Spec) {
			s.Clients[0].SAML.Attributes = []policy.Claim{{Name: "mail", Expression: "groups"}}
		}, nil, policy.ClaimConflict, policy.Denied},
		"larger than tokenBytes": {func(s *policy.Spec) { s.Services[0].TokenBytes = 1024 }, nil, policy.TokenTooLarge, policy.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := ring(t, "ES256")
			if test.keys != nil {
				k = test.keys(t)
			}
			token, ref := new(Minter).Assertion(assertion(t, test.edit), k, start)
			if token.Value != "" {
				t.Error("a token came with the refusal")
			}
			wantRefusal(t, ref, test.outcome, test.reason)
		})
	}
	t.Run("F316: for another decision", func(t *testing.T) {
		t.Parallel()
		for _, d := range []*policy.Decision{{}, {Outcome: policy.Allowed}, (&wish{}).decide(t)} {
			_, ref := new(Minter).Assertion(d, ring(t, "ES256"), start)
			wantRefusal(t, ref, policy.Denied, policy.Internal)
		}
	})
	t.Run("F149: when it has expired", func(t *testing.T) {
		t.Parallel()
		for _, late := range []int{0, 1} { // before it is signed, while it is
			calls := 0
			_, ref := new(Minter).Assertion(assertion(t, nil), ring(t, "ES256"), func() time.Time {
				if calls++; calls > late {
					return start().Add(time.Hour)
				}
				return start()
			})
			wantRefusal(t, ref, policy.Denied, policy.LifetimeTooShort)
		}
	})
	t.Run("as another type of token", func(t *testing.T) {
		t.Parallel()
		_, ref := new(Minter).Mint(t.Context(), assertion(t, nil), ring(t, "ES256"), start)
		wantRefusal(t, ref, policy.Denied, policy.Internal)
	})
}

func TestNothingGetsLostInAnAssertion(t *testing.T) {
	t.Parallel()
	g := grantOf(policy.TypeSAML2)
	g.SAML = &policy.SAMLGrant{EntityID: legacy, Recipient: legacy}
	a, ref := statementOf(g, &Token{TokenID: "_1", Transaction: "t"})
	if ref != nil {
		t.Fatal(ref)
	}
	at := attributes(a)
	for name, want := range map[string]string{
		"act": `{"act":{"sub":"first"},"sub":"agent"}`, "may_act": `{"sub":"x"}`, "impersonator": `{"iss":"i","sub":"s","client_id":"c","grant":"g"}`, "quota": "7",
	} {
		if len(at[name]) != 1 || at[name][0] != want {
			t.Errorf("%s is %v, want %s", name, at[name], want)
		}
	}
	if !slices.Equal(at["scope"], []string{"show", "print"}) || a.AuthnContext != "urn:mfa" || a.AuthenticatedAt.Unix() != 1893490000 {
		t.Errorf("%+v", a)
	}
	t.Run("an object is no attribute", func(t *testing.T) {
		t.Parallel()
		for _, v := range []any{claims{"a": "b"}, []any{claims{}}, []any{[]any{"x"}}, nil} {
			if values, ok := textsOf(v); ok {
				t.Errorf("%v is %v", v, values)
			}
		}
	})
	t.Run("a transient name is another one every time", func(t *testing.T) {
		t.Parallel()
		g := *g
		g.SAML = &policy.SAMLGrant{NameIDFormat: "Transient"}
		one, _ := nameOf(&g)
		two, _ := nameOf(&g)
		if one.Format != saml.FormatTransient || one.Value == two.Value || strings.Contains(one.Value, "alice") {
			t.Error(one, two)
		}
	})
	t.Run("an e-mail address is the username", func(t *testing.T) {
		t.Parallel()
		for username, ok := range map[string]bool{"a@b.example": true, "": false, "a": false, "@b": false, "a@": false, "a@b@c": false, "a@b c": false} {
			g := *g
			g.SAML = &policy.SAMLGrant{NameIDFormat: "EmailAddress"}
			g.Subject = &policy.Token{Subject: "corp:alice", Username: username}
			if name, ref := nameOf(&g); (ref == nil) != ok || ok && name.Value != username {
				t.Error(username, name, ref)
			}
		}
	})
}

func BenchmarkAssertion(b *testing.B) {
	k, d := ring(b, "ES256"), assertion(b, nil)
	m := new(Minter)
	b.ReportAllocs()
	for b.Loop() {
		if _, ref := m.Assertion(d, k, start); ref != nil {
			b.Fatal(ref)
		}
	}
}
