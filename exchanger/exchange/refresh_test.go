// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"crypto/rand"
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

// lasting lets tokens for images be renewed.
func lasting(r policy.Refresh) func(*policy.Spec) {
	return func(s *policy.Spec) {
		svc := &s.Services[0]
		svc.RefreshIdle, svc.RefreshMax, svc.OfflineMax = 30*time.Minute, 24*time.Hour, 240*time.Hour
		policyOf(s, "app-gets-images").Refresh = r
		// Keys are not rotated within these tests, which reach over days.
	}
}

// renewing is app's request with a refresh token.
func renewing(token string, over url.Values) url.Values {
	v := url.Values{"grant_type": {oauth.GrantRefreshToken}, "client_id": {app}, "client_secret": {secret}, "refresh_token": {token}}
	maps.Copy(v, over)
	return v
}

// renewable is the first answer, with a refresh token.
func (w *world) renewable(t *testing.T, over url.Values) *oauth.Response {
	t.Helper()
	v := form(w.token(nil), wanting(wantRefresh))
	maps.Copy(v, over)
	r := granted(t, w.exchange(v))
	if !strings.HasPrefix(r.RefreshToken, "xqf_") || len(r.RefreshToken) != 74 {
		t.Fatalf("%+v", r)
	}
	return r
}

func TestARefreshTokenGoesWithAnAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lasting(policy.RefreshOffline))
	t.Run("by requested_token_type", func(t *testing.T) {
		r := w.renewable(t, nil)
		if r.IssuedTokenType != wantRefresh || r.TokenType != "Bearer" || r.Scope != "images" || w.claimsOf(r.AccessToken)["sub"] != "corp:alice" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("by scope offline_access, which no token has", func(t *testing.T) {
		r := w.renewable(t, url.Values{"requested_token_type": nil, "scope": {"images offline_access"}})
		if r.IssuedTokenType != wantAccess || r.Scope != "images" || w.claimsOf(r.AccessToken)["scope"] != "images" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("and with nothing that did not ask for one", func(t *testing.T) {
		if r := granted(t, w.exchange(form(w.token(nil), nil))); r.RefreshToken != "" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("it is no subject token", func(t *testing.T) {
		r := w.renewable(t, nil)
		refused(t, w.exchange(form(r.RefreshToken, nil)), policy.TokenMalformed)
		v := form(r.RefreshToken, nil)
		v.Set("subject_token_type", wantRefresh)
		refused(t, w.exchange(v), policy.FormInvalid)
		w.isInactive(t, app, r.RefreshToken, policy.TokenMalformed)
	})
}

func TestARefreshTokenRenewsWhatWasGivenFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lasting(policy.RefreshOffline))
	r := w.renewable(t, nil)
	first := w.claimsOf(r.AccessToken)
	for n := range 5 {
		w.advance(25 * time.Minute) // the subject token's hour is over at the third
		next := granted(t, w.exchange(renewing(r.RefreshToken, nil)))
		if next.RefreshToken == r.RefreshToken || next.IssuedTokenType != wantAccess || next.ExpiresIn != 300 {
			t.Fatalf("renewal %d: %+v", n, next)
		}
		got := w.claimsOf(next.AccessToken)
		for _, name := range []string{"sub", "aud", "scope", "client_id", "tenant", "azp"} {
			if got[name] != first[name] {
				t.Errorf("renewal %d: %s is %v, was %v", n, name, got[name], first[name])
			}
		}
		if got["jti"] == first["jti"] || got["iat"] == first["iat"] {
			t.Errorf("renewal %d is not a new token", n)
		}
		r = next
	}
	t.Run("the record says what it was", func(t *testing.T) {
		rec := w.sink.last(t)
		if rec.Grant != "refresh_token" || rec.Client != app || rec.Subject.Subject != "corp:alice" || rec.Subject.Issuer != "corp" || len(rec.TokensIn) != 1 {
			t.Errorf("%+v", rec)
		}
	})
	t.Run("facts that were lists are lists", func(t *testing.T) {
		w.change(func(s *policy.Spec) {
			policyOf(s, "app-gets-images").SubjectRules = []policy.Rule{{Expression: "subject.groups == ['corp:staff', 'corp:press'] && subject.claims.exp > 0 && subject.extra.tenant == 'acme'"}}
		})
		r = granted(t, w.exchange(renewing(r.RefreshToken, nil)))
	})
	t.Run("it narrows, and narrows only", func(t *testing.T) {
		refused(t, w.exchange(renewing(r.RefreshToken, url.Values{"audience": {contacts}})), policy.TargetNotGranted)
		refused(t, w.exchange(renewing(r.RefreshToken, url.Values{"resource": {"https://images.media.example/api"}})), policy.TargetNotGranted)
		refused(t, w.exchange(renewing(r.RefreshToken, url.Values{"scope": {"contacts"}})), policy.ScopeUnknown)
		r = granted(t, w.exchange(renewing(r.RefreshToken, url.Values{"audience": {images}, "scope": {"images"}})))
	})
	t.Run("what the grant does not know is refused", func(t *testing.T) {
		refused(t, w.exchange(renewing(r.RefreshToken, wanting(wantID))), policy.ParameterUnsupported)
	})
}

func TestARefreshTokenIsGoodOnce(t *testing.T) {
	t.Parallel()
	t.Run("a second use revokes the family, and what came of it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded), chaining)
		r := w.renewable(t, nil)
		second := granted(t, w.exchange(renewing(r.RefreshToken, nil)))
		granted(t, w.exchange(onward(second.AccessToken)))
		a := w.exchange(renewing(r.RefreshToken, nil))
		refused(t, a, policy.RefreshReuse)
		if e := a.Error(); e.Status != 400 || e.Code != "invalid_grant" {
			t.Errorf("%+v", e)
		}
		refused(t, w.exchange(renewing(second.RefreshToken, nil)), policy.RefreshExpired)
		for _, token := range []string{r.AccessToken, second.AccessToken} {
			refused(t, w.exchange(onward(token)), policy.TokenRevoked)
			w.isInactive(t, images, token, policy.TokenRevoked)
		}
	})
	t.Run("of those who use it at the same moment one goes on, and the family ends", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded), chaining)
		r := w.renewable(t, nil)
		got := w.atOnce(renewing(r.RefreshToken, nil))
		// Whoever comes late is told that the family was revoked.
		if got["granted"] != 1 || got[policy.RefreshReuse] == 0 || got[policy.RefreshReuse]+got[policy.TokenRevoked] != 9 {
			t.Errorf("%v", got)
		}
		refused(t, w.exchange(onward(r.AccessToken)), policy.TokenRevoked)
	})
	t.Run("one that was altered is another's, and revokes nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded))
		token := w.renewable(t, nil).RefreshToken
		for i := 4; i < len(token); i += 7 {
			altered := []byte(token)
			if altered[i] = 'A'; token[i] == 'A' {
				altered[i] = 'B'
			}
			a := w.exchange(renewing(string(altered), nil))
			if a.Refusal == nil || a.Refusal.Reason != policy.TokenMalformed && a.Refusal.Reason != policy.RefreshExpired || a.Error().Code != "invalid_grant" {
				t.Errorf("letter %d: %v", i, a.Refusal)
			}
		}
		granted(t, w.exchange(renewing(token, nil)))
	})
	t.Run("an answer that does not leave takes nothing away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded))
		token := w.renewable(t, nil).RefreshToken
		w.sink.err = errors.New("the disk is full")
		refused(t, w.exchange(renewing(token, nil)), policy.AuditUnavailable)
		w.sink.err = nil
		granted(t, w.exchange(renewing(token, nil)))
	})
	t.Run("F288: a renewal of which nobody knows whether it was kept takes nothing away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded))
		token := w.renewable(t, nil).RefreshToken
		w.use.Store = &unanswered{Store: w.uses}
		refused(t, w.exchange(renewing(token, nil)), policy.StoreUnavailable)
		granted(t, w.exchange(renewing(token, nil)))
	})
	t.Run("another client's is refused, and stays good", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded), chaining)
		token := w.renewable(t, nil).RefreshToken
		a := w.exchange(renewing(token, url.Values{"client_id": {images}}))
		refused(t, a, policy.SubjectAudience)
		if a.Error().Code != "invalid_grant" {
			t.Errorf("%+v", a.Error())
		}
		granted(t, w.exchange(renewing(token, nil)))
	})
}

func TestAnotherClientLearnsNothingOfARefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lasting(policy.RefreshOffline), chaining)
	live := w.renewable(t, nil).RefreshToken
	dead := "xqf_" + strings.Repeat("A", 70)
	by := func(token string, over url.Values) oauth.Answer {
		v := renewing(token, over)
		v.Set("client_id", images)
		return w.exchange(v)
	}
	for name, over := range map[string]url.Values{
		"asking for everything":            nil,
		"asking for a target that it has":  {"audience": {images}},
		"asking for one that it has not":   {"audience": {contacts}},
		"asking for a scope that it has":   {"scope": {"images"}},
		"asking for one that nobody knows": {"scope": {"nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := by(live, over), by(dead, over)
			if got.Refusal == nil || got.Error() != want.Error() {
				t.Errorf("%+v for one that is alive, %+v for one that is not", got.Error(), want.Error())
			}
		})
	}
	// And it is none the worse for that.
	granted(t, w.exchange(renewing(live, nil)))
}

func TestAFamilyEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode   policy.Refresh
		change func(*policy.Spec)
		after  time.Duration
		times  int
		reason policy.Reason
	}{
		"with the subject token":         {policy.RefreshBounded, nil, 20 * time.Minute, 2, policy.RefreshExpired},
		"when it lies unused":            {policy.RefreshOffline, nil, 30 * time.Minute, 0, policy.RefreshExpired},
		"at the bound of offline tokens": {policy.RefreshOffline, func(s *policy.Spec) { s.Services[0].OfflineMax = time.Hour }, 20 * time.Minute, 2, policy.RefreshExpired},
		"at the bound of refresh tokens": {policy.RefreshBounded, func(s *policy.Spec) { s.Services[0].RefreshMax = 45 * time.Minute }, 20 * time.Minute, 2, policy.RefreshExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lasting(test.mode))
			if test.change != nil {
				w.change(test.change)
			}
			r := w.renewable(t, nil)
			for range test.times {
				w.advance(test.after)
				r = granted(t, w.exchange(renewing(r.RefreshToken, nil)))
			}
			w.advance(test.after)
			a := w.exchange(renewing(r.RefreshToken, nil))
			refused(t, a, test.reason)
			if a.Error().Code != "invalid_grant" {
				t.Errorf("%+v", a.Error())
			}
		})
	}
	t.Run("and its tokens end with it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshBounded))
		r := w.renewable(t, nil)
		w.advance(29 * time.Minute)
		r = granted(t, w.exchange(renewing(r.RefreshToken, nil)))
		w.advance(29 * time.Minute)
		if r = granted(t, w.exchange(renewing(r.RefreshToken, nil))); r.ExpiresIn > 120 {
			t.Errorf("%d s, two minutes before the end", r.ExpiresIn)
		}
	})
}

func TestARenewalIsDecidedAnew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*policy.Spec)
		reason policy.Reason
		code   string
	}{
		"the policy is gone":                 {without("app-gets-images"), policy.TargetNotGranted, "invalid_target"},
		"the policy has no refresh any more": {lasting(policy.RefreshNone), policy.TokenTypeNotGranted, "invalid_grant"},
		"the policy is bounded now":          {lasting(policy.RefreshBounded), policy.TokenTypeNotGranted, "invalid_grant"},
		"the issuer is suspended":            {func(s *policy.Spec) { s.Issuers[0].Suspended = true }, policy.IssuerSuspended, "invalid_grant"},
		"the issuer is gone":                 {func(s *policy.Spec) { s.Issuers, s.Policies = nil, nil }, policy.IssuerUnknown, "invalid_grant"},
		"the issuer has revoked what was":    {func(s *policy.Spec) { s.Issuers[0].RevokeIssuedBefore = time.Date(2030, 1, 1, 12, 1, 0, 0, time.UTC) }, policy.TokenRevoked, "invalid_grant"},
		"the client has revoked what was": {func(s *policy.Spec) {
			clientOf(s, app).RevokeIssuedBefore = time.Date(2030, 1, 1, 12, 1, 0, 0, time.UTC)
		}, policy.TokenRevoked, "invalid_grant"},
		"the token service has revoked": {func(s *policy.Spec) { s.Services[0].RevokeIssuedBefore = time.Date(2030, 1, 1, 12, 1, 0, 0, time.UTC) }, policy.TokenRevoked, "invalid_grant"},
		"the client is suspended":       {func(s *policy.Spec) { clientOf(s, app).Suspended = true }, policy.ClientCredentials, "invalid_client"},
		"the rules want something else": {func(s *policy.Spec) {
			policyOf(s, "app-gets-images").SubjectRules = []policy.Rule{{Expression: "'corp:admins' in subject.groups"}}
		}, policy.SubjectRule, "invalid_grant"},
		"the scope is not granted any more": {func(s *policy.Spec) { policyOf(s, "app-gets-images").Scopes = nil }, policy.ScopeNotGranted, "invalid_scope"},
		"a revocation of the subject was declared": {func(s *policy.Spec) {
			s.Revocations = append(s.Revocations, policy.Revocation{Name: "r", TokenService: mainService, Subject: "corp:alice", ExpiresAt: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)})
		}, policy.TokenRevoked, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lasting(policy.RefreshOffline))
			r := w.renewable(t, nil)
			w.advance(2 * time.Minute)
			w.change(test.change)
			a := w.exchange(renewing(r.RefreshToken, nil))
			if a.Refusal == nil || a.Refusal.Reason != test.reason && !(test.reason == policy.ClientCredentials && a.Refusal.Reason == policy.ClientSuspended) || a.Error().Code != test.code {
				t.Fatalf("%+v, %+v; want %s", a.Refusal, a.Error(), test.reason)
			}
		})
	}
	t.Run("what is refused leaves the token good", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, lasting(policy.RefreshOffline))
		r := w.renewable(t, nil)
		w.change(lasting(policy.RefreshBounded))
		refused(t, w.exchange(renewing(r.RefreshToken, nil)), policy.TokenTypeNotGranted)
		w.change(lasting(policy.RefreshOffline))
		granted(t, w.exchange(renewing(r.RefreshToken, nil)))
	})
}

