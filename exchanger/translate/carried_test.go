// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate_test

import (
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

const corpIssuer = `
apiVersion: exchequer.dev/v1alpha1
kind: TokenService
metadata: {name: default}
spec: {issuer: "https://sts.example.com"}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: corp}
spec:
  jwt: {issuer: {url: "https://login.corp.example"}}
`

func TestTheLastGoodKeysAreCarried(t *testing.T) {
	t.Parallel()
	const set = `{"keys":[{"kid":"a"}]}`
	here := (&policy.Issuer{URL: "https://login.corp.example"}).KeysDigest()
	for name, of := range map[string]struct {
		serve bool
		known translate.KeyStatus
		want  string
	}{
		"those that were fetched under this configuration":      {false, translate.KeyStatus{State: translate.KeysReady, JWKS: []byte(set), Digest: here}, set},
		"F188: those that still serve while the issuer is down": {false, translate.KeyStatus{State: translate.KeysStale, JWKS: []byte(set), Digest: here}, set},
		"F182: none that were fetched under another":            {false, translate.KeyStatus{State: translate.KeysReady, JWKS: []byte(set), Digest: "another"}, ""},
		"none that are past their bound":                        {false, translate.KeyStatus{State: translate.KeysExpired}, ""},
		"none above the bound of a key set":                     {false, translate.KeyStatus{JWKS: make([]byte, 256<<10+1), Digest: here}, ""},
		"none where the same process serves":                    {true, translate.KeyStatus{State: translate.KeysReady, JWKS: []byte(set), Digest: here}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := parseInput(t, []byte(corpIssuer))
			in.Serve = of.serve
			asked := 0
			in.KeyStatus = func(string) translate.KeyStatus { asked++; return of.known }
			out := translate.Translate(in)
			if len(out.Spec.Issuers) != 1 || out.Spec.Issuers[0].Keys.Carried != of.want {
				t.Fatalf("%+v", out.Spec.Issuers)
			}
			if asked != 1 {
				t.Errorf("asked %d times: the condition and the keys may be of two moments", asked)
			}
			if got := out.Spec.Issuers[0].KeysDigest(); got != here {
				t.Error("what is carried changed where the keys come from")
			}
		})
	}
}
