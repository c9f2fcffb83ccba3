// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

// Upstream asks the servers of external targets; [upstream.Client] does.
type Upstream interface {
	Token(ctx context.Context, s *upstream.Server, form url.Values) (*upstream.Token, error)
	Target(ctx context.Context, s *upstream.Server, r *upstream.TargetRequest) (*upstream.Token, error)
}

// checkUpstream is the check that refusals of other servers name.
const checkUpstream = "upstream"

// foreign is a token that another server gave.
type foreign struct {
	value, issuedType, tokenType, scope string
	// until is when it ends, zero where its server does not say.
	until time.Time
}

// goesOutside says whether another server is asked for the token; an ID-JAG is minted
// here.
func goesOutside(g *policy.Grant) bool {
	return g.External != nil && g.External.Kind != policy.ExternalIDJAG
}

// external gets the token of an external target: one that is kept, or a new one. The
// policy has decided already, each time anew.
func (x *exchange) external(ctx context.Context, g *policy.Grant) *policy.Refusal {
	if g.External.Kind == policy.ExternalLinkedToken {
		t, ref := x.linked(ctx, g)
		x.foreign = t
		return ref
	}
	key, err := x.foreignKey(g)
	if err != nil {
		return &policy.Refusal{Outcome: policy.Unable, Reason: policy.Internal, Check: checkUpstream, Detail: "the request cannot be named"}
	}
	if !g.External.NoCache {
		if x.foreign = x.kept(ctx, &key); x.foreign != nil {
			return nil
		}
	}
	t, ref := x.ask(ctx, g)
	if ref != nil {
		return ref
	}
	x.foreign = t
	if !g.External.NoCache {
		x.keep(key, t)
	}
	return nil
}

// ask mints what the other server is shown, and asks it.
func (x *exchange) ask(ctx context.Context, g *policy.Grant) (*foreign, *policy.Refusal) {
	if x.Upstream == nil || g.External.Remote == nil {
		return nil, outage("nobody asks other servers here")
	}
	shown := x.params.SubjectToken
	if g.Assertion != nil {
		current, _ := x.Keys.Current(x.call.Service.Name())
		t, ref := x.minter.Mint(ctx, &x.decision, current, x.Now)
		if ref != nil {
			return nil, ref
		}
		shown = t.Value
		x.record.KeyID, x.record.TokenID, x.record.Transaction = t.KeyID, t.TokenID, t.Transaction
	}
	at := &upstream.Server{Name: policy.ExternalUpstream(g.External.Name), TokenService: g.TokenService, Upstream: *g.External.Remote}
	var t *upstream.Token
	var err error
	if g.External.Kind == policy.ExternalWebhook {
		t, err = x.Upstream.Target(ctx, at, x.targetRequest(g, shown))
	} else {
		t, err = x.Upstream.Token(ctx, at, x.upstreamForm(g, shown))
	}
	if err != nil {
		return nil, upstreamRefusal(err, g.External.Name)
	}
	return x.accept(g, t)
}

// upstreamForm is the request at the other server's token endpoint.
func (x *exchange) upstreamForm(g *policy.Grant, shown string) url.Values {
	e := g.External
	form := url.Values{}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	switch e.Kind { //nolint:exhaustive // the others have no token endpoint that is asked
	case policy.ExternalTokenExchange:
		form.Set("grant_type", oauth.GrantTokenExchange)
		form.Set("subject_token", shown)
		form.Set("subject_token_type", oauth.URNJWT)
		set("audience", e.UpstreamAudience)
		set("resource", e.UpstreamResource)
		form.Set("requested_token_type", oauth.TokenTypeURN(g.TokenType))
		if e.Forward {
			form.Set("subject_token_type", presentedURN(x.subject.Class, x.params.SubjectURI))
			if x.actor != nil {
				form.Set("actor_token", x.params.ActorToken)
				form.Set("actor_token_type", presentedURN(x.actor.Class, x.params.ActorURI))
			}
		}
	case policy.ExternalJWTBearer:
		form.Set("grant_type", oauth.GrantJWTBearer)
		form.Set("assertion", shown)
	case policy.ExternalClientCredentials:
		form.Set("grant_type", "client_credentials")
		form.Set("client_id", g.Assertion.Subject) // RFC 7521 section 4.2: it is that of the assertion
		if i := slices.IndexFunc(e.Names, func(a policy.Alias) bool { return a.Client == g.ClientID || a.Client == "" }); i >= 0 {
			form.Set("client_id", e.Names[i].ID)
		}
		form.Set("client_assertion_type", oauth.AssertionTypeJWT)
		form.Set("client_assertion", shown)
	default:
	}
	if len(g.Granted) > 0 {
		set("scope", strings.Join(g.Granted, " "))
	} else {
		set("scope", e.UpstreamScope)
	}
	return form
}

