// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

const (
	// proofType is the typ of a DPoP proof (RFC 9449, section 4.2).
	proofType = "dpop+jwt"
	// window is how long ago a proof may have been made (RFC 9449, section 11.1: on
	// the order of seconds or minutes), and how long a nonce is good.
	window = time.Minute
	// skew is what a client's clock may be ahead.
	skew = 30 * time.Second
	// maxJTIBytes bounds a jti: 256 bytes hold any UUID or digest.
	maxJTIBytes = 256
	// maxURIBytes bounds a htu. It is that of a resource URI, and room for a path.
	maxURIBytes = 2048
)

// Keys are the token services' keys; [keys.Ring] has them.
type Keys interface {
	Current(service string) (*keys.Current, bool)
}

// Verifier verifies proofs. It is safe for concurrent use.
type Verifier struct {
	uses store.Store
	keys Keys
}

// New makes a Verifier that keeps what was used once in uses and seals its nonces
// with the keys of each token service.
func New(uses store.Store, keys Keys) *Verifier { return &Verifier{uses: uses, keys: keys} }

// Algorithms are what proofs may be signed with, for metadata
// (dpop_signing_alg_values_supported): all are asymmetric.
func Algorithms() []string { return jose.Algorithms() }

// Possession is a key that whoever asks has shown to have.
type Possession struct {
	// JKT is the RFC 7638 thumbprint of the key, as `cnf` has it.
	JKT string

	id      string
	until   time.Time
	made    time.Time
	byNonce bool
	// received says that it was made for another server: nobody can be asked for
	// another one.
	received bool
	uses     store.Store
}

// DPoP verifies the DPoP header of a request (RFC 9449, section 4.3). endpoints are
// the addresses of the endpoint that was asked, tokens those that the request has:
// an `ath`, which a proof for a token endpoint need not have, must be of one of them.
func (v *Verifier) DPoP(svc *policy.TokenService, endpoints, headers, tokens []string, now time.Time) (*Possession, *policy.Refusal) {
	if len(headers) != 1 {
		return nil, invalid("there is more than one DPoP header")
	}
	c, ref := read(headers[0])
	if ref != nil {
		return nil, ref
	}
	switch {
	case c.method != "POST":
		return nil, invalid("htm is not POST")
	case !slices.Contains(endpoints, normalURI(c.uri)):
		return nil, invalid("htu is not the address of this endpoint, " + endpoints[0])
	case c.hash != "" && !slices.ContainsFunc(tokens, func(t string) bool { return t != "" && hashOf(t) == c.hash }):
		return nil, invalid("ath is of no token of this request")
	}
	p := &Possession{JKT: c.key, id: c.key + " " + c.id, uses: v.uses}
	if c.nonce == "" {
		if ref := c.recent(now); ref != nil {
			return nil, ref
		}
		p.made, p.until = c.made, c.made.Add(window)
	} else {
		// The nonce says when the proof was made, whatever the client's clock does (RFC
		// 9449, section 4.3, item 11).
		at, ok := v.opened(svc, c.nonce)
		if !ok || at.Add(window).Before(now) || at.After(now.Add(skew)) {
			return nil, nonce("its nonce is not ours, or is older than a minute")
		}
		p.byNonce, p.made, p.until = true, at, at.Add(window)
	}
	if p.made.Before(v.uses.Since()) {
		return nil, nonce("it may be from before this process started, which does not know whether it was used already")
	}
	return p, nil
}

// ByNonce says whether the proof was made with a nonce of ours.
func (p *Possession) ByNonce() bool { return p.byNonce }

