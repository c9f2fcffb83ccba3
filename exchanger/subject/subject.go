// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// OwnKeys are the keys of this installation's token services; [keys.Ring] has
// them.
type OwnKeys interface {
	Current(service string) (*keys.Current, bool)
}

// maxSkew is the largest clockSkew that a TrustedIssuer may have.
const maxSkew = 60 * time.Second

// ownTypes are the typ that a token of ours has when it can be exchanged (RFC 9068),
// or replaced (draft-ietf-oauth-transaction-tokens). What class it is, and what it is
// presented as, is held against each other by the decision.
var ownTypes = []string{"at+jwt", policy.TypeHeaderTransaction} //nolint:gochecknoglobals // a table, never changed

// The checks that refusals of this package name.
const (
	checkSubject = "subjectToken"
	checkActor   = "actorToken"
)

// Options are the knobs of a Verifier; a zero field means its default.
type Options struct {
	// Limits bound a token before it is read.
	Limits jose.Limits
	// Cache bounds what is remembered.
	Cache trust.Limits
	// Reviewer asks the API server about tokens whose TrustedIssuer wants that; nil:
	// nobody can, and such tokens are not accepted.
	Reviewer trust.Reviewer
	// Upstream asks other servers about opaque tokens, and directories about subjects;
	// nil: nobody can, and neither is accepted where that is needed.
	Upstream Upstream
}

// Verifier verifies presented tokens. It is safe for concurrent use.
type Verifier struct {
	issuers trust.Keys
	own     OwnKeys
	limits  jose.Limits
	parser  *jose.Parser
	cache   *trust.Cache[*remembered]
	reviews *trust.Reviews
	// upstream is asked; said and entries are what it answered lately.
	upstream Upstream
	said     *answers[*policy.Said]
	entries  *answers[*policy.Entry]
	// seen keeps tokens that are presented once out of the cache.
	seen trust.Seen
}

// remembered is a verified token and why it is believed: by a trusted issuer's
// key, or by one of ours.
type remembered struct {
	token *policy.Token
	proof trust.Proof
	// ownKey is the key of ours that verified it, nil for a trusted issuer's.
	ownKey *jose.PublicKey
	// review is what to ask the API server at every use, nil for nothing; skew is the
	// issuer's.
	review *trust.Question
	skew   time.Duration
	// unsettled says that token is mapped, and that its issuer's directory is asked at
	// every use.
	unsettled bool
}

// New makes a Verifier that takes trusted issuers' keys from issuers and this
// installation's from own.
func New(issuers trust.Keys, own OwnKeys, o Options) *Verifier {
	return &Verifier{
		issuers: issuers, own: own, limits: o.Limits, parser: jose.NewParser(o.Limits), cache: trust.NewCache[*remembered](o.Cache),
		reviews: trust.NewReviews(o.Reviewer), upstream: o.Upstream, said: newAnswers[*policy.Said](), entries: newAnswers[*policy.Entry](),
	}
}

// Stats are the counts of the cache of verified tokens.
func (v *Verifier) Stats() trust.Stats { return v.cache.Stats() }

// Verify returns what a token says, once it is certain who says it. The result
// may be shared between requests and must not be changed. Whether the token is
// valid now, for whom it was, and what it is good for is not known yet: that is
// for [policy.Snapshot.Decide].
func (v *Verifier) Verify(ctx context.Context, svc *policy.TokenService, token string, now time.Time) (*policy.Token, *policy.Refusal) {
	return v.verifyFor(ctx, svc, token, now, trust.Subject)
}

// VerifyActor is Verify for an actor token, in every respect but its issuer's use.
func (v *Verifier) VerifyActor(ctx context.Context, svc *policy.TokenService, token string, now time.Time) (*policy.Token, *policy.Refusal) {
	t, ref := v.verifyFor(ctx, svc, token, now, trust.Actor)
	if ref == nil {
		return t, nil
	}
	of := *ref
	if of.Check == checkSubject {
		of.Check = checkActor
	}
	if of.Reason == policy.SubjectAudience {
		of.Reason = policy.ActorAudience
	}
	return nil, &of
}

func (v *Verifier) verifyFor(ctx context.Context, svc *policy.TokenService, token string, now time.Time, use trust.Use) (*policy.Token, *policy.Refusal) {
	limit := v.limits.TokenBytes
	if limit <= 0 {
		limit = jose.DefaultTokenBytes
	}
	if len(token) > limit {
		// Not even hashed.
		return nil, trust.Deny(policy.TokenMalformed, "the token is above its limit")
	}
	key := trust.Key{Service: svc.Name(), Digest: sha256.Sum256([]byte(token))}
	if r, ok := v.cache.Get(&key, now); ok {
		if v.stands(r, svc) {
			return v.reviewed(ctx, svc, r, &key, token, now)
		}
		v.cache.Drop(&key)
	}
	r, skew, ref := v.verify(ctx, svc, token, key.Digest, use)
	if ref != nil {
		return nil, named(ref)
	}
	if until := r.token.ExpiresAt.Add(skew); now.Before(until) && v.seen.Before(&key) {
		v.cache.Put(key, r, trust.Cost(len(token)), until)
	}
	return v.reviewed(ctx, svc, r, &key, token, now)
}

// named says which step refused, where nobody has said it yet.
func named(ref *policy.Refusal) *policy.Refusal {
	if ref.Check == "" {
		ref.Check = checkSubject
	}
	return ref
}

