// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "testing"

func TestAnSVIDSpeaksForItsTrustDomainAlone(t *testing.T) {
	t.Parallel()
	s := world()
	i := issuerNamed(s, "corp")
	i.Kind, i.URL, i.TrustDomain = IssuerSPIFFE, "spiffe://example.org", "example.org"
	snapshot, err := Compile(s, 1, words{})
	if err != nil {
		t.Fatal(err)
	}
	service, _ := snapshot.Service("default")
	domain, ok := service.TrustDomain("example.org")
	if !ok {
		t.Fatal("the trust domain is not found")
	}
	for sub, want := range map[string]bool{
		"spiffe://example.org/ns/shop":      true,
		"spiffe://example.org":              false,
		"spiffe://example.org.evil/ns/shop": false,
		"spiffe://evil/example.org/":        false,
		"alice":                             false,
	} {
		_, ref := domain.Identify(Presented{Type: "jwt", Claims: map[string]any{
			"sub": sub, "aud": "shop/frontend", "iat": now().Unix(), "exp": now().Unix() + 60, "iss": "https://oidc.example",
		}})
		if (ref == nil) != want || ref != nil && ref.Reason != IssuerUnknown {
			t.Errorf("%s: %v", sub, ref)
		}
	}
}

func TestASuspendedTrustDomainHidesNoOther(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"corp", "k8s"} {
		s := world()
		for i := range s.Issuers {
			s.Issuers[i].Kind, s.Issuers[i].TrustDomain = IssuerSPIFFE, "example.org"
			s.Issuers[i].Suspended = s.Issuers[i].Name == first
		}
		snapshot, err := Compile(s, 1, words{})
		if err != nil {
			t.Fatal(err)
		}
		service, _ := snapshot.Service("default")
		if i, ok := service.TrustDomain("example.org"); !ok || i.Name() == first {
			t.Errorf("with %s suspended, the trust domain is that one", first)
		}
	}
}
