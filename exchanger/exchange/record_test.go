// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/audit"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestF350EveryRequestHasOneRecordHoweverItEnds(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		change  func(*world)
		form    func(*world) url.Values
		ctx     context.Context //nolint:containedctx // a case's own
		outcome policy.Outcome
		reason  policy.Reason
	}{
		"F350: allowed": {outcome: policy.Allowed},
		"F350: denied by the form": {
			form: func(*world) url.Values { return url.Values{"grant_type": {"x"}} }, outcome: policy.Denied, reason: policy.GrantUnsupported,
		},
		"F350: denied, no client": {
			form:    func(w *world) url.Values { return form(w.token(nil), url.Values{"client_id": {"shop/nobody"}}) },
			outcome: policy.Denied, reason: policy.ClientUnknown,
		},
		"F350: denied, a bad token": {
			form: func(*world) url.Values { return form("a.b.c", nil) }, outcome: policy.Denied, reason: policy.TokenMalformed,
		},
		"F350: denied by policy": {
			change: func(w *world) { w.change(without("app-gets-images")) }, outcome: policy.Denied, reason: policy.TargetNotGranted,
		},
		"F350: unable, a rule that errs": {
			form:    func(w *world) url.Values { return form(w.token(claims{"groups": nil}), nil) },
			outcome: policy.Unable, reason: policy.SubjectRule,
		},
		"F350: unable, keys of the issuer": {
			change: func(w *world) {
				w.change(func(s *policy.Spec) { s.Issuers[0].Keys = policy.Keys{JWKSURL: "https://login.corp.example/jwks"} })
			},
			outcome: policy.Unable, reason: policy.KeysUnavailable,
		},
		"F350: unable, no signing key": {
			change: func(w *world) { w.use.Keys = noKeys{} }, outcome: policy.Unable, reason: policy.SignerUnavailable,
		},
		"F350: aborted": {ctx: gone, outcome: policy.Unable, reason: policy.RequestAborted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.change != nil {
				c.change(w)
			}
			v := form(w.token(nil), nil)
			if c.form != nil {
				v = c.form(w)
			}
			ctx := t.Context()
			if c.ctx != nil {
				ctx = c.ctx
			}
			call := w.call(v)
			answer := w.use.Exchange(ctx, call)
			if (answer.Response != nil) != (c.outcome == policy.Allowed) || (answer.Refusal == nil) != (c.outcome == policy.Allowed) {
				t.Fatalf("answer %+v", answer)
			}
			all := w.sink.all()
			if len(all) != 1 {
				t.Fatalf("%d records for one request", len(all))
			}
			r := all[0]
			if r.Outcome != c.outcome || r.Reason != c.reason {
				t.Errorf("record says %s %s (%s), want %s %s", r.Outcome, r.Reason, r.Detail, c.outcome, c.reason)
			}
			if r.CorrelationID != call.CorrelationID || r.TokenService != mainService || r.Revision != call.Snapshot.Revision() || !r.Time.Equal(w.Now()) {
				t.Errorf("record does not say which request it is about: %+v", r)
			}
			if (r.TokenID != "") != (c.outcome == policy.Allowed) || (len(r.Targets) > 0) != (c.outcome == policy.Allowed) {
				t.Errorf("record says wrongly whether something was given: %+v", r)
			}
		})
	}
}

func TestF350RecordsAndRequestsAreAsMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, bad, none := form(w.token(nil), nil), form("a.b.c", nil), url.Values{}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 60 {
				w.exchange([]url.Values{good, bad, none}[i%3])
			}
		})
	}
	group.Wait()
	ids := map[string]int{}
	for _, r := range w.sink.all() {
		ids[r.CorrelationID]++
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%d records with correlation ID %s", n, id)
		}
	}
	if len(ids) != 8*60 {
		t.Errorf("%d records for %d requests", len(ids), 8*60)
	}
}

