// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Keys are the public keys of trusted issuers; [issuer.Manager] has them. The
// digest is [policy.TrustedIssuer.KeysDigest].
type Keys interface {
	// Keys may wait for a fetch; its error wraps issuer.ErrKeyUnknown or
	// issuer.ErrUnable.
	Keys(ctx context.Context, name, digest, kid string) (*jose.PublicKey, error)
	// Peek never waits.
	Peek(name, digest, kid string) (*jose.PublicKey, bool)
}

// Use is what a token is presented for; a TrustedIssuer names the uses that its
// tokens may have.
type Use uint8

// The uses.
const (
	Subject Use = iota + 1
	Client
	Actor
)

func (u Use) of(s *policy.Issuer) bool {
	switch u {
	case Subject:
		return s.ForSubject
	case Actor:
		return s.ForActor
	case Client:
		// Only Kubernetes and trust domains say whom a token of theirs authenticates.
		return s.ForClient && (s.Kind == policy.IssuerKubernetes || s.Kind == policy.IssuerSPIFFE)
	}
	return false
}

func (u Use) String() string {
	switch u {
	case Client:
		return "Client"
	case Actor:
		return "Actor"
	case Subject:
	}
	return "Subject"
}

// Verify finds the trusted issuer that a parsed token says it is from, and the
// key that its `kid` names there, and checks the signature with it.
func Verify(ctx context.Context, keys Keys, svc *policy.TokenService, c *jose.Compact, use Use) (*policy.TrustedIssuer, jose.Verified, Proof, *policy.Refusal) {
	fail := func(ref *policy.Refusal) (*policy.TrustedIssuer, jose.Verified, Proof, *policy.Refusal) {
		return nil, jose.Verified{}, Proof{}, ref
	}
	url := Selects(svc, c, use)
	candidates, ref := usable(svc.IssuersByURL(url), use)
	if ref != nil {
		return fail(ref)
	}
	// Before the key: an algorithm that no candidate takes is worth no fetch.
	if !slices.ContainsFunc(candidates, func(i *policy.TrustedIssuer) bool { return slices.Contains(i.Spec().Algorithms, c.Alg()) }) {
		return fail(Deny(policy.TokenSignature, "the token's algorithm is not one of its trusted issuer's"))
	}
	ti, key, ref := find(ctx, keys, candidates, c.KeyID())
	if ref != nil {
		return fail(ref)
	}
	if !use.of(ti.Spec()) {
		return fail(notFor(ti, use))
	}
	v, err := c.Verify(key, ti.Spec().Algorithms)
	if err != nil {
		return fail(Deny(policy.TokenSignature, "TrustedIssuer "+ti.Name()+": "+err.Error()))
	}
	return ti, v, Proof{url: url, name: ti.Name(), digest: ti.Digest(), kid: c.KeyID(), key: key}, nil
}

// Selects is the URL of the trusted issuer that a token says it is from: its `iss`;
// or, of an SVID, that of the trust domain in its sub. A credential's sub comes
// first: a SPIRE server names its OpenID provider as iss, which authenticates nobody.
func Selects(svc *policy.TokenService, c *jose.Compact, use Use) string {
	iss, _ := c.UnverifiedIssuer()
	if use != Client && iss != "" && len(svc.IssuersByURL(iss)) > 0 {
		return iss
	}
	sub, _ := c.UnverifiedClaims()["sub"].(string)
	rest, isSVID := strings.CutPrefix(sub, "spiffe://")
	domain, _, _ := strings.Cut(rest, "/")
	if i, ok := svc.TrustDomain(domain); ok && isSVID {
		return i.Spec().URL
	}
	return iss
}

