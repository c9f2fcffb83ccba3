// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"net/url"
	"sync"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

// introspecting is another server that is asked about tokens, and keeps what it saw.
type introspecting struct {
	subject.Upstream
	mu   sync.Mutex
	seen []string
}

func (i *introspecting) Introspect(_ context.Context, _ *upstream.Server, token string) (map[string]any, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen = append(i.seen, token)
	return nil, upstream.ErrUnavailable
}

// session is the token type of an issuer of opaque tokens, who may act.
const session = "urn:corp:session"

func sessions(s *policy.Spec) {
	s.Issuers = append(s.Issuers, policy.Issuer{
		Name: "sessions", TokenService: mainService, URL: session, Kind: policy.IssuerIntrospection, TokenTypeURI: session,
		Prefix: "session:", ForSubject: true, ForActor: true, Classes: []policy.Class{policy.ClassOpaque},
		Remote: &policy.Upstream{URL: "https://sessions.example/introspect"},
	})
}

func TestWhatAnOpaqueTokenStandsForIsShownToNoOtherServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, opaque, chaining, sessions, admitting)
	other := &introspecting{}
	w.use.Subjects = subject.New(w.fetches, w.ring, subject.Options{Upstream: other})
	handle := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	as := url.Values{"actor_token": {handle}, "actor_token_type": {session}}
	if a := w.exchange(form(w.token(nil), as)); a.Refusal == nil {
		t.Error("it acts")
	}
	for _, token := range other.seen {
		if token != handle {
			t.Errorf("the other server was shown %.20s..., want nothing but what was sent, %.8s...", token, handle)
		}
	}
	if len(other.seen) == 0 {
		t.Error("the other server was not asked")
	}
}

func TestAnActorIsNotForgottenWhereTheSubjectTokenIsForwarded(t *testing.T) {
	t.Parallel()
	forwarding := func(kind policy.ExternalKind) func(*policy.Spec) {
		return func(s *policy.Spec) {
			for i := range s.Externals {
				if e := &s.Externals[i]; e.Name == "partner" {
					e.Kind, e.Forward, e.Actor = kind, true, s.Policies[0].Actor
				}
			}
		}
	}
	t.Run("a token exchange is told of the actor", func(t *testing.T) {
		t.Parallel()
		w, up := abroad(t, admitting, forwarding(policy.ExternalTokenExchange))
		bob := w.token(claims{"sub": "bob"})
		granted(t, w.foreign(w.token(nil), acting(bob, nil)))
		if got := up.forms[0].Get("actor_token"); got != bob {
			t.Errorf("actor_token %.8q", got)
		}
	})
	t.Run("a JWT as grant has no room for one", func(t *testing.T) {
		t.Parallel()
		w, up := abroad(t, admitting, forwarding(policy.ExternalJWTBearer))
		refused(t, w.foreign(w.token(nil), acting(w.token(claims{"sub": "bob"}), nil)), policy.ActorForbidden)
		if n := up.asked.Load(); n != 0 {
			t.Errorf("the other server was asked %d times", n)
		}
		granted(t, w.foreign(w.token(nil), nil))
	})
}

// corpAnew makes corp another issuer's, of the same name and with the same prefix.
func corpAnew(s *policy.Spec) { s.Issuers[0].URL = "https://login.successor.example" }

func TestWhatOneIssuerVouchedForEndsWhenItsNameIsAnothers(t *testing.T) {
	t.Parallel()
	t.Run("a refresh token renews nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshOffline))
		r := w.renewable(t, nil)
		w.change(corpAnew)
		refused(t, w.exchange(renewing(r.RefreshToken, nil)), policy.IssuerUnknown)
	})
	t.Run("nor one of which an actor was vouched for", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshOffline), admitting)
		first := granted(t, w.exchange(form(w.token(nil), acting(w.token(claims{"sub": "bob"}), wanting(wantRefresh)))))
		w.change(corpAnew)
		refused(t, w.exchange(renewing(first.RefreshToken, nil)), policy.IssuerUnknown)
	})
	t.Run("a linked account is not that of a namesake", func(t *testing.T) {
		t.Parallel()
		w, _ := abroad(t)
		if a := w.link(t, w.token(nil), nil); a.Refusal != nil {
			t.Fatal(a.Refusal)
		}
		box := url.Values{"audience": {boxAPI}}
		granted(t, w.foreign(w.token(nil), box))
		w.change(corpAnew)
		refused(t, w.foreign(w.token(claims{"iss": "https://login.successor.example"}), box), policy.UpstreamRefused)
	})
}
