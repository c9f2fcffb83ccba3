// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestAnIDTokenSaysWhoTheSubjectIsAndGivesAccessToNothing(t *testing.T) {
	t.Parallel()
	k, w := ring(t, "ES256"), everything()
	w.asks = policy.TypeIDToken
	token := mint(t, w, k)
	parsed, err := jose.Parse(token.Value, jose.Limits{})
	if err != nil || parsed.Type() != "jwt" {
		t.Errorf("typ %q, %v", parsed.Type(), err)
	}
	got := decoded(t, token.Value)
	want := claims{
		"iss": issuer, "sub": "corp:alice", "aud": []any{images, "media/img"}, "azp": "shop/app",
		"iat": start().Unix(), "exp": start().Unix() + 300, "jti": token.TokenID,
		"acr": "urn:mfa", "amr": []any{"pwd", "otp"}, "auth_time": int64(1893490000), "may_act": claims{"iss": issuer, "sub": "shop/app"},
	}
	maps.Copy(want, claims(w.values))
	if !same(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestF309AnIDTokenThatDiffersFromTheDecisionIsNotReleased(t *testing.T) {
	t.Parallel()
	k, w := ring(t, "EdDSA"), everything()
	w.asks = policy.TypeIDToken
	d := w.decide(t)
	grant, _ := d.Grant()
	m := new(Minter)
	token, ref := m.Mint(t.Context(), d, k, start)
	if ref != nil {
		t.Fatal(ref)
	}
	form, _ := shapeOf(policy.TypeIDToken)
	signer, err := k.AccessToken.As("JWT")
	if err != nil {
		t.Fatal(err)
	}
	check := func(c claims) string {
		altered := token
		value, err := signer.Sign(mustJSON(t, c))
		if err != nil {
			t.Fatal(err)
		}
		altered.Value = value
		return m.selfCheck(&altered, &work{shape: form, grant: grant, keys: k, signer: signer})
	}
	whole := decoded(t, token.Value)
	if what := check(whole); what != "" {
		t.Fatalf("the very same claims differ: %s", what)
	}
	for name, value := range whole {
		without := maps.Clone(whole)
		delete(without, name)
		if check(without) == "" {
			t.Errorf("%s was removed, and nobody noticed", name)
		}
		for _, v := range variants(value) {
			altered := maps.Clone(whole)
			if altered[name] = v; !same(value, v) && check(altered) == "" {
				t.Errorf("%s became %#v, and nobody noticed", name, v)
			}
		}
	}
	for name, values := range map[string][]any{
		"scope": {"images contacts", "images"}, "client_id": {"shop/app"}, "nbf": {start().Unix()}, "txn": {token.Transaction},
		"xqr": {"", "x"}, "nonce": {"n"}, "act": {claims{"sub": "x"}}, "cnf": {claims{"jkt": "x"}}, "at_hash": {"x"},
	} {
		for v := range slices.Values(values) {
			more := maps.Clone(whole)
			if more[name] = v; check(more) == "" {
				t.Errorf("%s %#v was added, and nobody noticed", name, v)
			}
		}
	}
}

func TestWhatAHandOverTokenStandsForIsNoAccessToken(t *testing.T) {
	t.Parallel()
	k := ring(t, "ES256")
	token := mint(t, &wish{asks: policy.TypeHandover}, k)
	parsed, err := jose.Parse(token.Value, jose.Limits{})
	if err != nil || parsed.Type() != HandoverType || token.ExpiresIn > 60 {
		t.Errorf("typ %q for %d s, %v", parsed.Type(), token.ExpiresIn, err)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