// presentedURN is what a token is presented as elsewhere: what it is here.
func presentedURN(c policy.Class, uri string) string {
	switch c { //nolint:exhaustive // the others are JWTs
	case policy.ClassAccessToken:
		return oauth.URNAccessToken
	case policy.ClassIDToken:
		return oauth.URNIDToken
	case policy.ClassSAML2:
		return oauth.URNSAML2
	case policy.ClassOpaque, policy.ClassRefreshToken:
		return uri
	}
	return oauth.URNJWT
}

func (x *exchange) targetRequest(g *policy.Grant, shown string) *upstream.TargetRequest {
	s := g.Subject
	r := &upstream.TargetRequest{
		TokenService: g.TokenService, ExternalTarget: g.External.Name, Audiences: g.Audiences, Scopes: g.Granted, Client: g.ClientID,
		Subject: upstream.TargetSubject{Issuer: s.Origin, Subject: s.Subject, Username: s.Username, Groups: s.Groups},
	}
	if r.Scopes == nil {
		r.Scopes = []string{}
	}
	if len(g.Sealed.Actors) > 0 {
		a := identityOf(&g.Sealed.Actors[0])
		r.Actor = &upstream.TargetSubject{Issuer: a.Issuer, Subject: a.Subject}
	}
	if g.Assertion != nil {
		r.Assertion = shown
	} else {
		r.SubjectToken = shown
	}
	return r
}

// accept judges what the other server gave. It may give less than was asked, and not
// more: what nobody asked for was decided by nobody here.
func (x *exchange) accept(g *policy.Grant, t *upstream.Token) (*foreign, *policy.Refusal) {
	asked := g.Granted
	if len(asked) == 0 {
		asked = strings.Fields(g.External.UpstreamScope)
	}
	scope := strings.Join(asked, " ")
	if t.ScopeGiven {
		given := strings.Fields(t.Scope)
		beyond := slices.ContainsFunc(given, func(s string) bool { return !slices.Contains(asked, s) })
		if len(asked) > 0 && beyond {
			return nil, &policy.Refusal{
				Outcome: policy.Denied, Reason: policy.UpstreamRefused, Check: checkUpstream,
				Detail: "the server of ExternalTarget " + g.External.Name + " gave scopes that were not asked for",
			}
		}
		scope = strings.Join(given, " ")
	}
	f := &foreign{value: t.AccessToken, issuedType: t.IssuedTokenType, tokenType: t.TokenType, scope: scope}
	if f.issuedType == "" {
		f.issuedType = oauth.URNAccessToken
	}
	if strings.EqualFold(f.tokenType, oauth.TokenTypeBearer) {
		f.tokenType = oauth.TokenTypeBearer
	}
	if t.ExpiresIn > 0 {
		f.until = x.now.Add(time.Duration(t.ExpiresIn) * time.Second)
	}
	return f, nil
}

// upstreamRefusal says what another server's error means for the caller: nothing of
// what it said itself.
func upstreamRefusal(err error, name string) *policy.Refusal {
	who := "the server of ExternalTarget " + name + ": "
	var no *upstream.Refused
	if !errors.As(err, &no) {
		return outage(who + err.Error())
	}
	ref := &policy.Refusal{Outcome: policy.Denied, Reason: policy.UpstreamRefused, Check: checkUpstream, Detail: who + no.Error()}
	switch no.Code {
	case "invalid_scope", "insufficient_scope":
		ref.Reason = policy.ScopeNotGranted
	case "invalid_target":
		ref.Reason = policy.TargetNotGranted
	}
	return ref
}

func outage(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Unable, Reason: policy.UpstreamUnavailable, Check: checkUpstream, Detail: detail}
}

// foreignResponse is the answer with another server's token.
func (x *exchange) foreignResponse() *oauth.Response {
	f := x.foreign
	r := &oauth.Response{AccessToken: f.value, IssuedTokenType: f.issuedType, TokenType: f.tokenType, Scope: f.scope}
	if !f.until.IsZero() {
		r.ExpiresIn = max(1, int64(f.until.Sub(x.now)/time.Second))
	}
	return r
}
