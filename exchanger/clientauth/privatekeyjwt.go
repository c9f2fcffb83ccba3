// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

const (
	// maxAssertionLife bounds exp − iat: an assertion is made for one request.
	maxAssertionLife = 5 * time.Minute
	// maxJTIBytes bounds a jti: 256 bytes hold any UUID or digest.
	maxJTIBytes = 256
)

// privateKeyJWT verifies an assertion that a client has signed itself (RFC 7523,
// section 3). `iss` was read from it and names the client.
func (a *Authenticator) privateKeyJWT(svc *policy.TokenService, parsed *jose.Compact, iss, clientID string, digest [sha256.Size]byte, now time.Time) (Authenticated, *policy.Refusal) {
	if t := parsed.Type(); t != "" && t != "jwt" && t != "client-authentication+jwt" {
		return refuse(policy.ClientCredentials, "client assertion: typ must be absent, JWT or client-authentication+jwt")
	}
	if sub, _ := parsed.UnverifiedClaims()["sub"].(string); sub != iss {
		return refuse(policy.ClientCredentials, "client assertion: iss and sub must both be the client_id")
	}
	if clientID != "" && clientID != iss {
		return refuse(policy.FormInvalid, "client_id differs from that of the client assertion")
	}
	c, ref := client(svc, iss)
	if ref != nil {
		return Authenticated{}, ref
	}
	key, ref := a.assertionKey(c, parsed.KeyID())
	if ref != nil {
		return Authenticated{}, ref
	}
	verified, err := parsed.Verify(key, jose.Algorithms())
	if err != nil {
		return refuse(policy.ClientCredentials, "client assertion: "+err.Error())
	}
	s, ref := readSelfSigned(verified.Claims)
	if ref == nil {
		ref = s.check(svc, now, a.uses.Since())
	}
	if ref != nil {
		return Authenticated{}, ref
	}
	return Authenticated{
		ClientAuth: policy.ClientAuth{ID: c.ID(), Method: MethodPrivateKeyJWT, CredentialDigest: digest},
		Consume:    a.consume(svc, c, s),
	}, nil
}

// assertionKey finds the client's key by its kid. A kid that stands in two of
// its key sets means no key: which one it names could depend on their order.
func (a *Authenticator) assertionKey(c *policy.AskingClient, kid string) (*jose.PublicKey, *policy.Refusal) {
	var found *jose.PublicKey
	for _, text := range c.Spec().AssertionKeys {
		set, ok := a.keySet(text)
		if !ok {
			return nil, trust.Deny(policy.ClientCredentials, "a privateKeyJWT key set of ExchangeClient "+c.ID()+" is not usable")
		}
		key, ok := set.Key(kid)
		if !ok {
			continue
		}
		if found != nil {
			return nil, trust.Deny(policy.ClientCredentials, "two privateKeyJWT key sets of ExchangeClient "+c.ID()+" have the assertion's kid")
		}
		found = key
	}
	if found == nil {
		return nil, trust.Deny(policy.ClientCredentials, "ExchangeClient "+c.ID()+" has no privateKeyJWT key with the assertion's kid")
	}
	return found, nil
}

// keySet parses a JWK Set once for all snapshots that carry the same text.
func (a *Authenticator) keySet(text string) (*jose.KeySet, bool) {
	key := trust.Key{Digest: sha256.Sum256([]byte(text))}
	if set, ok := a.keySets.Get(&key, time.Unix(0, 0)); ok {
		return set, true
	}
	set, _, err := jose.ParseKeySet([]byte(text), jose.KeySetOptions{})
	if err != nil {
		return nil, false
	}
	a.keySets.Put(key, set, keySetCost(len(text)), endOfTime)
	return set, true
}

// keySetCost is what a parsed set holds: its text, of which its strings are
// slices, and its numbers, which are shorter. The largest set, 256 KiB, must fit
// a shard of the cache (1 MiB): to parse it takes 100 ms, and whoever can spell
// its client's ID can ask for that.
func keySetCost(textBytes int) int { return 2*textBytes + 1<<10 }

// endOfTime is later than every time that a token can name.
var endOfTime = time.Unix(1<<53, 0)