// usable leaves the issuers that are not suspended, which is as if they were
// absent. One at least must have the use, so that a token that can come to
// nothing does not make us fetch keys.
func usable(all []*policy.TrustedIssuer, use Use) ([]*policy.TrustedIssuer, *policy.Refusal) {
	if len(all) == 0 {
		return nil, Deny(policy.IssuerUnknown, "no TrustedIssuer has the token's iss, byte for byte")
	}
	candidates := all
	if slices.ContainsFunc(all, suspended) {
		candidates = slices.DeleteFunc(slices.Clone(all), suspended)
	}
	if len(candidates) == 0 {
		return nil, Deny(policy.IssuerSuspended, "TrustedIssuer "+all[0].Name()+" is suspended")
	}
	if !slices.ContainsFunc(candidates, func(i *policy.TrustedIssuer) bool { return use.of(i.Spec()) }) {
		return nil, notFor(candidates[0], use)
	}
	return candidates, nil
}

func suspended(i *policy.TrustedIssuer) bool { return i.Spec().Suspended }

func notFor(i *policy.TrustedIssuer, use Use) *policy.Refusal {
	return Deny(policy.IssuerUnknown, "use of TrustedIssuer "+i.Name()+" does not include "+use.String())
}

// find returns the one candidate that has the key, and the key.
func find(ctx context.Context, keys Keys, candidates []*policy.TrustedIssuer, kid string) (*policy.TrustedIssuer, *jose.PublicKey, *policy.Refusal) {
	if len(candidates) == 1 {
		key, err := keys.Keys(ctx, candidates[0].Name(), candidates[0].KeysDigest(), kid)
		if err != nil {
			return nil, nil, missing(candidates, []error{err})
		}
		return candidates[0], key, nil
	}
	ti, key, n := peek(keys, candidates, kid)
	if n == 0 {
		errs := ask(ctx, keys, candidates, kid)
		if ti, key, n = peek(keys, candidates, kid); n == 0 {
			return nil, nil, missing(candidates, errs)
		}
	}
	if n > 1 {
		return nil, nil, Deny(policy.TokenSignature, "two TrustedIssuers with this URL have the token's kid: it is refused in both")
	}
	return ti, key, nil
}

// peek looks for the kid in the keys that are known now.
func peek(keys Keys, candidates []*policy.TrustedIssuer, kid string) (found *policy.TrustedIssuer, key *jose.PublicKey, n int) {
	for _, i := range candidates {
		if k, ok := keys.Peek(i.Name(), i.KeysDigest(), kid); ok {
			found, key = i, k
			n++
		}
	}
	return found, key, n
}

// ask lets every candidate look for the kid at its source, at the same time, so
// that a cluster that does not answer delays only what is nobody else's. The
// number of callers that may wait for one issuer is bounded there.
func ask(ctx context.Context, keys Keys, candidates []*policy.TrustedIssuer, kid string) []error {
	ctx, found := context.WithCancel(ctx)
	defer found()
	errs := make([]error, len(candidates))
	var all sync.WaitGroup
	for n, i := range candidates {
		all.Go(func() {
			if _, errs[n] = keys.Keys(ctx, i.Name(), i.KeysDigest(), kid); errs[n] == nil {
				found()
			}
		})
	}
	all.Wait()
	return errs
}

// missing tells a key that does not exist from keys that cannot be told.
func missing(candidates []*policy.TrustedIssuer, errs []error) *policy.Refusal {
	for _, err := range errs {
		if !errors.Is(err, issuer.ErrKeyUnknown) {
			return &policy.Refusal{Outcome: policy.Unable, Reason: policy.KeysUnavailable, Detail: "the keys of TrustedIssuer " + candidates[0].Name() + " cannot be told now"}
		}
	}
	return Deny(policy.TokenSignature, "TrustedIssuer "+candidates[0].Name()+" has no key with the token's kid")
}

// Malformed says why a token could not be parsed, in the words of a decision.
func Malformed(err error) *policy.Refusal {
	reason := policy.TokenMalformed
	var refused *jose.Error
	if errors.As(err, &refused) {
		switch refused.Code { //nolint:exhaustive // every other code is about the form
		case jose.BadType:
			reason = policy.TokenClass
		case jose.BadAlgorithm, jose.BadSignature:
			reason = policy.TokenSignature
		}
	}
	return Deny(reason, err.Error())
}

// Deny is a refusal that is a verdict.
func Deny(reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: reason, Detail: detail}
}
