// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
	"github.com/exchequer-dev/exchequer/exchanger/mint"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/store"
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
	// Store has the one-time state of everybody: what may be used once, and what is
	// kept from one request to the next.
	Store store.Store
	// Proofs verifies proofs of possession.
	Proofs *proof.Verifier
	// Now is the clock.
	Now func() time.Time
	// Rates bounds what an authenticated client may ask, Failures how often
	// authentication may fail.
	Rates    *limit.Rates
	Failures *limit.Failures
	Observer Observer
	Tracer   Tracer
	// Upstream asks the servers of external targets; nil: nobody can, and there are no
	// tokens of theirs.
	Upstream Upstream

	minter mint.Minter
	// outside are tokens of other servers that may be handed out again.
	outside foreignTokens
}

// Exchange answers one call, to whichever of the endpoints it came.
func (e *Exchanger) Exchange(ctx context.Context, call *oauth.Call) oauth.Answer {
	switch call.Ask {
	case oauth.AskIntrospection:
		return e.Introspect(ctx, call)
	case oauth.AskRevocation:
		return e.Revoke(ctx, call)
	case oauth.AskLink:
		return e.Link(ctx, call)
	case oauth.AskToken:
	}
	return e.answer(ctx, call, exchanging, func(x *exchange) oauth.Answer { return oauth.Answer{Response: x.response()} })
}

// answer goes through the steps, writes the record, and gives what came of it.
func (e *Exchanger) answer(ctx context.Context, call *oauth.Call, steps []step, give func(*exchange) oauth.Answer) oauth.Answer {
	x := &exchange{Exchanger: e, call: call, now: e.Now().UTC()}
	x.record = audit.Record{
		Time: x.now, CorrelationID: call.CorrelationID, TokenService: call.Service.Name(), Revision: call.Snapshot.Revision(),
		Endpoint: string(call.Ask),
	}
	ref := x.run(ctx, steps)
	switch {
	case ref != nil:
		x.refuse(ref)
	case x.inactive != nil:
		x.nothing(x.inactive)
	default:
		x.record.Outcome = policy.Allowed
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
		x.takeBack(ctx)
		a := oauth.Answer{Refusal: ref, DPoPNonce: x.nonce(ref)}
		if x.params != nil {
			a.Grant = x.params.Grant
		}
		return a
	}
	a := give(x)
	a.DPoPNonce = x.nonce(nil)
	return a
}

// exchange is one request under way.
type exchange struct {
	*Exchanger
	call   *oauth.Call
	now    time.Time
	record audit.Record

	params *oauth.Params
	client clientauth.Authenticated
	proof  policy.Proof
	// fresh says that the DPoP proof was made with a nonce of ours.
	fresh   bool
	subject *policy.Token
	actor   *policy.Token
	// directory is what a directory knows of the requested subject.
	directory *policy.KnownSubject
	// inactive is why the token that a question is about is good for nothing.
	inactive *policy.Refusal
	// uses are what is used up when everything else agreed.
	uses     []func(context.Context) *policy.Refusal
	decision policy.Decision
	token    mint.Token
	// foreign is the token of another server, nil for ours.
	foreign *foreign
	// linking is what is to be stored for the user, nil for every other request.
	linking *oauth.Link
	// family is what the refresh token renews, as the store has it (familySealed); nil
	// for every other grant. refreshToken is the one that leaves.
	family       *keptFamily
	familySealed []byte
	refreshToken string
	// undo takes back what was kept, should the answer not leave.
	undo []func(context.Context)
	// assertion is the digest of the client's assertion, where it was needed.
	assertion [sha256.Size]byte
}

// step is one step of an exchange, in the order of [exchange.run].
type step struct {
	name string
	run  func(*exchange, context.Context) *policy.Refusal
}

// exchanging are the steps of an exchange. The order is the product's: nothing costly
// before the client is known, nothing used up before the policy agreed, nothing signed
// before that.
var exchanging = []step{ //nolint:gochecknoglobals // a table, never changed
	{"form", (*exchange).form},
	{"client", (*exchange).authenticate},
	{"proof", (*exchange).verifyProof},
	{"subject", (*exchange).verifySubject},
	{"actor", (*exchange).verifyActor},
	{"decide", (*exchange).decide},
	{"revoked", (*exchange).notRevoked},
	{"consume", (*exchange).consume},
	{"mint", (*exchange).mint},
	{"store", (*exchange).keepTokens},
}

// run goes through the steps.
func (x *exchange) run(ctx context.Context, steps []step) *policy.Refusal {
	for _, s := range steps {
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

// nothing makes the record say that a question was answered by no, and why.
func (x *exchange) nothing(ref *policy.Refusal) {
	r := &x.record
	r.Outcome, r.Reason, r.Check, r.Detail = ref.Outcome, ref.Reason, ref.Check, ref.Detail
}

// refuse makes the record say that nothing was given, and why.
func (x *exchange) refuse(ref *policy.Refusal) {
	x.nothing(ref)
	r := &x.record
	r.Targets, r.ScopeGranted, r.KeyID, r.TokenID, r.Transaction = nil, nil, "", "", ""
}

// Refused records and counts a call that never became an exchange: it could not
// be read, or it made the exchange panic.
func (e *Exchanger) Refused(_ context.Context, call *oauth.Call, ref *policy.Refusal) {
	r := &audit.Record{
		Time: e.Now().UTC(), CorrelationID: call.CorrelationID, Outcome: ref.Outcome, Reason: ref.Reason, Check: ref.Check, Detail: ref.Detail,
		Endpoint: string(call.Ask), Grant: string(call.Ask),
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
