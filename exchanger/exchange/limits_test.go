// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) from(peer string, v url.Values) oauth.Answer {
	call := w.call(v)
	call.Peer = netip.MustParseAddr(peer)
	return w.use.Exchange(w.tb.Context(), call)
}

func TestF76GuessingSecretsIsSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const attacker, elsewhere = "192.0.2.66", "192.0.2.7"
	guess := form(w.token(nil), url.Values{"client_secret": {"wrong"}})
	right := form(w.token(nil), nil)
	for i := range 60 {
		if a := w.from(attacker, guess); a.Refusal.Reason != policy.ClientCredentials {
			t.Fatalf("guess %d: %v", i, a.Refusal)
		}
	}
	refused(t, w.from(attacker, guess), policy.RateLimited)
	if r := w.sink.last(t); r.Client != app || r.Check != "rate" {
		t.Errorf("the record does not say whose secret was guessed: %+v", r)
	}
	if e := oauth.ErrorFor(policy.RateLimited); e.Status != 429 || e.RetryAfter == 0 {
		t.Errorf("answered with %d, Retry-After %d", e.Status, e.RetryAfter)
	}
	t.Run("F76: also the right one does not show from there", func(t *testing.T) { refused(t, w.from(attacker, right), policy.RateLimited) })
	t.Run("F76: the client goes on from elsewhere", func(t *testing.T) { granted(t, w.from(elsewhere, right)) })
	t.Run("F76: other clients go on from there", func(t *testing.T) { granted(t, w.from(attacker, w.asserted(w.assertion(nil), nil))) })
	t.Run("F76: after a while a few tries are free again", func(t *testing.T) {
		w.advance(7 * time.Second)
		granted(t, w.from(attacker, right))
	})
	t.Run("F76: names that nobody has are one address's in the end", func(t *testing.T) {
		last := oauth.Answer{}
		for i := range 300 {
			last = w.from("198.51.100.1", form("a.b.c", url.Values{"client_id": {fmt.Sprintf("shop/guess-%d", i)}}))
		}
		refused(t, last, policy.RateLimited)
	})
}

// Assertions that come without client_id have no name to count under. A broken
// one must not lock out the others that come from the same address, such as
// everybody behind one ingress.
func TestABrokenAssertionLocksOutItselfAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.advance(10 * time.Minute)
	old := w.Now().Add(-9 * time.Minute).Unix()
	broken := w.assertion(claims{"iat": old, "exp": old + 60})
	for range 60 {
		refused(t, w.exchange(w.asserted(broken, nil)), policy.ClientCredentials)
	}
	refused(t, w.exchange(w.asserted(broken, nil)), policy.RateLimited)
	granted(t, w.exchange(w.asserted(w.assertion(nil), nil)))
}

func TestMalformedRequestsAreNotCountedAsGuesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 200 {
		refused(t, w.exchange(form(w.token(nil), url.Values{"client_assertion": {"x"}})), policy.FormInvalid)
	}
	granted(t, w.exchange(form(w.token(nil), nil)))
}

func TestAClientsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change(func(s *policy.Spec) { s.Services[0].ClientRate, s.Services[0].ClientBurst = 1, 2 })
	v := form(w.token(nil), nil)
	for range 50 { // wrong secrets cost the client nothing
		w.from("203.0.113.9", form("a.b.c", url.Values{"client_secret": {"wrong"}}))
	}
	granted(t, w.exchange(v))
	granted(t, w.exchange(v))
	refused(t, w.exchange(v), policy.RateLimited)
	if r := w.sink.last(t); r.Client != app || r.Subject.Subject != "" {
		t.Errorf("record of a request above the rate: %+v", r)
	}
	granted(t, w.exchange(w.asserted(w.assertion(nil), nil))) // another client's
	w.advance(time.Second)
	granted(t, w.exchange(v))
	refused(t, w.exchange(v), policy.RateLimited)
	w.change(func(s *policy.Spec) { s.Services[0].ClientRate = 0 })
	granted(t, w.exchange(v))
}