func TestACallThatNeverBecameAnExchangeIsRecordedAndCounted(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"the sink takes it": nil, "the sink fails": errors.New("the disk is full")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			seen := &observer{}
			w.use.Observer, w.sink.err = seen, failure
			ref := &policy.Refusal{Outcome: policy.Denied, Reason: policy.FormInvalid, Check: "transport", Detail: "the body is too long"}
			w.use.Refused(t.Context(), w.call(url.Values{}), ref)
			w.use.Refused(t.Context(), &oauth.Call{CorrelationID: "c"}, ref) // not even a token service
			if len(seen.records) != 2 || seen.records[0].Reason != policy.FormInvalid || seen.records[0].TokenService != mainService || seen.records[1].TokenService != "" {
				t.Errorf("counted %+v", seen.records)
			}
			if got := len(w.sink.all()); failure == nil && got != 2 {
				t.Errorf("%d records, want 2", got)
			}
		})
	}
}

func TestTheRecordOfAGrantSaysWhatWasDecided(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subject, assertion := w.token(claims{"aud": signer}), w.assertion(nil)
	v := w.asserted(assertion, url.Values{"subject_token": {subject}, "audience": {images, contacts}, "scope": {"images contacts"}})
	token := granted(t, w.exchange(v))
	got, c := w.sink.last(t), w.claimsOf(token.AccessToken)
	current, _ := w.ring.Current(mainService)
	want := audit.Record{
		Time: got.Time, CorrelationID: got.CorrelationID, Outcome: policy.Allowed, TokenService: mainService, Client: signer,
		Subject: audit.Identity{Issuer: "corp", Subject: "corp:alice"},
		Targets: []policy.TargetPolicy{{Target: images, Policy: "media/app-gets-images"}, {Target: contacts, Policy: "media/app-gets-contacts"}},
		Grant:   oauth.GrantTokenExchange, Audiences: []string{images, contacts}, ScopeAsked: []string{"images", "contacts"},
		ScopeGranted: []string{"images", "contacts"}, TokenType: policy.TypeAccessToken, Revision: 1,
		KeyID: current.Signing.KeyID(), TokenID: c["jti"].(string), Transaction: c["txn"].(string),
		TokensIn: [][sha256.Size]byte{sha256.Sum256([]byte(subject)), sha256.Sum256([]byte(assertion))},
	}
	a, b := string(want.AppendJSON(nil)), string(got.AppendJSON(nil))
	if a != b {
		t.Errorf("record\n got %s\nwant %s", b, a)
	}
}

// canaries are what must never be seen again: credentials and tokens, whole and
// in parts, and what strangers claim without anybody having asked.
type canaries struct{ texts []string }

func (c *canaries) of(token string) string {
	c.texts = append(c.texts, token)
	for _, part := range strings.Split(token, ".") {
		if len(part) > 20 {
			c.texts = append(c.texts, part, part[:20], part[len(part)-20:])
		}
	}
	return token
}

func (c *canaries) text(s string) string {
	c.texts = append(c.texts, s, base64.RawURLEncoding.EncodeToString([]byte(s)))
	return s
}

