// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"net/netip"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Sources are where the keys of a Spec's trusted issuers come from; suspended
// issuers have none, and those of opaque tokens neither. Every process that keeps keys reads a Spec in this way, so
// that the digests agree.
func Sources(spec *policy.Spec) []Source {
	out := make([]Source, 0, len(spec.Issuers))
	for n := range spec.Issuers {
		i := &spec.Issuers[n]
		if i.Suspended || i.Kind.Opaque() {
			continue
		}
		s := Source{
			Name: i.Name, Digest: i.KeysDigest(), URL: i.URL, DiscoveryURL: i.Keys.DiscoveryURL, JWKSURL: i.Keys.JWKSURL,
			CABundle: []byte(i.Keys.CABundle), Carried: []byte(i.Keys.Carried), Local: i.Keys.Local,
			SPIFFE: i.Kind == policy.IssuerSPIFFE, SAML: i.Kind == policy.IssuerSAML,
		}
		if i.Keys.Inline != "" {
			s.Inline = []byte(i.Keys.Inline)
		}
		for _, c := range i.Keys.AllowedCIDRs {
			// A range that cannot be read allows nothing.
			if p, err := netip.ParsePrefix(c); err == nil {
				s.AllowedCIDRs = append(s.AllowedCIDRs, p)
			}
		}
		out = append(out, s)
	}
	return out
}