// Consume uses the proof up, for the given client. It must be called after
// everything else has passed.
func (p *Possession) Consume(ctx context.Context, svc *policy.TokenService, client string) *policy.Refusal {
	fresh, err := p.uses.Once(ctx, store.ProofOfPossession, store.Owner(svc.Name(), client), p.id, p.until.Add(time.Second))
	if err == nil && fresh {
		// Used by one client, it is used up for all: whoever has copied it may ask as
		// another. An owner of its own, so that nobody's quota counts it twice; the
		// client's bounds how many there are.
		fresh, err = p.uses.Once(ctx, store.ProofOfPossession, store.Owner(svc.Name(), "proof "+p.id), p.id, p.until.Add(time.Second))
	}
	switch {
	case errors.Is(err, store.ErrQuota):
		return once(&policy.Refusal{Outcome: policy.Denied, Reason: policy.RateLimited, Detail: "ExchangeClient " + client + " has used too many proofs in the last minute"})
	case err != nil && p.byNonce:
		// Nobody can tell whether it was used, and it is fresh: what can be had with it
		// again within a minute is bound to the same key.
		return nil
	case (err != nil || p.made.Before(p.uses.Since())) && p.received:
		return once(&policy.Refusal{Outcome: policy.Unable, Reason: policy.StoreUnavailable, Detail: "whether the subject_token_proof was used already cannot be told now"})
	case err != nil, p.made.Before(p.uses.Since()):
		return once(nonce("whether it was used already cannot be told now"))
	case !fresh:
		return once(invalid("the proof was used already"))
	}
	return nil
}

func once(ref *policy.Refusal) *policy.Refusal {
	ref.Check = "proofOnce"
	return ref
}

// claims are what a proof says.
type claims struct {
	key, id, method, uri string
	hash, nonce          string
	made                 time.Time
	notAfter, notBefore  time.Time // exp and nbf, zero when absent
}

// read verifies the signature of a proof with the key in it, and reads its claims
// strictly: a wrong type is not an absent claim.
func read(token string) (*claims, *policy.Refusal) {
	v, err := jose.VerifyEmbedded(token, proofType, Algorithms())
	if err != nil {
		return nil, invalid(err.Error())
	}
	c := &claims{key: v.KeyID}
	for _, s := range [...]struct {
		name     string
		required bool
		most     int
		to       *string
	}{
		{"jti", true, maxJTIBytes, &c.id},
		{"htm", true, 16, &c.method},
		{"htu", true, maxURIBytes, &c.uri},
		{"ath", false, 64, &c.hash},
		{"nonce", false, jose.MaxSealedBytes, &c.nonce},
	} {
		value, present := v.Claims[s.name]
		if !present && !s.required {
			continue
		}
		text, ok := value.(string)
		if !ok || text == "" || len(text) > s.most {
			return nil, invalid(s.name + " must be a string, not empty and not too long")
		}
		*s.to = text
	}
	for _, at := range [...]struct {
		name     string
		required bool
		to       *time.Time
	}{{"iat", true, &c.made}, {"exp", false, &c.notAfter}, {"nbf", false, &c.notBefore}} {
		value, present := v.Claims[at.name]
		if !present && !at.required {
			continue
		}
		var ok bool
		if *at.to, ok = jose.NumericDate(value); !ok {
			return nil, invalid(at.name + " must be a NumericDate")
		}
	}
	return c, nil
}

// recent holds the proof's own times against the clock.
func (c *claims) recent(now time.Time) *policy.Refusal {
	switch {
	case c.made.Add(window).Before(now):
		return invalid("iat is longer than a minute ago: make a proof for each request, and look at the clock")
	case c.made.After(now.Add(skew)):
		return invalid("iat is in the future: look at the clock")
	case !c.notAfter.IsZero() && !now.Before(c.notAfter.Add(skew)):
		return invalid("exp has passed")
	case c.notBefore.After(now.Add(skew)):
		return invalid("nbf is in the future")
	}
	return nil
}

// hashOf is the ath of a token (RFC 9449, section 4.2).
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func invalid(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ProofInvalid, Check: "proof", Detail: "DPoP proof: " + detail}
}

func nonce(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ProofNonce, Check: "proof", Detail: "DPoP proof: " + detail}
}