func TestARefreshTokenIsRevokedAtTheRevocationEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lasting(policy.RefreshOffline), chaining)
	r := w.renewable(t, nil)
	second := granted(t, w.exchange(renewing(r.RefreshToken, nil)))
	if a := w.revoke(images, second.RefreshToken); a.Refusal == nil {
		t.Error("another client revoked it")
	}
	if a := w.revoke(app, second.RefreshToken); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	refused(t, w.exchange(renewing(second.RefreshToken, nil)), policy.RefreshExpired)
	refused(t, w.exchange(onward(second.AccessToken)), policy.TokenRevoked)
	if a := w.revoke(app, second.RefreshToken); a.Refusal != nil {
		t.Errorf("a second time: %v", a.Refusal)
	}
	t.Run("and with the first access token", func(t *testing.T) {
		r := w.renewable(t, nil)
		if a := w.revoke(app, r.AccessToken); a.Refusal != nil {
			t.Fatal(a.Refusal)
		}
		refused(t, w.exchange(renewing(r.RefreshToken, nil)), policy.TokenRevoked)
	})
}

func TestOpaqueTokensAreRenewedAsOpaqueTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lasting(policy.RefreshOffline), opaque, chaining)
	r := w.renewable(t, nil)
	if !strings.HasPrefix(r.AccessToken, "xqa_") {
		t.Fatalf("%+v", r)
	}
	next := granted(t, w.exchange(renewing(r.RefreshToken, nil)))
	if !strings.HasPrefix(next.AccessToken, "xqa_") || next.AccessToken == r.AccessToken {
		t.Fatalf("%+v", next)
	}
	granted(t, w.exchange(onward(next.AccessToken)))
}

func TestManyGroupsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lasting(policy.RefreshOffline))
	w.change(func(s *policy.Spec) { s.Services[0].TokenBytes = 16 << 10 })
	groups := []string{"staff"}
	for range 150 {
		groups = append(groups, rand.Text()) // as directories name them
	}
	v := form(w.token(claims{"groups": groups}), wanting(wantRefresh))
	r := granted(t, w.exchange(v))
	w.change(func(s *policy.Spec) {
		policyOf(s, "app-gets-images").SubjectRules = []policy.Rule{{Expression: "size(subject.groups) == 151"}}
	})
	for range 3 {
		r = granted(t, w.exchange(renewing(r.RefreshToken, nil)))
	}
}

// unanswered is a store that does what it is asked to swap first, and does not say so.
type unanswered struct {
	store.Store
	asked bool
}

func (u *unanswered) Swap(ctx context.Context, p store.Purpose, id string, old, replacement []byte, until time.Time) (bool, error) {
	swapped, err := u.Store.Swap(ctx, p, id, old, replacement, until)
	if !u.asked {
		u.asked = true
		return false, store.ErrUnavailable
	}
	return swapped, err
}
