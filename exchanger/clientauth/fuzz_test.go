// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// marker stands in the seeds for what a stranger wrote; no refusal may repeat it.
const marker = "xMARKERx"

// FuzzClientAssertion signs whatever it is given with a client's key or with a
// cluster's: the holder of a key is at most the clients that the key stands for,
// and only with claims that say so.
func FuzzClientAssertion(f *testing.F) {
	w := world.New(f)
	for _, over := range []world.Claims{
		nil, {"iss": marker}, {"aud": []any{world.Issuer, marker}}, {"jti": marker + strings.Repeat("j", 300)}, {"exp": 1e300}, {"iat": -1}, {"exp": int64(1) << 53}, {"sub": "shop/blue"},
	} {
		b, err := json.Marshal(w.AssertionClaims(frontend, over))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"alg":"ES256","kid":"frontend-1","typ":"JWT"}`), b, false, "")
	}
	for _, over := range []world.Claims{nil, {"sub": marker}, {"kubernetes.io": marker}, {"aud": world.Issuer}, {"exp": 253402300799}} {
		b, err := json.Marshal(w.AccountClaims("shop", "frontend", over))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"alg":"ES256","kid":"east-1"}`), b, true, frontend)
	}
	f.Add([]byte(`{"alg":"none","kid":"`+marker+`"}`), []byte(`{}`), true, marker)

	f.Fuzz(func(t *testing.T, header, payload []byte, account bool, clientID string) {
		k := w.Frontend
		if account {
			k = w.East
		}
		// A new one each time: what was used in another run is not used in this.
		a := newAuthenticator(w)
		token, err := k.Sign(header, payload)
		if err != nil {
			t.Fatal(err)
		}
		c := named(clientID, assertion(token))
		auth, ref := a.Authenticate(t.Context(), w.Service(), c, w.Now())
		if ref != nil {
			if auth.ID != "" || auth.Consume != nil || !slices.Contains(policy.Reasons(), ref.Reason) || ref.Outcome != policy.Denied || ref.Check == "" {
				t.Fatalf("refused with %+v and %+v", ref, auth)
			}
			if strings.Contains(ref.Error(), marker) {
				t.Fatalf("the refusal quotes the assertion: %v", ref)
			}
			return
		}
		// A map: encoding/json matches the fields of a struct without regard to case.
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("accepted, though encoding/json cannot read it: %v", err)
		}
		iss, _ := claims["iss"].(string)
		sub, _ := claims["sub"].(string)
		exp, _ := claims["exp"].(float64)
		if clientID != "" && auth.ID != clientID {
			t.Fatalf("asked as %q, accepted as %q", clientID, auth.ID)
		}
		if time.Unix(int64(exp), 0).Add(31 * time.Second).Before(w.Now()) {
			t.Fatal("accepted after its end")
		}
		switch auth.Method {
		case clientauth.MethodPrivateKeyJWT:
			if account || auth.ID != frontend || iss != frontend || sub != frontend || auth.Consume == nil {
				t.Fatalf("accepted as %+v", auth)
			}
			if ref := auth.Consume(t.Context()); ref != nil {
				t.Fatalf("the first use is refused: %v", ref)
			}
			if ref := auth.Consume(t.Context()); ref == nil {
				t.Fatal("the second use is accepted")
			}
		case clientauth.MethodServiceAccount:
			if !account || iss != world.ClusterURL || !strings.HasPrefix(sub, "system:serviceaccount:shop:") || auth.Consume != nil {
				t.Fatalf("accepted as %+v", auth)
			}
		default:
			t.Fatalf("method %q", auth.Method)
		}
	})
}
