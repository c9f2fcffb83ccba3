// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

const (
	// linkDue is when a stored token is renewed: its next user has to have some time
	// for it.
	linkDue = 60 * time.Second
	// linkTurn is how long one replica has to renew a token, before another tries: a
	// question takes 5 s at most.
	linkTurn = 15 * time.Second
)

// link is a user's token of a provider, as it is stored, sealed.
type link struct {
	AccessToken  string    `json:"a"`
	RefreshToken string    `json:"r,omitempty"`
	Scope        string    `json:"s,omitempty"`
	ExpiresAt    time.Time `json:"e,omitzero"`
	// At is when it was stored, or renewed.
	At time.Time `json:"t"`
}

// String keeps tokens out of whatever is printed.
func (link) String() string { return "[redacted]" }

// GoString keeps tokens out of whatever is printed.
func (link) GoString() string { return "[redacted]" }

// Link stores, or removes, tokens that another provider gave a user: for those who
// may have them again, as ExternalTargets with linkedToken of that provider say. The
// user is whose token the client presents, judged as in an exchange.
func (e *Exchanger) Link(ctx context.Context, call *oauth.Call) oauth.Answer {
	return e.answer(ctx, call, []step{
		{"form", (*exchange).linkForm},
		{"client", (*exchange).authenticate},
		{"proof", (*exchange).verifyProof},
		{"subject", (*exchange).verifySubject},
		{"decide", (*exchange).decideLink},
		{"revoked", (*exchange).notRevoked},
		{"consume", (*exchange).consume},
		{"link", (*exchange).storeLink},
	}, func(*exchange) oauth.Answer { return oauth.Answer{Document: []byte(`{"linked":true}`)} })
}

func (x *exchange) linkForm(context.Context) *policy.Refusal {
	x.record.Grant = string(oauth.AskLink)
	p, l, ref := oauth.ParseLink(x.call.Body)
	if ref != nil {
		return ref
	}
	x.params, x.linking = p, l
	return nil
}

// decideLink asks whether the client might have the token that it stores: of any
// external target with that provider.
func (x *exchange) decideLink(ctx context.Context) *policy.Refusal {
	ref := &policy.Refusal{Outcome: policy.Denied, Reason: policy.TargetUnknown, Check: "provider", Detail: "no ExternalTarget has linkedToken of this provider"}
	for _, audience := range x.call.Service.LinkedAudiences(x.linking.Provider) {
		x.params.Audiences = []string{audience}
		x.record.Audiences = x.params.Audiences
		if ref = x.decide(ctx); ref == nil {
			return nil
		}
	}
	return ref
}

// linkID names the link of a user with a provider. The user is of the issuer with that
// URL: one that takes its name has other users. Nothing in it has control characters.
func linkID(g *policy.Grant, provider string) string {
	return strings.Join([]string{g.TokenService, provider, g.Subject.Origin, g.Sealed.OriginURL, g.Subject.Subject}, "\x00")
}

func (x *exchange) storeLink(ctx context.Context) *policy.Refusal {
	g, _ := x.decision.Grant()
	id, l := linkID(g, x.linking.Provider), x.linking
	if l.Unlink {
		if _, _, err := x.Store.Take(ctx, store.Link, id); err != nil {
			return x.unlinked(err)
		}
		return nil
	}
	kept := link{AccessToken: l.AccessToken, RefreshToken: l.RefreshToken, Scope: l.Scope, At: x.now}
	if l.ExpiresIn > 0 {
		kept.ExpiresAt = x.now.Add(time.Duration(l.ExpiresIn) * time.Second)
	}
	sealed, ref := x.sealLink(id, &kept)
	if ref != nil {
		return ref
	}
	if err := x.Store.Put(ctx, store.Link, x.owner(), id, sealed, x.linkEnd(&kept)); err != nil {
		return x.unlinked(err)
	}
	return nil
}

// linkEnd is when a link is forgotten: with the token, where there is nothing to renew
// it by, and when nobody asked for it for as long as sealing keys are kept.
func (x *exchange) linkEnd(l *link) time.Time {
	end := x.now.Add(x.call.Service.Spec().LinkIdle)
	if l.RefreshToken == "" && !l.ExpiresAt.IsZero() && l.ExpiresAt.Before(end) {
		return l.ExpiresAt
	}
	return end
}

func (x *exchange) sealLink(id string, l *link) ([]byte, *policy.Refusal) {
	b, err := json.Marshal(l)
	if err != nil {
		return nil, kept(policy.Denied, policy.TokenMalformed, "the link cannot be written as JSON")
	}
	return x.seal(store.Link, id, b)
}

func (x *exchange) unlinked(err error) *policy.Refusal {
	switch {
	case errors.Is(err, store.ErrQuota):
		return kept(policy.Denied, policy.RateLimited, "ExchangeClient "+x.client.ID+" has as many links in the store as one client may have")
	case errors.Is(err, store.ErrTooLarge):
		return kept(policy.Denied, policy.TokenTooLarge, "the tokens are too large to be stored")
	}
	return kept(policy.Unable, policy.StoreUnavailable, "the store of links cannot be asked now; without one there are none")
}

