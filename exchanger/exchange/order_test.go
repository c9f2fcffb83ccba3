// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/exchange"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// steps notes which steps began, and how the last one ended.
type steps struct {
	mu    sync.Mutex
	names []string
	ends  []*policy.Refusal
}

func (s *steps) Step(ctx context.Context, name string) (context.Context, func(*policy.Refusal)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
	return ctx, func(ref *policy.Refusal) { s.ends = append(s.ends, ref) }
}

// effects are what a request leaves behind.
type effects struct {
	fetches, used, signed int64
	records               int
}

func (w *world) effects() effects {
	return effects{w.fetches.asked.Load(), w.uses.used.Load(), w.signing.taken.Load(), len(w.sink.all())}
}

func without(names ...string) func(*policy.Spec) {
	return func(s *policy.Spec) {
		s.Policies = slices.DeleteFunc(s.Policies, func(p policy.Policy) bool { return slices.Contains(names, p.Name) })
	}
}

// A request that fails at one step has none of the effects of the later ones.
func TestTheOrderOfARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*policy.Spec)
		form   func(*world) url.Values
		call   func(*oauth.Call)
		reason policy.Reason
		steps  string
		want   effects
	}{
		"a form that cannot be read ends before the client": {
			form:   func(w *world) url.Values { return form(w.token(nil), url.Values{"scope": {"images", "images"}}) },
			reason: policy.FormInvalid, steps: "form",
		},
		"another grant ends before the client": {
			form: func(w *world) url.Values {
				return form(w.token(nil), url.Values{"grant_type": {"authorization_code"}})
			},
			reason: policy.GrantUnsupported, steps: "form",
		},
		"a DPoP proof that proves nothing ends before the token is looked at": {
			form: func(w *world) url.Values { return form(w.token(nil), nil) }, call: func(c *oauth.Call) { c.DPoP = []string{"a.b.c"} },
			reason: policy.ProofInvalid, steps: "form client proof",
		},
		"a client that does not authenticate ends before its token is looked at": {
			form:   func(w *world) url.Values { return form(w.token(nil), url.Values{"client_secret": {"wrong"}}) },
			reason: policy.ClientCredentials, steps: "form client",
		},
		"F65: an assertion with a bad signature uses nothing up": {
			form: func(w *world) url.Values {
				good := w.assertion(nil)
				return w.asserted(good[:strings.LastIndexByte(good, '.')+1]+strings.Repeat("A", 86), nil)
			},
			reason: policy.ClientCredentials, steps: "form client",
		},
		"F153: a token of an issuer that nobody trusts ends before its keys are asked for": {
			form: func(w *world) url.Values {
				return form(w.token(claims{"iss": "https://evil.example"}), nil)
			},
			reason: policy.IssuerUnknown, steps: "form client proof subject",
		},
		"a malformed token ends before its keys are asked for": {
			form:   func(*world) url.Values { return form("not.a.token", nil) },
			reason: policy.TokenMalformed, steps: "form client proof subject",
		},
		"a token with a bad signature ends before the policy": {
			form: func(w *world) url.Values {
				good := w.token(nil)
				return form(good[:strings.LastIndexByte(good, '.')+1]+strings.Repeat("A", 86), nil)
			},
			reason: policy.TokenSignature, steps: "form client proof subject", want: effects{fetches: 1},
		},
		"an expired token ends at the decision": {
			form: func(w *world) url.Values {
				return form(w.token(claims{"iat": w.Now().Unix() - 600, "exp": w.Now().Unix() - 300}), nil)
			},
			reason: policy.TokenExpired, steps: "form client proof subject actor decide", want: effects{fetches: 1},
		},
		"F64: what the policy refuses leaves the assertion unused": {
			change: without("app-gets-images"),
			form:   func(w *world) url.Values { return w.asserted(w.assertion(nil), nil) },
			reason: policy.TargetNotGranted, steps: "form client proof subject actor decide", want: effects{fetches: 1},
		},
		"a target that nobody has leaves the assertion unused": {
			form: func(w *world) url.Values {
				return w.asserted(w.assertion(nil), url.Values{"audience": {"media/nobody"}})
			},
			reason: policy.TargetUnknown, steps: "form client proof subject actor decide", want: effects{fetches: 1},
		},
		"F313: what is too large to be minted uses the assertion up, and is not given": {
			change: func(s *policy.Spec) { s.Services[0].TokenBytes = 500 },
			form:   func(w *world) url.Values { return w.asserted(w.assertion(nil), nil) },
			reason: policy.TokenTooLarge, steps: "form client proof subject actor decide revoked consume mint", want: effects{fetches: 1, used: 1, signed: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.change != nil {
				w.change(c.change)
			}
			seen := &steps{}
			w.use.Tracer = seen
			call := w.call(c.form(w))
			if c.call != nil {
				c.call(call)
			}
			refused(t, w.use.Exchange(t.Context(), call), c.reason)
			if got := strings.Join(seen.names, " "); got != c.steps {
				t.Errorf("steps %q, want %q", got, c.steps)
			}
			if end := seen.ends[len(seen.ends)-1]; end == nil || end.Reason != c.reason {
				t.Errorf("the last step's span ended with %v, want %s", end, c.reason)
			}
			c.want.records = 1
			if got := w.effects(); got != c.want {
				t.Errorf("effects %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAGrantedRequestGoesThroughEveryStepOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := &steps{}
	w.use.Tracer = seen
	granted(t, w.exchange(w.asserted(w.assertion(nil), nil)))
	if got := strings.Join(seen.names, " "); got != "form client proof subject actor decide revoked consume mint store" {
		t.Errorf("steps %q", got)
	}
	if got, want := w.effects(), (effects{1, 1, 1, 1}); got != want {
		t.Errorf("effects %+v, want %+v", got, want)
	}
}

func TestAnAssertionIsUsedUpByWhatWasGrantedAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.assertion(nil)
	refused(t, w.exchange(w.asserted(a, url.Values{"scope": {"contacts"}})), policy.ScopeUnknown)
	granted(t, w.exchange(w.asserted(a, nil)))
	refused(t, w.exchange(w.asserted(a, nil)), policy.ReplayDetected)
	if r := w.sink.last(t); len(r.Targets) != 0 || len(r.ScopeGranted) != 0 || r.KeyID != "" || r.TokenID != "" {
		t.Errorf("the record of a refusal says that something was given: %+v", r)
	}
	if got := w.signing.taken.Load(); got != 1 {
		t.Errorf("a key was taken %d times for one token", got)
	}
}

// failing is a store that cannot tell.
type failing struct{ store.Store }

func (failing) Once(context.Context, store.Purpose, string, string, time.Time) (bool, error) {
	return false, store.ErrUnavailable
}

func TestAStoreThatCannotTellLetsNothingBeSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.uses.Store = failing{w.uses.Store}
	refused(t, w.exchange(w.asserted(w.assertion(nil), nil)), policy.StoreUnavailable)
	if w.signing.taken.Load() != 0 {
		t.Error("a signing key was taken")
	}
	granted(t, w.exchange(form(w.token(nil), nil))) // what needs no store goes on
}

func TestF351NoRecordNoToken(t *testing.T) {
	t.Parallel()
	for name, grant := range map[string]bool{"F351: a token that was signed": true, "F351: a refusal": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if !grant {
				w.change(without("app-gets-images"))
			}
			observed := &observer{}
			w.use.Observer = observed
			w.sink.err = errors.New("the disk is full")
			answer := w.exchange(form(w.token(nil), nil))
			refused(t, answer, policy.AuditUnavailable)
			if answer.Refusal.Outcome != policy.Unable || oauth.ErrorFor(answer.Refusal.Reason).Status != 503 {
				t.Errorf("%s answered with %d, want unable and 503", answer.Refusal.Outcome, oauth.ErrorFor(answer.Refusal.Reason).Status)
			}
			got := observed.records
			if len(got) != 1 || got[0].Reason != policy.AuditUnavailable || got[0].Outcome != policy.Unable || got[0].TokenID != "" || got[0].Targets != nil {
				t.Errorf("metrics see %+v, want one refusal without a token", got)
			}
			w.sink.err = nil
			if grant {
				granted(t, w.exchange(form(w.token(nil), nil)))
			}
		})
	}
}

