// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

// VerifyOpaque returns what an opaque token is, as the server of the one issuer says
// that its token type URI selects. No other server ever sees it. A yes is remembered
// for ten seconds, a no is not.
func (v *Verifier) VerifyOpaque(ctx context.Context, svc *policy.TokenService, uri, token string, now time.Time) (*policy.Token, *policy.Refusal) {
	t, ref := v.opaque(ctx, svc, uri, token, now, func(i *policy.Issuer) bool { return i.ForSubject }, trust.Subject)
	if ref != nil {
		return nil, named(ref)
	}
	return t, nil
}

// VerifyOpaqueActor is VerifyOpaque for an actor token, in every respect but its
// issuer's use.
func (v *Verifier) VerifyOpaqueActor(ctx context.Context, svc *policy.TokenService, uri, token string, now time.Time) (*policy.Token, *policy.Refusal) {
	t, ref := v.opaque(ctx, svc, uri, token, now, func(i *policy.Issuer) bool { return i.ForActor }, trust.Actor)
	if ref == nil {
		return t, nil
	}
	of := *ref
	if of.Check == "" {
		of.Check = checkActor
	}
	if of.Reason == policy.SubjectAudience {
		of.Reason = policy.ActorAudience
	}
	return nil, &of
}

func (v *Verifier) opaque(ctx context.Context, svc *policy.TokenService, uri, token string, now time.Time, may func(*policy.Issuer) bool, use trust.Use) (*policy.Token, *policy.Refusal) {
	limit := v.limits.TokenBytes
	if limit <= 0 {
		limit = jose.DefaultTokenBytes
	}
	ti, known := svc.IssuerByTokenType(uri)
	switch {
	case len(token) > limit:
		return nil, trust.Deny(policy.TokenMalformed, "the token is above its limit")
	case !known:
		return nil, trust.Deny(policy.IssuerUnknown, "no TrustedIssuer has the token type as its tokenTypeURI")
	case ti.Spec().Suspended:
		return nil, trust.Deny(policy.IssuerSuspended, "TrustedIssuer "+ti.Name()+" is suspended")
	case !may(ti.Spec()):
		return nil, trust.Deny(policy.IssuerUnknown, "use of TrustedIssuer "+ti.Name()+" does not include "+use.String())
	}
	digest := sha256.Sum256([]byte(token))
	said, err := v.said.get(ctx, askedKey(svc.Name(), ti.Digest(), digest[:]), now, costOfSaid, func(ctx context.Context) (*policy.Said, error) {
		claims, err := v.ask(ctx, svc, ti, uri, token, limit)
		if err != nil {
			return nil, err
		}
		return &policy.Said{Claims: claims, Digest: digest, At: now}, nil
	})
	if err != nil {
		return nil, unanswered(err, "the server of TrustedIssuer "+ti.Name(), policy.TokenRevoked)
	}
	t, ref := ti.MapOpaque(said, now)
	if ref != nil {
		return nil, ref
	}
	return v.settle(ctx, svc, ti, t, now)
}

func costOfSaid(s *policy.Said) int { return 256 + sizeOf(s.Claims) }

// ask puts the question of the issuer's kind.
func (v *Verifier) ask(ctx context.Context, svc *policy.TokenService, ti *policy.TrustedIssuer, uri, token string, limit int) (map[string]any, error) {
	if v.upstream == nil || ti.Spec().Remote == nil {
		return nil, errNobodyAsks
	}
	at := &upstream.Server{Name: policy.IssuerUpstream(ti.Name()), TokenService: svc.Name(), Upstream: *ti.Spec().Remote}
	switch ti.Spec().Kind { //nolint:exhaustive // of the opaque kinds
	case policy.IssuerIntrospection:
		return v.upstream.Introspect(ctx, at, token)
	case policy.IssuerUserInfo:
		return v.upstream.UserInfo(ctx, at, token)
	case policy.IssuerRefreshToken:
		t, err := v.upstream.Redeem(ctx, at, token)
		if err != nil {
			return nil, err
		}
		return redeemed(t, at.Auth, limit)
	case policy.IssuerWebhook:
		answer, err := v.upstream.Verify(ctx, at, &upstream.VerifyRequest{
			TokenService: svc.Name(), TrustedIssuer: ti.Name(), TokenType: uri, Token: token,
		})
		if err != nil {
			return nil, err
		}
		return answer.Claims, nil
	}
	return nil, errNobodyAsks
}

// redeemed reads whose a refresh token was: the ID token that came for it says so.
// That came from the provider itself over TLS, which vouches for it in the place of
// its signature (OpenID Connect Core 1.0, section 3.1.3.7, number 6).
func redeemed(t *upstream.Token, auth *policy.UpstreamAuth, limit int) (map[string]any, error) {
	if t.IDToken == "" {
		return nil, errNoIDToken
	}
	c, err := jose.Parse(t.IDToken, jose.Limits{TokenBytes: limit})
	if err != nil || (c.Type() != "" && c.Type() != "jwt") {
		return nil, errBadIDToken
	}
	claims := c.UnverifiedClaims()
	var audiences []string
	switch aud := claims["aud"].(type) {
	case string:
		audiences = []string{aud}
	case []any:
		for _, a := range aud {
			s, _ := a.(string)
			audiences = append(audiences, s)
		}
	}
	if auth == nil || !slices.Contains(audiences, auth.ClientID) {
		return nil, errOthersIDToken
	}
	if azp, there := claims["azp"]; there && azp != auth.ClientID {
		return nil, errOthersIDToken
	}
	_, hasScope := claims["scope"]
	_, hasScp := claims["scp"]
	if t.ScopeGiven && !hasScope && !hasScp {
		claims["scope"] = t.Scope // what the refresh token was good for
	}
	return claims, nil
}

// The ways in which an answer to a redeemed refresh token does not say whose it was.
var (
	errNoIDToken     = unreadable("its answer has no ID token, so that nobody can tell whose the refresh token was")
	errBadIDToken    = unreadable("its ID token cannot be read")
	errOthersIDToken = unreadable("its ID token is for another client than the one that asked")
)

// unreadable is an answer that is no answer: it is the provider's trouble, or that of
// whoever declared it, and no verdict about the token.
type unreadable string

func (u unreadable) Error() string { return string(u) }
func (u unreadable) Unwrap() error { return upstream.ErrUnavailable }
