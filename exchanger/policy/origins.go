// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// SelfOrigins are the origins of the tokens of ours that policies of the service
// admit, sorted. An example that does not say where its token's chain began means
// the only one that there is.
func (t *TokenService) SelfOrigins() []string {
	var out []string
	for _, index := range [...][]*grantPolicy{flat(t.byPair), flat(t.allClients)} {
		for _, g := range index {
			for _, o := range g.spec.SelfOrigins {
				if !slices.Contains(out, o) {
					out = append(out, o)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// ActorOrigins are the same of actors.
func (t *TokenService) ActorOrigins() []string {
	var out []string
	for _, index := range [...][]*grantPolicy{flat(t.byPair), flat(t.allClients)} {
		for _, g := range index {
			out = append(out, g.spec.Actor.SelfOrigins...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func flat[K comparable](m map[K][]*grantPolicy) []*grantPolicy {
	var out []*grantPolicy
	for _, list := range m {
		out = append(out, list...)
	}
	return out
}