// reviewed has the API server vouch for a verified token where its issuer wants
// that, at every use. A token that time alone refuses is none of its business.
func (v *Verifier) reviewed(ctx context.Context, svc *policy.TokenService, r *remembered, key *trust.Key, token string, now time.Time) (*policy.Token, *policy.Refusal) {
	if r.review == nil {
		return v.settled(ctx, svc, r, now)
	}
	q := *r.review
	q.Key, q.Token = *key, token
	// A client's own credential may be the subject of the same request.
	q.Audiences = slices.Concat(q.Audiences, svc.Spec().AssertionAudiences)
	switch t := r.token; {
	case !now.Before(t.ExpiresAt.Add(r.skew)):
		return nil, named(trust.Deny(policy.TokenExpired, "exp has passed"))
	case t.NotBefore.After(now.Add(r.skew)) || t.IssuedAt.After(now.Add(r.skew)):
		return nil, named(trust.Deny(policy.TokenNotYetValid, "nbf or iat is in the future"))
	case !slices.ContainsFunc(t.Audiences, func(a string) bool { return slices.Contains(q.Audiences, a) }):
		return nil, named(trust.Deny(policy.SubjectAudience, "the token's aud is none of spec.kubernetes.audiences of TrustedIssuer "+q.Issuer))
	}
	if ref := v.reviews.Check(ctx, q, now); ref != nil {
		return nil, named(ref)
	}
	return v.settled(ctx, svc, r, now)
}

// stands reports whether a remembered token would be verified the same way now.
func (v *Verifier) stands(r *remembered, svc *policy.TokenService) bool {
	if r.ownKey == nil {
		_, ok := r.proof.Stands(v.issuers, svc)
		return ok
	}
	if r.token.RawIssuer != svc.Issuer() || slices.Contains(svc.Spec().RevokedKeyIDs, r.ownKey.KeyID()) {
		return false
	}
	current, ok := v.own.Current(svc.Name())
	if !ok {
		return false
	}
	key, ok := current.Public.Key(r.ownKey.KeyID())
	return ok && key == r.ownKey
}

func (v *Verifier) verify(ctx context.Context, svc *policy.TokenService, token string, digest [sha256.Size]byte, use trust.Use) (*remembered, time.Duration, *policy.Refusal) {
	c, err := v.parser.Parse(token)
	if err != nil {
		return nil, 0, trust.Malformed(err)
	}
	if iss, _ := c.UnverifiedIssuer(); iss == svc.Issuer() {
		r, ref := v.verifyOwn(svc, c, digest)
		return r, maxSkew, ref
	}
	ti, verified, proof, ref := trust.Verify(ctx, v.issuers, svc, c, use)
	if ref != nil {
		return nil, 0, ref
	}
	identify := ti.Identify
	if unsettled(ti) {
		identify = ti.Map
	}
	t, ref := identify(presented(verified, digest))
	if ref != nil {
		return nil, 0, ref
	}
	r := &remembered{token: t, proof: proof, skew: ti.Spec().ClockSkew, unsettled: unsettled(ti)}
	if ti.Spec().TokenReview {
		_, _, uid, _ := policy.ServiceAccountOf(t.Claims)
		r.review = &trust.Question{Issuer: ti.Name(), Audiences: ti.Spec().Audiences, Subject: t.RawSubject, UID: uid}
	}
	return r, r.skew, nil
}

// verifyOwn verifies a token that this token service has issued.
func (v *Verifier) verifyOwn(svc *policy.TokenService, c *jose.Compact, digest [sha256.Size]byte) (*remembered, *policy.Refusal) {
	return v.verifyTyped(svc, c, digest, ownTypes)
}

// verifyTyped verifies a token of one of these types that this token service has made.
func (v *Verifier) verifyTyped(svc *policy.TokenService, c *jose.Compact, digest [sha256.Size]byte, types []string) (*remembered, *policy.Refusal) {
	if !slices.Contains(types, c.Type()) {
		return nil, trust.Deny(policy.TokenClass, "a token of this token service is neither of typ at+jwt nor of typ "+policy.TypeHeaderTransaction)
	}
	if slices.Contains(svc.Spec().RevokedKeyIDs, c.KeyID()) {
		return nil, trust.Deny(policy.TokenRevoked, "the token's key is one of revokedKeyIDs of TokenService "+svc.Name())
	}
	current, ok := v.own.Current(svc.Name())
	if !ok {
		return nil, &policy.Refusal{Outcome: policy.Unable, Reason: policy.KeysUnavailable, Detail: "TokenService " + svc.Name() + " has no keys yet"}
	}
	key, ok := current.Public.Key(c.KeyID())
	if !ok {
		return nil, trust.Deny(policy.TokenSignature, "TokenService "+svc.Name()+" has no key with the token's kid")
	}
	// Our keys each name the one algorithm that they are for.
	verified, err := c.Verify(key, []string{key.Algorithm()})
	if err != nil {
		return nil, trust.Deny(policy.TokenSignature, "TokenService "+svc.Name()+": "+err.Error())
	}
	sealed, ok := verified.Claims["xqr"].(string)
	if !ok {
		return nil, trust.Deny(policy.TokenMalformed, "a token of this token service is without its sealed facts")
	}
	facts, err := current.Seals.Open(sealed)
	if err != nil {
		return nil, trust.Deny(policy.TokenMalformed, err.Error())
	}
	of := presented(verified, digest)
	if !slices.Contains(ownTypes, of.Type) {
		of.Type = ownTypes[0] // whose claims it has: it was never shown to anybody
	}
	t, ref := svc.IdentifyOwn(of, facts)
	if ref != nil {
		return nil, ref
	}
	return &remembered{token: t, ownKey: key}, nil
}

func presented(v jose.Verified, digest [sha256.Size]byte) policy.Presented {
	return policy.Presented{Type: v.Type, Header: v.Header, Claims: v.Claims, Digest: digest}
}
