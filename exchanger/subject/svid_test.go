// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/test/fakes/spiffe"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

const workload = "spiffe://example.org/ns/shop/sa/frontend"

// trusting adds a trust domain to the manifests.
func trusting(d *spiffe.Domain) func(*policy.Spec) {
	return func(s *policy.Spec) {
		s.Issuers = append(s.Issuers, policy.Issuer{
			Name: "mesh", TokenService: world.Service, Kind: policy.IssuerSPIFFE, URL: "spiffe://example.org", TrustDomain: "example.org", ForSubject: true,
			Algorithms: []string{"ES256"}, Classes: []policy.Class{policy.ClassJWT}, Prefix: "mesh:", MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
			Keys: policy.Keys{Inline: string(d.Bundle())}, Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
		})
	}
}

func TestAJWTSVIDIsASubjectTokenOfItsTrustDomain(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return world.Start }
	domain, err := spiffe.New("example.org", now)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := spiffe.New("example.org", now)
	if err != nil {
		t.Fatal(err)
	}
	w := world.New(t, trusting(domain))
	v := subject.New(w.Manager, w.Ring, subject.Options{})
	svid := func(by *spiffe.Domain, id string, claims map[string]any) string {
		token, err := by.JWTSVID(id, "shop/frontend", claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, claims := range map[string]map[string]any{
		"without iss":                   nil,
		"with an iss that nobody knows": {"iss": "https://oidc.example.org"},
	} {
		tok := mustVerify(t, w, v, svid(domain, workload, claims))
		if tok.Issuer != "mesh" || tok.RawIssuer != "spiffe://example.org" || tok.RawSubject != workload || tok.Subject != "mesh:"+workload || tok.Class != policy.ClassJWT {
			t.Errorf("%s: %+v", name, tok)
		}
	}
	for name, tc := range map[string]struct {
		token  string
		reason policy.Reason
	}{
		"of another domain by the same name":  {svid(stranger, workload, nil), policy.TokenSignature},
		"of a domain that nobody declares":    {svid(domain, "spiffe://elsewhere.example/x", nil), policy.IssuerUnknown},
		"of a name that begins as the domain": {svid(domain, "spiffe://example.org.evil.example/x", nil), policy.IssuerUnknown},
		"that says an iss which is trusted":   {svid(domain, workload, map[string]any{"iss": world.CorpURL}), policy.TokenSignature},
		"that is no SPIFFE ID":                {svid(domain, "alice", nil), policy.IssuerUnknown},
	} {
		if _, ref := verify(t, w, v, tc.token); ref == nil || ref.Reason != tc.reason {
			t.Errorf("%s: %v, expected %s", name, ref, tc.reason)
		}
	}
}

func TestATypThatSVIDsAloneHaveIsRefusedElsewhere(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	v := subject.New(w.Manager, w.Ring, subject.Options{})
	if _, ref := verify(t, w, v, w.Sign(w.Corp, world.Claims{"typ": "JOSE"}, w.CorpClaims())); ref == nil || ref.Reason != policy.TokenClass {
		t.Errorf("found %v", ref)
	}
}