// linked hands out the user's stored token, renewed when that is due.
func (x *exchange) linked(ctx context.Context, g *policy.Grant) (*foreign, *policy.Refusal) {
	id := linkID(g, g.External.Provider)
	l, sealed, ref := x.findLink(ctx, id)
	if ref != nil {
		return nil, ref
	}
	if l == nil {
		return nil, notLinked(g, "the user has linked no account of provider "+g.External.Provider)
	}
	if !l.ExpiresAt.IsZero() && l.ExpiresAt.Sub(x.now) < linkDue && l.RefreshToken != "" && g.External.Remote != nil {
		if l, ref = x.renewLink(ctx, g, id, l, sealed); ref != nil {
			return nil, ref
		}
	}
	switch {
	case !l.ExpiresAt.IsZero() && !x.now.Before(l.ExpiresAt):
		return nil, notLinked(g, "the linked token of provider "+g.External.Provider+" has ended, and there is nothing to renew it by: link the account again")
	case slices.ContainsFunc(g.Granted, func(s string) bool { return !slices.Contains(strings.Fields(l.Scope), s) }):
		return nil, &policy.Refusal{
			Outcome: policy.Denied, Reason: policy.ScopeNotGranted, Check: checkUpstream,
			Detail: "the linked token of provider " + g.External.Provider + " is not known to have a scope that is asked for",
		}
	}
	return &foreign{value: l.AccessToken, issuedType: oauth.URNAccessToken, tokenType: oauth.TokenTypeBearer, scope: l.Scope, until: l.ExpiresAt}, nil
}

func notLinked(g *policy.Grant, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.UpstreamRefused, Check: checkUpstream, Detail: "ExternalTarget " + g.External.Name + ": " + detail}
}

func (x *exchange) findLink(ctx context.Context, id string) (*link, []byte, *policy.Refusal) {
	sealed, found, err := x.Store.Get(ctx, store.Link, id)
	switch {
	case err != nil:
		return nil, nil, x.unlinked(err)
	case !found:
		return nil, nil, nil
	}
	current, _ := x.Keys.Current(x.call.Service.Name())
	value, ok := unseal(current, store.Link, id, sealed)
	if !ok {
		return nil, nil, nil // Its key is gone: as if it had never been.
	}
	l := &link{}
	if err := json.Unmarshal(value, l); err != nil {
		return nil, nil, kept(policy.Unable, policy.Internal, "the link is not what was stored")
	}
	return l, sealed, nil
}

// renewLink renews a link at its provider (RFC 6749 section 6). One replica does it at
// a time, since a provider may take a refresh token once only; the others hand out the
// old token while it lasts.
func (x *exchange) renewLink(ctx context.Context, g *policy.Grant, id string, l *link, sealed []byte) (*link, *policy.Refusal) {
	turn := sha256.Sum256(sealed)
	mine, err := x.Store.Once(ctx, store.Link, id, base64.RawURLEncoding.EncodeToString(turn[:]), x.now.Add(linkTurn))
	switch {
	case (err != nil || !mine) && x.now.Before(l.ExpiresAt):
		return l, nil
	case err != nil:
		return nil, x.unlinked(err)
	case !mine:
		if again, _, ref := x.findLink(ctx, id); ref == nil && again != nil && x.now.Before(again.ExpiresAt) {
			return again, nil // Somebody has renewed it meanwhile.
		}
		return nil, outage("the linked token is being renewed: try again")
	}
	if x.Upstream == nil {
		return nil, outage("nobody asks other servers here")
	}
	at := &upstream.Server{Name: policy.ExternalUpstream(g.External.Name), TokenService: g.TokenService, Upstream: *g.External.Remote}
	t, err := x.Upstream.Token(ctx, at, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {l.RefreshToken}})
	var no *upstream.Refused
	switch {
	case errors.As(err, &no):
		return nil, notLinked(g, "provider "+g.External.Provider+" does not renew the linked token ("+no.Error()+"): link the account again")
	case err != nil && x.now.Before(l.ExpiresAt):
		return l, nil
	case err != nil:
		return nil, upstreamRefusal(err, g.External.Name)
	}
	next := &link{AccessToken: t.AccessToken, RefreshToken: l.RefreshToken, Scope: l.Scope, At: x.now}
	if t.RefreshToken != "" {
		next.RefreshToken = t.RefreshToken
	}
	if t.ScopeGiven {
		next.Scope = t.Scope
	}
	if t.ExpiresIn > 0 {
		next.ExpiresAt = x.now.Add(time.Duration(t.ExpiresIn) * time.Second)
	}
	again, ref := x.sealLink(id, next)
	if ref != nil {
		return nil, ref
	}
	// What was stored or removed meanwhile stays; this request has its token all the
	// same. A link that is lost here would have to be made anew, so that is said.
	if _, err := x.Store.Swap(context.WithoutCancel(ctx), store.Link, id, sealed, again, x.linkEnd(next)); err != nil {
		return nil, x.unlinked(err)
	}
	return next, nil
}
