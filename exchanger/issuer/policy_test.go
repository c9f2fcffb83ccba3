// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestSourcesOfASpec(t *testing.T) {
	t.Parallel()
	spec := &policy.Spec{Issuers: []policy.Issuer{
		{Name: "corp", URL: "https://login.corp.example", Keys: policy.Keys{JWKSURL: "https://login.corp.example/keys", AllowedCIDRs: []string{"10.0.0.0/8", "nonsense"}}},
		{Name: "gone", URL: "https://gone.example", Suspended: true},
		{Name: "local", URL: "https://kubernetes.default.svc", Keys: policy.Keys{Local: true, Carried: "{}"}},
		{Name: "written", URL: "https://written.example", Keys: policy.Keys{Inline: "{}"}},
	}}
	got := issuer.Sources(spec)
	if len(got) != 3 || got[0].Name != "corp" || len(got[0].AllowedCIDRs) != 1 || got[0].Digest != spec.Issuers[0].KeysDigest() ||
		!got[1].Local || string(got[1].Carried) != "{}" || string(got[2].Inline) != "{}" || got[0].Inline != nil {
		t.Errorf("%+v", got)
	}
}
