// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// chaining lets images ask, in turn, for contacts; and other ask for nothing.
func chaining(s *policy.Spec) {
	for i := range s.Clients {
		if s.Clients[i].ID == images || s.Clients[i].ID == contacts {
			s.Clients[i].TokenExchange, s.Clients[i].SecretDigests = true, []string{digest(secret)}
		}
	}
	s.Policies[0].Clients = append(s.Policies[0].Clients, images)
	s.Policies[0].AddScopes = true
}

// onward is images' request for contacts.
func onward(subject string) url.Values {
	return form(subject, url.Values{"client_id": {images}, "audience": {contacts}, "scope": {"contacts"}})
}

// inquire asks about a token, as a client with a secret.
func (w *world) inquire(ask oauth.Ask, client, token string, over url.Values) oauth.Answer {
	v := url.Values{"client_id": {client}, "client_secret": {secret}, "token": {token}}
	maps.Copy(v, over)
	call := w.call(v)
	call.Ask = ask
	return w.use.Exchange(w.tb.Context(), call)
}

// introspect is what a client is told of a token.
func (w *world) introspect(client, token string) claims {
	w.tb.Helper()
	a := w.inquire(oauth.AskIntrospection, client, token, nil)
	if a.Refusal != nil {
		w.tb.Fatalf("refused: %v", a.Refusal)
	}
	var doc claims
	if err := json.Unmarshal(a.Document, &doc); err != nil {
		w.tb.Fatalf("%s: %v", a.Document, err)
	}
	return doc
}

func (w *world) revoke(client, token string) oauth.Answer {
	return w.inquire(oauth.AskRevocation, client, token, nil)
}

// isInactive fails unless the client is told {"active":false}, and nothing else.
func (w *world) isInactive(t *testing.T, client, token string, reason policy.Reason) {
	t.Helper()
	a := w.inquire(oauth.AskIntrospection, client, token, nil)
	if a.Refusal != nil || string(a.Document) != `{"active":false}` {
		t.Errorf("told %s %v", a.Document, a.Refusal)
	}
	if r := w.sink.last(t); r.Outcome != policy.Denied || r.Reason != reason || r.Grant != "introspection" {
		t.Errorf("record %s %s (%s), want %s", r.Outcome, r.Reason, r.Detail, reason)
	}
}

func TestIntrospectionTellsThoseWhomATokenConcerns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining)
	token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	want := w.claimsOf(token)
	for name, client := range map[string]string{"whom it is for": images, "whom it was issued to": app} {
		t.Run(name, func(t *testing.T) {
			got := w.introspect(client, token)
			if got["active"] != true || got["token_type"] != "Bearer" {
				t.Errorf("told %v", got)
			}
			for claim, v := range want {
				a, _ := json.Marshal(got[claim])
				b, _ := json.Marshal(v)
				if (claim == "xqr") != (string(a) == "null") || claim != "xqr" && string(a) != string(b) {
					t.Errorf("%s is %s, the token's is %s", claim, a, b)
				}
			}
			if len(got) != len(want)+1 {
				t.Errorf("told %v of %v", got, want)
			}
		})
	}
	r := w.sink.last(t)
	if r.Outcome != policy.Allowed || r.TokenID != want["jti"] || r.Transaction != want["txn"] || r.Subject.Subject != "corp:alice" || r.Grant != "introspection" ||
		len(r.TokensIn) != 1 || r.TokensIn[0] != sha256.Sum256([]byte(token)) {
		t.Errorf("record %+v", r)
	}
	t.Run("and nobody else", func(t *testing.T) { w.isInactive(t, contacts, token, policy.SubjectAudience) })
	t.Run("a resource of the client is a name of it", func(t *testing.T) {
		token := granted(t, w.exchange(form(w.token(nil), url.Values{"audience": nil, "resource": {"https://images.media.example/api"}}))).AccessToken
		if got := w.introspect(images, token); got["active"] != true || got["aud"] != "https://images.media.example/api" {
			t.Errorf("told %v", got)
		}
	})
}