// selfSigned are the claims of an assertion that a client has signed itself.
type selfSigned struct {
	audience       string
	id             string
	expires, since time.Time // exp, iat
	notBefore      time.Time // zero when absent
}

// readSelfSigned reads the claims strictly: a wrong type is not an absent claim.
func readSelfSigned(claims map[string]any) (selfSigned, *policy.Refusal) {
	var s selfSigned
	var ok bool
	if s.audience, ok = soleAudience(claims["aud"]); !ok {
		return s, trust.Deny(policy.ClientCredentials, audienceDetail)
	}
	s.id, ok = claims["jti"].(string)
	if !ok || s.id == "" || len(s.id) > maxJTIBytes {
		return s, trust.Deny(policy.ClientCredentials, "client assertion: jti must be a string of 1 to 256 bytes")
	}
	for _, t := range [...]struct {
		name     string
		required bool
		to       *time.Time
	}{{"exp", true, &s.expires}, {"iat", false, &s.since}, {"nbf", false, &s.notBefore}} {
		v, present := claims[t.name]
		if !present && !t.required {
			continue
		}
		if *t.to, ok = jose.NumericDate(v); !ok {
			return s, trust.Deny(policy.ClientCredentials, "client assertion: "+t.name+" must be a NumericDate")
		}
	}
	if s.since.IsZero() {
		// RFC 7523 does not ask for iat. Then it was issued as long ago as an
		// assertion of this end may have been, and no longer lives than that.
		s.since = s.expires.Add(-maxAssertionLife)
	}
	return s, nil
}

// check holds the claims against the service and the time. began is when the
// store began to watch: what was issued before may have been used before.
func (s *selfSigned) check(svc *policy.TokenService, now, began time.Time) *policy.Refusal {
	var detail string
	switch {
	case !svc.IsCredentialAudience(s.audience):
		detail = audienceDetail
	case !now.Before(s.expires.Add(skew)):
		detail = "client assertion: exp has passed"
	case s.since.After(now.Add(skew)):
		detail = "client assertion: iat is in the future"
	case s.notBefore.After(now.Add(skew)):
		detail = "client assertion: nbf is in the future"
	case !s.expires.After(s.since) || s.notBefore.After(s.expires):
		detail = "client assertion: exp must be after iat and nbf"
	case s.expires.Sub(s.since) > maxAssertionLife:
		detail = "client assertion: exp may be at most 5 minutes after iat"
	case s.since.Before(began):
		detail = "client assertion: it was issued before this process started, which does not know whether it was used already; a shared store would know"
	default:
		return nil
	}
	return trust.Deny(policy.ClientCredentials, detail)
}

// consume marks the assertion as used, by client and jti, never by its bytes: a
// signature can be rewritten into another valid one. It is remembered for as
// long as check would let it pass.
func (a *Authenticator) consume(svc *policy.TokenService, c *policy.AskingClient, s selfSigned) func(context.Context) *policy.Refusal {
	// Neither a TokenService's name nor a client's ID has a space.
	owner := svc.Name() + " " + c.ID()
	return func(ctx context.Context) *policy.Refusal {
		fresh, err := a.uses.Once(ctx, store.ClientAssertion, owner, s.id, s.expires.Add(skew))
		switch {
		case errors.Is(err, store.ErrQuota):
			return onceRefused(policy.Denied, policy.RateLimited, "ExchangeClient "+c.ID()+" has used too many client assertions in the last minutes")
		case err != nil:
			return onceRefused(policy.Unable, policy.StoreUnavailable, "whether the client assertion was used already cannot be told now")
		case !fresh:
			return onceRefused(policy.Denied, policy.ReplayDetected, "the client assertion of ExchangeClient "+c.ID()+" was used already")
		case s.since.Before(a.uses.Since()):
			// The store started anew after check, and knows nothing of what was used before.
			return onceRefused(policy.Unable, policy.StoreUnavailable, "whether the client assertion was used already cannot be told any more")
		}
		return nil
	}
}

func onceRefused(outcome policy.Outcome, reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: outcome, Reason: reason, Check: "clientAssertionOnce", Detail: detail}
}
