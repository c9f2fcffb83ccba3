// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
	"github.com/exchequer-dev/exchequer/exchanger/mint"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
)

// SigningKeys gives a token service's keys of this moment.
type SigningKeys interface {
	Current(service string) (*keys.Current, bool)
}

// Auditor writes one record, durably as far as its sink goes, before it returns.
type Auditor interface {
	Write(r *audit.Record) error
}

// Observer sees every record after it was written; it must not keep or change it.
type Observer interface {
	Observe(r *audit.Record)
}

// Tracer opens one span per step; the returned function ends it.
type Tracer interface {
	Step(ctx context.Context, name string) (context.Context, func(*policy.Refusal))
}

// Exchanger carries out token exchanges. All fields but Observer, Tracer, Rates
// and Failures are required. It is safe for concurrent use.
type Exchanger struct {
	Clients  *clientauth.Authenticator
	Subjects *subject.Verifier
	Keys     SigningKeys
	Audit    Auditor
	// Now is the clock.
	Now func() time.Time
	// Rates bounds what an authenticated client may ask, Failures how often
	// authentication may fail.
	Rates    *limit.Rates
	Failures *limit.Failures
	Observer Observer
	Tracer   Tracer

	minter mint.Minter
}

// Exchange answers one call.
func (e *Exchanger) Exchange(ctx context.Context, call *oauth.Call) oauth.Answer {
	x := &exchange{Exchanger: e, call: call, now: e.Now().UTC()}
	x.record = audit.Record{
		Time: x.now, CorrelationID: call.CorrelationID, TokenService: call.Service.Name(), Revision: call.Snapshot.Revision(),
	}
	ref := x.run(ctx)
	if ref == nil {
		x.record.Outcome = policy.Allowed
	} else {
		x.refuse(ref)
	}
	x.presented()
	x.record.Duration = e.Now().Sub(call.Start)
	if err := e.Audit.Write(&x.record); err != nil {
		ref = &policy.Refusal{Outcome: policy.Unable, Reason: policy.AuditUnavailable, Check: "audit", Detail: err.Error()}
		x.refuse(ref)
	}
	if e.Observer != nil {
		e.Observer.Observe(&x.record)
	}
	if ref != nil {
		return oauth.Answer{Refusal: ref}
	}
	return oauth.Answer{Response: x.response()}
}

// exchange is one request under way.
type exchange struct {
	*Exchanger
	call   *oauth.Call
	now    time.Time
	record audit.Record

	params   *oauth.Params
	client   clientauth.Authenticated
	subject  *policy.Token
	decision policy.Decision
	token    mint.Token
	// assertion is the digest of the client's assertion, where it was needed.
	assertion [sha256.Size]byte
}

// step is one step of an exchange, in the order of [exchange.run].
type step struct {
	name string
	run  func(*exchange, context.Context) *policy.Refusal
}

// run goes through the steps. The order is the product's: nothing costly before
// the client is known, nothing used up before the policy agreed, nothing signed
// before that.
func (x *exchange) run(ctx context.Context) *policy.Refusal {
	for _, s := range [...]step{
		{"form", (*exchange).form},
		{"client", (*exchange).authenticate},
		{"subject", (*exchange).verifySubject},
		{"decide", (*exchange).decide},
		{"consume", (*exchange).consume},
		{"mint", (*exchange).mint},
	} {
		if ctx.Err() != nil {
			return aborted(s.name)
		}
		var ref *policy.Refusal
		if x.Tracer == nil {
			ref = s.run(x, ctx)
		} else {
			spanned, end := x.Tracer.Step(ctx, s.name)
			ref = s.run(x, spanned)
			end(ref)
		}
		switch {
		case ref == nil:
		case ref.Outcome == policy.Unable && ctx.Err() != nil:
			// It could not be told because nobody waits for it any more.
			return aborted(s.name)
		default:
			return ref
		}
	}
	if ctx.Err() != nil {
		return aborted("release")
	}
	return nil
}

func aborted(check string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Unable, Reason: policy.RequestAborted, Check: check, Detail: "the caller went away"}
}

// refuse makes the record say that nothing was given, and why.
func (x *exchange) refuse(ref *policy.Refusal) {
	r := &x.record
	r.Outcome, r.Reason, r.Check, r.Detail = ref.Outcome, ref.Reason, ref.Check, ref.Detail
	r.Targets, r.ScopeGranted, r.KeyID, r.TokenID, r.Transaction = nil, nil, "", "", ""
}

func (x *exchange) form(context.Context) *policy.Refusal {
	if x.call.HasDPoP {
		return &policy.Refusal{Outcome: policy.Denied, Reason: policy.ParameterUnsupported, Check: "form", Detail: "a DPoP proof was sent: bound tokens are not served"}
	}
	p, ref := oauth.ParseForm(x.call.Body)
	if ref != nil {
		return ref
	}
	x.params = p
	r := &x.record
	r.Grant, r.Audiences, r.Resources, r.ScopeAsked, r.TokenType = p.GrantType, p.Audiences, p.Resources, p.Scopes, p.TokenType
	return nil
}