func TestWhatIsNotActive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token  func(*world, string) string
		change func(*policy.Spec)
		reason policy.Reason
	}{
		"nonsense":                             {token: func(*world, string) string { return "nonsense" }, reason: policy.TokenMalformed},
		"a token with a line break":            {token: func(_ *world, s string) string { return s + " " }, reason: policy.TokenMalformed},
		"a changed signature":                  {token: func(_ *world, s string) string { return s[:len(s)-4] + "AAAA" }, reason: policy.TokenSignature},
		"a foreign token":                      {token: func(w *world, _ string) string { return w.token(nil) }, reason: policy.IssuerUnknown},
		"a foreign token that says it is ours": {token: func(w *world, _ string) string { return w.token(claims{"iss": mainIssuer}) }, reason: policy.TokenSignature},
		"one that has ended":                   {token: func(w *world, s string) string { w.advance(time.Hour); return s }, reason: policy.TokenExpired},
		"its first issuer is gone":             {change: func(s *policy.Spec) { s.Issuers[0].Name = "renamed"; s.Policies = nil }, reason: policy.IssuerUnknown},
		"its first issuer is suspended":        {change: func(s *policy.Spec) { s.Issuers[0].Suspended = true }, reason: policy.IssuerSuspended},
		"whom it was issued to is suspended":   {change: func(s *policy.Spec) { s.Clients[2].Suspended = true }, reason: policy.ClientSuspended},
		"a TokenRevocation": {change: func(s *policy.Spec) {
			s.Revocations = []policy.Revocation{{Name: "x", TokenService: mainService, Subject: "corp:alice", IssuedBefore: now().Add(time.Hour), ExpiresAt: now().Add(2 * time.Hour)}}
		}, reason: policy.TokenRevoked},
		"revokeIssuedBefore of the TokenService": {change: func(s *policy.Spec) { s.Services[0].RevokeIssuedBefore = now().Add(time.Hour) }, reason: policy.TokenRevoked},
		"revokeIssuedBefore of the issuer":       {change: func(s *policy.Spec) { s.Issuers[0].RevokeIssuedBefore = now().Add(time.Hour) }, reason: policy.TokenRevoked},
		"revokeIssuedBefore of the client":       {change: func(s *policy.Spec) { s.Clients[2].RevokeIssuedBefore = now().Add(time.Hour) }, reason: policy.TokenRevoked},
		"its key is revoked": {token: func(w *world, s string) string {
			current, _ := w.ring.Current(mainService)
			w.change(func(s *policy.Spec) { s.Services[0].RevokedKeyIDs = []string{current.Signing.KeyID()} })
			return s
		}, reason: policy.TokenRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chaining)
			token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
			if c.change != nil {
				w.change(c.change)
			}
			if c.token != nil {
				token = c.token(w, token)
			}
			w.isInactive(t, images, token, c.reason)
		})
	}
}

func TestWhoMayAskAboutTokens(t *testing.T) {
	t.Parallel()
	for _, ask := range []oauth.Ask{oauth.AskIntrospection, oauth.AskRevocation} {
		for name, c := range map[string]struct {
			over   url.Values
			reason policy.Reason
		}{
			"nobody":                     {url.Values{"client_id": nil, "client_secret": nil}, policy.ClientCredentials},
			"a client with no secret":    {url.Values{"client_secret": nil}, policy.ClientCredentials},
			"a wrong secret":             {url.Values{"client_secret": {"wrong-wrong-wrong-wrong-wrong-wrong"}}, policy.ClientCredentials},
			"a client that is not there": {url.Values{"client_id": {"shop/nobody"}}, policy.ClientUnknown},
			"no token":                   {url.Values{"token": nil}, policy.FormInvalid},
			"a parameter twice":          {url.Values{"token": {"a", "b"}}, policy.FormInvalid},
		} {
			t.Run(string(ask)+": "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, chaining)
				token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
				a := w.inquire(ask, app, token, c.over)
				refused(t, a, c.reason)
				if a.Document != nil {
					t.Errorf("told %s", a.Document)
				}
				if r := w.sink.last(t); r.Reason != c.reason || r.Grant != string(ask) {
					t.Errorf("record %+v", r)
				}
				if got := w.introspect(app, token); got["active"] != true {
					t.Errorf("it is %v now", got)
				}
			})
		}
	}
}

func TestAnAssertionIsUsedUpByAnInquiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining)
	token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	by := url.Values{"client_id": nil, "client_secret": nil, "client_assertion_type": {oauth.AssertionTypeJWT}, "client_assertion": {w.assertion(nil)}}
	if a := w.inquire(oauth.AskIntrospection, "", token, by); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	refused(t, w.inquire(oauth.AskIntrospection, "", token, by), policy.ReplayDetected)
	refused(t, w.inquire(oauth.AskRevocation, "", "nonsense", by), policy.ReplayDetected)
}

func TestInquiriesAreLimitedAsExchangesAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining, func(s *policy.Spec) { s.Services[0].ClientRate, s.Services[0].ClientBurst = 1, 3 })
	token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	if a := w.inquire(oauth.AskIntrospection, app, token, nil); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	if a := w.revoke(app, "unknown"); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	refused(t, w.inquire(oauth.AskIntrospection, app, token, nil), policy.RateLimited)
	refused(t, w.revoke(app, token), policy.RateLimited)
}

func TestARevokedTokenIsOverWithAllThatWasDerivedFromIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining)
	root := w.token(nil)
	first := granted(t, w.exchange(form(root, nil))).AccessToken
	second := granted(t, w.exchange(onward(first))).AccessToken
	sibling := granted(t, w.exchange(form(root, nil))).AccessToken
	a := w.revoke(app, first)
	if a.Refusal != nil || a.Document == nil || len(a.Document) != 0 {
		t.Fatalf("answer %s %v", a.Document, a.Refusal)
	}
	if r := w.sink.last(t); r.Outcome != policy.Allowed || r.Grant != "revocation" || r.TokenID != w.claimsOf(first)["jti"] {
		t.Errorf("record %+v", r)
	}
	t.Run("it is not active", func(t *testing.T) { w.isInactive(t, images, first, policy.TokenRevoked) })
	t.Run("it is no subject", func(t *testing.T) { refused(t, w.exchange(onward(first)), policy.TokenRevoked) })
	t.Run("what was derived from it is not active", func(t *testing.T) { w.isInactive(t, contacts, second, policy.TokenRevoked) })
	t.Run("what was derived from it is no subject", func(t *testing.T) {
		w.change(func(s *policy.Spec) {
			s.Policies[1].Clients, s.Policies[1].AddScopes = append(s.Policies[1].Clients, contacts), true
		})
		refused(t, w.exchange(form(second, url.Values{"client_id": {contacts}})), policy.TokenRevoked)
	})
	t.Run("what it was derived from goes on", func(t *testing.T) { granted(t, w.exchange(form(root, nil))) })
	t.Run("what else was derived from that goes on", func(t *testing.T) {
		if w.introspect(images, sibling)["active"] != true {
			t.Error("it is not active")
		}
		granted(t, w.exchange(onward(sibling)))
	})
	t.Run("twice is like once", func(t *testing.T) {
		if a := w.revoke(app, first); a.Refusal != nil {
			t.Error(a.Refusal)
		}
	})
}

func TestWhatARevocationLeavesAlone(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]func(*world, string) string{
		"a token that nobody knows": func(*world, string) string { return "nonsense" },
		"a foreign token":           func(w *world, _ string) string { return w.token(nil) },
		"one that has ended":        func(w *world, s string) string { w.advance(2 * time.Hour); return s },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chaining)
			given := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
			if a := w.revoke(app, token(w, given)); a.Refusal != nil || a.Document == nil {
				t.Errorf("answer %s %v", a.Document, a.Refusal)
			}
			if r := w.sink.last(t); r.Outcome != policy.Denied || r.Grant != "revocation" {
				t.Errorf("the record does not say that nothing was revoked: %+v", r)
			}
		})
	}
	t.Run("another client's token: that is told", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chaining)
		token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
		refused(t, w.revoke(images, token), policy.ClientGrant)
		if w.introspect(images, token)["active"] != true {
			t.Error("it was revoked all the same")
		}
	})
}

// away is a store that cannot tell.
type away struct{ store.Store }

func (away) Put(context.Context, store.Purpose, string, string, []byte, time.Time) error {
	return store.ErrUnavailable
}

func (away) Any(context.Context, store.Purpose, []string) (bool, error) {
	return false, store.ErrUnavailable
}

