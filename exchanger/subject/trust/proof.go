// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Proof says which key of which trusted issuer has verified a token. Only Verify
// makes one that stands.
type Proof struct {
	url    string
	name   string
	digest string
	kid    string
	key    *jose.PublicKey
}

// Stands reports whether a token with this proof would be verified by the same
// key for the same issuer now, and its facts be found by the same rules: the
// issuer is there with an object that says what it said (so neither suspended
// nor taken out of this use since), and the very key is the one of its `kid`,
// in this issuer and in no other with this URL. It does no I/O, takes no lock
// and costs two map lookups.
func (p Proof) Stands(keys Keys, svc *policy.TokenService) (*policy.TrustedIssuer, bool) {
	if p.key == nil {
		return nil, false
	}
	candidates := svc.IssuersByURL(p.url)
	var mine *policy.TrustedIssuer
	for _, i := range candidates {
		if i.Name() == p.name && i.Digest() == p.digest {
			mine = i
			continue
		}
		if suspended(i) {
			continue
		}
		if _, taken := keys.Peek(i.Name(), i.KeysDigest(), p.kid); taken {
			return nil, false
		}
	}
	if mine == nil {
		return nil, false
	}
	key, ok := keys.Peek(p.name, mine.KeysDigest(), p.kid)
	return mine, ok && key == p.key
}
