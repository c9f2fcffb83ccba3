// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package mint

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"sync/atomic"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// sampleEvery is how often the signature of a minted token is verified once its
// key has proved itself: 1 in 256 costs a quarter of a microsecond a token, and a
// key that begins to fail is noticed within seconds at any load worth the name.
const sampleEvery = 256

// Token is a minted token and what the audit record says of it.
type Token struct {
	Value       string
	KeyID       string
	TokenID     string
	Transaction string
	// ExpiresIn is the lifetime in seconds.
	ExpiresIn int64
}

// Minter mints tokens. The zero value is ready; it is safe for concurrent use.
type Minter struct {
	minted atomic.Uint64
	// proved is the key whose signature was verified last.
	proved atomic.Pointer[jose.PrivateKey]
}

// Mint makes the token that the decision allows, with the token service's active
// key. A refusal means that nothing left: no key, too large, or a self-check that
// found a difference.
func (m *Minter) Mint(d *policy.Decision, k *keys.Current) (Token, *policy.Refusal) {
	grant, ok := d.Grant()
	if !ok {
		return Token{}, refuse(policy.Denied, policy.Internal, "the decision does not allow")
	}
	if k == nil || k.Signing == nil || k.AccessToken == nil || k.Seal == nil {
		return Token{}, refuse(policy.Unable, policy.SignerUnavailable, "token service "+grant.TokenService+" has no active signing key")
	}
	// A key of another algorithm signs while its successor is being published:
	// the service's algorithm says what new keys are, the ring says which signs.
	t := Token{
		KeyID:       k.AccessToken.KeyID(),
		TokenID:     random(),
		Transaction: grant.Subject.Transaction,
		ExpiresIn:   int64(grant.ExpiresAt.Sub(grant.IssuedAt).Seconds()),
	}
	if t.Transaction == "" {
		t.Transaction = random()
	}
	sealed, err := seal(grant, k)
	if err != nil {
		return Token{}, refuse(policy.Denied, policy.TokenTooLarge, "the sealed facts are too large")
	}
	payload, err := appendPayload(make([]byte, 0, 1024+len(sealed)), grant, &t, sealed)
	if err != nil {
		return Token{}, refuse(policy.Denied, policy.ClaimInvalid, "a claim cannot be written as JSON")
	}
	if t.Value, err = k.AccessToken.Sign(payload); err != nil {
		return Token{}, refuse(policy.Unable, policy.SignerUnavailable, "the key did not sign")
	}
	if len(t.Value) > grant.TokenBytes {
		return Token{}, refuse(policy.Denied, policy.TokenTooLarge, "the token is larger than limits.tokenBytes of TokenService "+grant.TokenService)
	}
	if what := m.selfCheck(&t, grant, k); what != "" {
		return Token{}, refuse(policy.Unable, policy.Internal, "self-check: "+what)
	}
	return t, nil
}

// selfCheck reads the token as a stranger would and compares it with the grant.
// It returns what differs. The signature is verified for every new key and on a
// sample.
func (m *Minter) selfCheck(t *Token, grant *policy.Grant, k *keys.Current) string {
	limits := jose.Limits{TokenBytes: grant.TokenBytes}
	parsed, err := jose.Parse(t.Value, limits)
	if err != nil {
		return "the token is not one that we would accept"
	}
	sampled := m.minted.Add(1)%sampleEvery == 0
	if sampled || m.proved.Load() != k.Signing {
		public, ok := k.Public.Key(t.KeyID)
		if !ok {
			return "the signing key is not published"
		}
		if _, err := parsed.Verify(public, []string{k.Signing.Algorithm()}); err != nil {
			return "the signature does not verify"
		}
		if _, err := k.Seals.Open(claim(parsed, "xqr")); err != nil {
			return "the sealed facts cannot be opened"
		}
		m.proved.Store(k.Signing)
	}
	if parsed.KeyID() != t.KeyID || parsed.Type() != "at+jwt" {
		return "the header differs"
	}
	return compare(parsed.UnverifiedClaims(), grant, t)
}

func claim(c *jose.Compact, name string) string {
	s, _ := c.UnverifiedClaims()[name].(string)
	return s
}

// seal encrypts the facts of the first verification for the next hop.
func seal(g *policy.Grant, k *keys.Current) (string, error) {
	plain, err := json.Marshal(&g.Sealed)
	if err != nil {
		return "", err
	}
	return k.Seal.Seal(plain)
}

// random returns 128 random bits as 32 hexadecimal digits. crypto/rand does not
// fail: the process ends instead.
func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func refuse(outcome policy.Outcome, reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: outcome, Reason: reason, Check: "mint", Detail: detail}
}
