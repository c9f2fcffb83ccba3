// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// marker stands in the seeds for what a stranger wrote; no refusal may repeat it.
const marker = "xMARKERx"

// FuzzVerifySubject signs whatever it is given with a trusted issuer's key: even
// the one whom we believe must not make us panic, contradict ourselves or repeat
// its words.
func FuzzVerifySubject(f *testing.F) {
	w := world.New(f)
	header := []byte(`{"alg":"ES256","kid":"corp-1","typ":"at+jwt"}`)
	for _, over := range []world.Claims{
		nil,
		{"sub": marker},
		{"aud": []any{marker, 1}},
		{"exp": 1e300},
		{"exp": -1},
		{"iat": "now"},
		{"act": map[string]any{"sub": marker}},
		{"scope": []any{"a b", marker}},
		{"groups": map[string]any{}},
		{"azp": marker, "client_id": "x"},
		{"iss": world.Issuer},
		{"cnf": marker},
		{"iss": world.ClusterURL},
		{"jti": "\u0000"},
		{"may_act": 7},
		{"nbf": 253402300800},
	} {
		payload, err := json.Marshal(w.CorpClaims(over))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(header, payload)
	}
	f.Add([]byte(`{"alg":"none","kid":"`+marker+`"}`), []byte(`{}`))
	f.Add([]byte(`{"alg":"ES256","kid":"corp-1","crit":["`+marker+`"]}`), []byte(`[]`))
	v := newVerifier(w)

	f.Fuzz(func(t *testing.T, header, payload []byte) {
		token, err := w.Corp.Sign(header, payload)
		if err != nil {
			t.Fatal(err)
		}
		tok, ref := v.Verify(t.Context(), w.Service(), token, w.Now())
		again, refAgain := v.Verify(t.Context(), w.Service(), token, w.Now())
		if ref != nil {
			if tok != nil || refAgain == nil || refAgain.Reason != ref.Reason {
				t.Fatalf("refused with %v, then %v", ref, refAgain)
			}
			if !slices.Contains(policy.Reasons(), ref.Reason) || ref.Outcome == policy.Allowed || ref.Check == "" {
				t.Fatalf("no refusal: %+v", ref)
			}
			if strings.Contains(ref.Error(), marker) {
				t.Fatalf("the refusal quotes the token: %v", ref)
			}
			return
		}
		if tok.Issuer != "corp" || tok.RawIssuer != world.CorpURL || tok.RawSubject == "" || tok.Subject != "corp:"+tok.RawSubject {
			t.Fatalf("facts: %+v", tok)
		}
		if tok.ExpiresAt.IsZero() || tok.IssuedAt.IsZero() || tok.ExpiresAt.Before(tok.IssuedAt) {
			t.Fatalf("times: %v to %v", tok.IssuedAt, tok.ExpiresAt)
		}
		if again == nil || again.Subject != tok.Subject || again.Digest != tok.Digest {
			t.Fatal("the second presentation is something else")
		}
	})
}

// FuzzVerifyBytes takes any bytes for a token: nothing that was not signed is
// accepted, and nothing is remembered.
func FuzzVerifyBytes(f *testing.F) {
	w := world.New(f)
	good := w.Sign(w.Corp, nil, w.CorpClaims())
	for _, s := range []string{"", ".", "..", "...", "....", good, good + ".", good[:len(good)-1], " " + good, "{}", strings.Repeat(".", 1<<10), malleate(f, good)} {
		f.Add(s)
	}
	v := newVerifier(w)
	f.Fuzz(func(t *testing.T, token string) {
		tok, ref := v.Verify(t.Context(), w.Service(), token, w.Now())
		if (tok == nil) == (ref == nil) {
			t.Fatalf("token %v, refusal %v", tok, ref)
		}
		if ref == nil && !strings.HasPrefix(token, good[:strings.LastIndexByte(good, '.')]) {
			t.Fatal("what nobody signed is accepted")
		}
	})
}