func TestF355NoCredentialAndNoStrangersClaimIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*policy.Spec)
		over   claims
		form   url.Values
		spoil  bool
	}{
		"F355, R39: a grant":                     {},
		"F355: a token of nobody's":              {over: claims{"iss": "https://canary-iss.example"}},
		"F355: a token with a bad signature":     {spoil: true},
		"F355: a token that is too old":          {over: claims{"iat": int64(1893400000), "exp": int64(1893410000)}},
		"F355: a token for somebody else":        {over: claims{"aud": "canary-audience", "azp": "canary-azp"}},
		"F355: a token of another class":         {over: claims{"events": claims{"canary-event": claims{}}}},
		"F355: a subject that is no identity":    {over: claims{"sub": "canary-sub\r\n"}},
		"F355: groups that are none":             {over: claims{"groups": claims{"canary-groups": true}}},
		"F355: a rule that is false":             {over: claims{"groups": []string{"canary-group"}}},
		"F355: a rule that errs":                 {over: claims{"groups": nil}},
		"F355: a mapped claim of another type":   {over: claims{"tenant": 17}},
		"F355: may_act of somebody else":         {over: claims{"may_act": claims{"sub": "canary-actor"}}},
		"F355: an actor token":                   {form: url.Values{"actor_token": {"canary.actor.token-0123456789"}, "actor_token_type": {oauth.URNJWT}}},
		"F355: no policy":                        {change: without("app-gets-images")},
		"F355: the secret in a place of its own": {form: url.Values{"password": {"canary-password"}}},
		"F355: a wrong secret":                   {form: url.Values{"client_secret": {"canary-wrong-secret-0123456789abcdef"}}},
		"F355: two credentials":                  {form: url.Values{"client_assertion": {"canary.assertion.0123456789"}, "client_assertion_type": {"canary-type"}}},
		"F355: an assertion of nobody's":         {form: url.Values{"client_secret": nil, "client_id": nil, "client_assertion": {"canary.assertion.0123456789"}, "client_assertion_type": {oauth.AssertionTypeJWT}}},
		"F355: a type that nobody knows":         {form: url.Values{"subject_token_type": {"urn:canary"}, "requested_token_type": {"urn:canary"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.change != nil {
				w.change(c.change)
			}
			var secrets canaries
			over := claims{
				"email": secrets.text("canary-email@corp.example"), "name": secrets.text("canary-name"), "nonce": nil,
				"roles": []string{secrets.text("canary-role")}, "jti": secrets.text("canary-jti"), "tenant": secrets.text("canary-tenant"),
			}
			for k, v := range c.over {
				over[k] = v
			}
			subject := secrets.of(w.token(over))
			if c.spoil {
				subject = secrets.of(subject[:len(subject)-20] + "canarycanarycanaryQQ")
			}
			secrets.text(secret)
			secrets.texts = append(secrets.texts, "canary")
			answer := w.exchange(form(subject, c.form))
			var out []string
			for _, line := range w.sink.lines {
				out = append(out, string(line))
			}
			if answer.Refusal != nil {
				out = append(out, answer.Refusal.Error(), string(oauth.ErrorFor(answer.Refusal.Reason).AppendJSON(nil, "c")))
			} else {
				secrets.of(answer.Response.AccessToken)
			}
			if len(out) == 0 {
				t.Fatal("there is no record")
			}
			for _, text := range out {
				for _, s := range secrets.texts {
					if strings.Contains(text, s) {
						t.Errorf("%q stands in %s", s, text)
					}
				}
			}
		})
	}
}

func TestF354WhatACallerSendsStaysWithinOneLine(t *testing.T) {
	t.Parallel()
	const nasty = "x\",\"outcome\":\"allowed\"\u2028\u001b[31m\\\u202e\u0085"
	w := newWorld(t)
	for _, v := range []url.Values{
		form(w.token(nil), url.Values{"client_id": {nasty}}),
		form(w.token(nil), url.Values{"audience": {nasty}}),
		form(w.token(nil), url.Values{"resource": {nasty}}),
		form(w.token(nil), url.Values{"scope": {nasty}}),
		form(w.token(nil), url.Values{"grant_type": {nasty}}),
		form(w.token(claims{"sub": nasty}), nil),
		form(w.token(claims{"sub": "plain", "tenant": nasty, "preferred_username": "u"}), nil),
		form(w.token(claims{"iss": nasty}), nil),
		form(nasty, nil),
	} {
		w.exchange(v)
	}
	for _, line := range w.sink.lines {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Errorf("no JSON: %s: %v", line, err)
			continue
		}
		if slices.ContainsFunc(line, func(b byte) bool { return b < ' ' || b == 0x7f }) || strings.ContainsAny(string(line), "\u2028\u202e\u0085") {
			t.Errorf("a control character came through: %q", line)
		}
		if strings.Count(string(line), `"outcome"`) != 1 && m["outcome"] != "denied" {
			t.Errorf("a forged member: %s", line)
		}
	}
	if n := len(w.sink.lines); n != 9 {
		t.Errorf("%d lines for 9 requests", n)
	}
}

func TestTheDurationIsTheWholeRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	call := w.call(form(w.token(nil), nil))
	w.use.Tracer = pause{"decide", func() { w.advance(1500 * time.Millisecond) }}
	granted(t, w.use.Exchange(t.Context(), call))
	if got := w.sink.last(t).Duration; got != 1500*time.Millisecond {
		t.Errorf("duration %s", got)
	}
}