func TestWithoutTheStoreNobodyIsToldThatATokenIsGoodOrRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining)
	first := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	w.use.Store = away{w.uses}
	for name, ask := range map[string]func() oauth.Answer{
		"F286: introspection":  func() oauth.Answer { return w.inquire(oauth.AskIntrospection, images, first, nil) },
		"F286: revocation":     func() oauth.Answer { return w.revoke(app, first) },
		"F286: an exchange on": func() oauth.Answer { return w.exchange(onward(first)) },
	} {
		t.Run(name, func(t *testing.T) {
			a := ask()
			refused(t, a, policy.StoreUnavailable)
			if a.Document != nil || oauth.ErrorFor(a.Refusal.Reason).Status != 503 {
				t.Errorf("answer %s, %d", a.Document, oauth.ErrorFor(a.Refusal.Reason).Status)
			}
		})
	}
	t.Run("what hangs on no token of ours goes on", func(t *testing.T) { granted(t, w.exchange(form(w.token(nil), nil))) })
	t.Run("replicas that share nothing revoke nothing, and say so", func(t *testing.T) {
		w.use.Store = store.None{}
		refused(t, w.revoke(app, first), policy.StoreUnavailable)
		granted(t, w.exchange(onward(first)))
	})
}

func TestF351NoRecordNoAnswerAboutAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining)
	token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	w.sink.err = errors.New("the disk is full")
	for _, ask := range []oauth.Ask{oauth.AskIntrospection, oauth.AskRevocation} {
		t.Run("F351: "+string(ask), func(t *testing.T) { refused(t, w.inquire(ask, app, token, nil), policy.AuditUnavailable) })
	}
}

func TestR34IntrospectionShowsTheChainOfActors(t *testing.T) {
	t.Parallel()
	t.Run("R34: act and may_act stand at the top, as in the token", func(t *testing.T) {
		t.Parallel()
		act := claims{"iss": corpURL, "sub": "helper", "client_id": app, "act": claims{"iss": corpURL, "sub": "first"}}
		doc := oauth.Active(&policy.Token{Claims: claims{"sub": "corp:alice", "act": act, "may_act": claims{"sub": "x"}, "cnf": claims{"jkt": "k"}, "xqr": "sealed"}, Confirmation: policy.Confirmation{JKT: "k"}})
		var got claims
		if err := json.Unmarshal(doc, &got); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got["act"])
		b, _ := json.Marshal(act)
		if string(a) != string(b) || got["may_act"] == nil || got["cnf"] == nil || got["token_type"] != "DPoP" || got["xqr"] != nil || strings.Contains(string(doc), "sealed") {
			t.Errorf("told %s", doc)
		}
	})
}

func TestAPublicClientIntrospectsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chaining, func(s *policy.Spec) {
		s.Clients = append(s.Clients, policy.Client{ID: "shop/spa", Namespace: "shop", Name: "spa", TokenService: mainService, Public: true})
	})
	token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	refused(t, w.inquire(oauth.AskIntrospection, "shop/spa", token, url.Values{"client_secret": nil}), policy.ClientCredentials)
	refused(t, w.inquire(oauth.AskRevocation, "shop/spa", token, url.Values{"client_secret": nil}), policy.ClientGrant) // none of its tokens
}

// noted is a store that notes until when a revocation is kept.
type noted struct {
	store.Store
	until time.Time
}

func (n *noted) Put(ctx context.Context, purpose store.Purpose, owner, id string, value []byte, until time.Time) error {
	if purpose == store.Revoked {
		n.until = until
	}
	return n.Store.Put(ctx, purpose, owner, id, value, until)
}

func TestARevocationIsKeptForAsLongAsAnythingThatCameOfTheTokenCanLive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refresh policy.Refresh
		want    time.Duration // from when it is revoked
	}{
		"without refresh tokens, to its end":      {policy.RefreshNone, 5*time.Minute + time.Minute},
		"with them, as long as a family may live": {policy.RefreshBounded, 720 * time.Hour},
		"or an offline one":                       {policy.RefreshOffline, 2160 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chaining, func(s *policy.Spec) {
				s.Services[0].RefreshIdle, s.Services[0].RefreshMax, s.Services[0].OfflineMax = 24*time.Hour, 720*time.Hour, 2160*time.Hour
				s.Policies[0].Refresh = c.refresh
			})
			token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
			n := &noted{Store: w.uses}
			w.use.Store = n
			if a := w.revoke(app, token); a.Refusal != nil {
				t.Fatal(a.Refusal)
			}
			if got := n.until.Sub(w.Now()); got < c.want-time.Second || got > c.want+time.Second {
				t.Errorf("kept for %s, want %s", got, c.want)
			}
		})
	}
}