type observer struct{ records []audit.Record }

func (o *observer) Observe(r *audit.Record) { o.records = append(o.records, *r) }

func TestTheRecordIsWrittenBeforeTheTokenLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	released := false
	w.sink.before = func(*audit.Record) {
		if released {
			t.Error("the answer was there before the record")
		}
	}
	granted(t, w.exchange(form(w.token(nil), nil)))
	released = true
	r := w.sink.last(t)
	if r.TokenID == "" || r.KeyID == "" {
		t.Error("the record was written before the token was made: it does not say which")
	}
}

func TestF25ACallerThatWentAwayGetsNothingSigned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		when string
		want effects
	}{
		"F25: before the request was read":      {"form", effects{records: 1}},
		"F25: while the client authenticated":   {"client", effects{records: 1}},
		"F25: while the subject's keys came":    {"subject", effects{fetches: 1, records: 1}},
		"F25: while it was decided":             {"decide", effects{fetches: 1, records: 1}},
		"F25: while the credential was used up": {"consume", effects{fetches: 1, used: 1, records: 1}},
		"F25: while the signature was made":     {"mint", effects{fetches: 1, used: 1, signed: 1, records: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.use.Tracer = hangUp{c.when, cancel}
			refused(t, w.use.Exchange(ctx, w.call(w.asserted(w.assertion(nil), nil))), policy.RequestAborted)
			r := w.sink.last(t)
			if r.Reason != policy.RequestAborted || r.Outcome != policy.Unable || r.TokenID != "" || r.KeyID != "" || r.Targets != nil {
				t.Errorf("the record is not closed as aborted: %+v", r)
			}
			if got := w.effects(); got != c.want {
				t.Errorf("effects %+v, want %+v", got, c.want)
			}
		})
	}
	t.Run("F25: before anything began", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		refused(t, w.use.Exchange(ctx, w.call(form(w.token(nil), nil))), policy.RequestAborted)
		if got, want := w.effects(), (effects{records: 1}); got != want {
			t.Errorf("effects %+v, want %+v", got, want)
		}
	})
}

// hangUp ends the call when a step begins.
type hangUp struct {
	step   string
	cancel context.CancelFunc
}

func (h hangUp) Step(ctx context.Context, name string) (context.Context, func(*policy.Refusal)) {
	if name == h.step {
		h.cancel()
	}
	return ctx, func(*policy.Refusal) {}
}

func TestF149ATokenThatExpiredWhileTheRequestWaitedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.use.Tracer = pause{"mint", func() { w.advance(30 * time.Second) }}
	short := w.token(claims{"exp": w.Now().Unix() + 20})
	refused(t, w.exchange(form(short, nil)), policy.LifetimeTooShort)
	if e := oauth.ErrorFor(policy.LifetimeTooShort); e.Status != 400 || e.Code != "invalid_request" {
		t.Errorf("answered with %d %s, want 400 invalid_request", e.Status, e.Code)
	}
	granted(t, w.exchange(form(w.token(nil), nil)))
}

type pause struct {
	step string
	run  func()
}

func (p pause) Step(ctx context.Context, name string) (context.Context, func(*policy.Refusal)) {
	if name == p.step {
		p.run()
	}
	return ctx, func(*policy.Refusal) {}
}

var _ = []exchange.Tracer{&steps{}, hangUp{}, pause{}}
