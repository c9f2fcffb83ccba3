// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"net/netip"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Sources are where the keys of a Spec's trusted issuers come from; suspended
// issuers have none. Every process that keeps keys reads a Spec in this way, so
// that the digests agree.
func Sources(spec *policy.Spec) []Source {
	out := make([]Source, 0, len(spec.Issuers))
	for n := range spec.Issuers {
		i := &spec.Issuers[n]
		if i.Suspended {
			continue
		}
		s := Source{
			Name: i.Name, Digest: i.KeysDigest(), URL: i.URL, DiscoveryURL: i.Keys.DiscoveryURL, JWKSURL: i.Keys.JWKSURL,
			CABundle: []byte(i.Keys.CABundle), Carried: []byte(i.Keys.Carried), Local: i.Keys.Local,
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

// Seed gives the sources the keys that were published last, as far as they were
// fetched in the same way, so that a controller that starts takes no key from
// anybody before it has looked itself. published may be nil.
func Seed(sources []Source, published *policy.Spec) {
	if published == nil {
		return
	}
	type place struct{ name, digest string }
	last := make(map[place]string, len(published.Issuers))
	for n := range published.Issuers {
		i := &published.Issuers[n]
		last[place{i.Name, i.KeysDigest()}] = i.Keys.Carried
	}
	for n := range sources {
		if s := &sources[n]; len(s.Carried) == 0 {
			s.Carried = []byte(last[place{s.Name, s.Digest}])
		}
	}
}
