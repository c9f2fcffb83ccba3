// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func suspended(id string) func(*policy.Spec) {
	return func(s *policy.Spec) {
		for i := range s.Clients {
			if s.Clients[i].ID == id {
				s.Clients[i].Suspended = true
			}
		}
	}
}

func TestF79OneSnapshotDecidesARequestFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"form", "client", "subject", "decide", "consume", "mint"} {
		t.Run("F79: the client is suspended when step "+step+" begins", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v := form(w.token(nil), nil)
			w.use.Tracer = pause{step, func() { w.change(suspended(app), without("app-gets-images")) }}
			call := w.call(v)
			granted(t, w.use.Exchange(t.Context(), call))
			if r := w.sink.last(t); r.Revision != 1 {
				t.Errorf("revision %d decided, want the one that the request came with", r.Revision)
			}
			w.use.Tracer = nil
			refused(t, w.exchange(v), policy.ClientSuspended)
			if r := w.sink.last(t); r.Revision != 2 {
				t.Errorf("revision %d decided, want the new one", r.Revision)
			}
		})
	}
}

func TestF224EveryDecisionIsOneRevisionsWhileTheyChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(nil)
	v := form(token, nil)
	// Even revisions grant a minute, odd ones refuse; the first is odd, and grants
	// five minutes.
	base := *w.spec
	refuse := func(s *policy.Spec) { s.Policies = nil }
	grant := func(s *policy.Spec) {
		s.Policies = append([]policy.Policy(nil), manifests(w.corp, w.signer).Policies...)
		for i := range s.Policies {
			s.Policies[i].Lifetime = time.Minute
		}
	}
	w.spec = &base
	type seen struct {
		answer oauth.Answer
		id     string
	}
	stop := make(chan struct{})
	results := make([][]seen, 4)
	var group sync.WaitGroup
	for worker := range results {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				call := w.call(v)
				results[worker] = append(results[worker], seen{w.use.Exchange(t.Context(), call), call.CorrelationID})
			}
		})
	}
	for range 300 {
		w.change(grant)
		w.change(refuse)
	}
	close(stop)
	group.Wait()
	revisions := map[string]uint64{}
	for _, r := range w.sink.all() {
		revisions[r.CorrelationID] = r.Revision
	}
	count := map[bool]int{}
	for _, worker := range results {
		for _, s := range worker {
			revision := revisions[s.id]
			want := int64(60)
			if revision == 1 {
				want = 300
			}
			allowed := revision%2 == 0 || revision == 1
			count[allowed]++
			switch {
			case revision == 0:
				t.Fatalf("request %s has no record", s.id)
			case allowed && (s.answer.Response == nil || s.answer.Response.ExpiresIn != want):
				t.Fatalf("revision %d: %+v, want a token of %d s", revision, s.answer, want)
			case !allowed && (s.answer.Refusal == nil || s.answer.Refusal.Reason != policy.TargetNotGranted):
				t.Fatalf("revision %d: %+v, want a refusal", revision, s.answer)
			}
		}
	}
	if count[true] == 0 || count[false] == 0 {
		t.Errorf("%d granted, %d refused: the test saw one side only", count[true], count[false])
	}
}

// The token services of one exchanger share nothing but the process.
func TestF223TokenServicesDoNotKnowEachOthersThings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.change(func(s *policy.Spec) {
		// side has a client that asks and a policy that takes tokens of side.
		s.Clients = append(s.Clients, policy.Client{
			ID: "shop/side-app", Namespace: "shop", Name: "side-app", TokenService: sideService, TokenExchange: true,
			SecretDigests: s.Clients[2].SecretDigests, AssertionKeys: []string{jwks(w.signer)},
		})
		s.Policies = append(s.Policies, policy.Policy{
			Namespace: "shop", Name: "side", TokenService: sideService, AllClients: true, SubjectIssuers: []string{"corp"}, SelfOrigins: []string{"corp"},
			SubjectClasses:  []policy.Class{policy.ClassAccessToken, policy.ClassJWT},
			SubjectAudience: policy.AudienceRule{Match: policy.AudienceAnyOf, AnyOf: []string{images, app}},
			Targets:         []string{"shop/side-app"}, TokenTypes: []policy.TokenType{policy.TypeAccessToken},
		})
	})
	at := func(service string, v url.Values) oauth.Answer {
		call := w.call(v)
		call.Service, _ = call.Snapshot.Service(service)
		return w.use.Exchange(t.Context(), call)
	}
	foreign := w.token(nil)
	own := granted(t, at(mainService, form(foreign, nil))).AccessToken
	side := url.Values{"client_id": {"shop/side-app"}, "audience": {"shop/side-app"}, "scope": nil}
	t.Run("F223: a token of one is not the other's own", func(t *testing.T) {
		refused(t, at(sideService, form(own, side)), policy.IssuerUnknown)
	})
	t.Run("F223: an issuer that one trusts is a stranger to the other, verified or not", func(t *testing.T) {
		refused(t, at(sideService, form(foreign, side)), policy.IssuerUnknown)
	})
	t.Run("F223: a client of one is unknown to the other", func(t *testing.T) {
		refused(t, at(sideService, form(own, nil)), policy.ClientUnknown)
		refused(t, at(mainService, form(foreign, side)), policy.ClientUnknown)
	})
	t.Run("F223: a target of one is unknown to the other", func(t *testing.T) {
		refused(t, at(mainService, form(foreign, url.Values{"audience": {"shop/side-app"}, "scope": nil})), policy.TargetUnknown)
	})
	t.Run("F223: an assertion for one is no credential at the other", func(t *testing.T) {
		toMain := w.assertion(claims{"iss": "shop/side-app", "sub": "shop/side-app"})
		refused(t, at(sideService, w.asserted(toMain, url.Values{"audience": {"shop/side-app"}, "scope": nil})), policy.ClientCredentials)
	})
	t.Run("F223: revisions and records say which one it was", func(t *testing.T) {
		at(sideService, form(own, side))
		if r := w.sink.last(t); r.TokenService != sideService {
			t.Errorf("the record says %s", r.TokenService)
		}
	})
}