func (x *exchange) authenticate(ctx context.Context) *policy.Refusal {
	p := x.params
	c := clientauth.Credentials{ClientID: p.ClientID, ClientSecret: p.ClientSecret, AssertionType: p.ClientAssertionType, Assertion: p.ClientAssertion}
	var ref *policy.Refusal
	c.BasicID, c.BasicSecret, c.BasicPresent, ref = oauth.ParseBasic(x.call.Authorization)
	if ref != nil {
		return ref
	}
	id := c.ClientID
	if c.BasicPresent {
		id = c.BasicID
	}
	if _, known := x.call.Service.Client(id); known {
		x.record.Client = id
	}
	if c.Assertion != "" {
		// Nobody has vouched yet for whom it names, and a signature is not found by
		// guessing. Counted by its digest, one that is sent over and over locks out
		// itself alone, and nobody else who comes from the same address.
		x.assertion = sha256.Sum256([]byte(c.Assertion))
		id = string(x.assertion[:])
	}
	if x.Failures != nil && !x.Failures.Allow(id, x.call.Peer, x.now) {
		return limited("too many failed authentications")
	}
	x.client, ref = x.Clients.Authenticate(ctx, x.call.Service, c, x.now)
	if ref != nil {
		if x.Failures != nil && ref.Outcome == policy.Denied && ref.Reason != policy.FormInvalid {
			x.Failures.Failed(id, x.call.Peer, x.now)
		}
		return ref
	}
	x.record.Client = x.client.ID
	s := x.call.Service.Spec()
	if x.Rates != nil && s.ClientRate > 0 && !x.Rates.Allow(s.Name, x.client.ID, s.ClientRate, s.ClientBurst, x.now) {
		return limited("limits.requestsPerSecond of TokenService " + s.Name)
	}
	return nil
}

func limited(detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: policy.RateLimited, Check: "rate", Detail: detail}
}

func (x *exchange) verifySubject(ctx context.Context) *policy.Refusal {
	t, ref := x.Subjects.Verify(ctx, x.call.Service, x.params.SubjectToken, x.now)
	if ref != nil {
		return ref
	}
	x.subject = t
	x.record.Subject = audit.Identity{Issuer: t.Issuer, Subject: t.Subject}
	return nil
}

func (x *exchange) decide(context.Context) *policy.Refusal {
	p := x.params
	x.decision = x.call.Snapshot.Decide(&policy.Request{
		Now:           x.now,
		TokenService:  x.call.Service.Name(),
		Client:        x.client.ClientAuth,
		Subject:       x.subject,
		SubjectAs:     p.SubjectAs,
		HasActorToken: p.ActorToken != "",
		Audiences:     p.Audiences,
		Resources:     p.Resources,
		Scopes:        p.Scopes,
		ScopesGiven:   p.ScopeGiven,
		TokenType:     p.TokenType,
	})
	d := &x.decision
	x.record.Trace = d.Trace
	g, ok := d.Grant()
	if !ok {
		return &policy.Refusal{Outcome: d.Outcome, Reason: d.Reason, Check: d.Check, Detail: d.Detail}
	}
	x.record.Targets, x.record.ScopeGranted = g.Targets, g.Granted
	return nil
}

// consume uses up single-use credentials, now that everything else agreed: a
// refused request leaves them as they were.
func (x *exchange) consume(ctx context.Context) *policy.Refusal {
	if x.client.Consume == nil {
		return nil
	}
	return x.client.Consume(ctx)
}

func (x *exchange) mint(ctx context.Context) *policy.Refusal {
	current, _ := x.Keys.Current(x.call.Service.Name())
	t, ref := x.minter.Mint(ctx, &x.decision, current, x.Now)
	if ref != nil {
		return ref
	}
	x.token = t
	x.record.KeyID, x.record.TokenID, x.record.Transaction = t.KeyID, t.TokenID, t.Transaction
	return nil
}

// presented notes the digest of every token that came in; never the token.
func (x *exchange) presented() {
	p := x.params
	if p == nil {
		return
	}
	in := make([][sha256.Size]byte, 0, 3)
	switch {
	case x.subject != nil:
		in = append(in, x.subject.Digest)
	case p.SubjectToken != "":
		in = append(in, sha256.Sum256([]byte(p.SubjectToken)))
	}
	if p.ActorToken != "" {
		in = append(in, sha256.Sum256([]byte(p.ActorToken)))
	}
	switch {
	case x.assertion != [sha256.Size]byte{}:
		in = append(in, x.assertion)
	case p.ClientAssertion != "":
		in = append(in, sha256.Sum256([]byte(p.ClientAssertion)))
	}
	x.record.TokensIn = in
}

func (x *exchange) response() *oauth.Response {
	g, _ := x.decision.Grant()
	return &oauth.Response{
		AccessToken:     x.token.Value,
		IssuedTokenType: oauth.TokenTypeURN(g.TokenType),
		TokenType:       oauth.TokenTypeBearer,
		ExpiresIn:       x.token.ExpiresIn,
		Scope:           strings.Join(g.Scopes, " "),
	}
}

// Refused records and counts a call that never became an exchange: it could not
// be read, or it made the exchange panic.
func (e *Exchanger) Refused(_ context.Context, call *oauth.Call, ref *policy.Refusal) {
	r := &audit.Record{
		Time: e.Now().UTC(), CorrelationID: call.CorrelationID, Outcome: ref.Outcome, Reason: ref.Reason, Check: ref.Check, Detail: ref.Detail,
	}
	if call.Service != nil {
		r.TokenService = call.Service.Name()
	}
	if call.Snapshot != nil {
		r.Revision = call.Snapshot.Revision()
	}
	if !call.Start.IsZero() {
		r.Duration = r.Time.Sub(call.Start)
	}
	// Nothing was given out, so a record that cannot be written costs nobody a
	// token; the sink's own failure is counted with the next exchange.
	_ = e.Audit.Write(r)
	if e.Observer != nil {
		e.Observer.Observe(r)
	}
}
