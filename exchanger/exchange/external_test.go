// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

const (
	partner = "https://api.partner.example"
	boxAPI  = "https://box.example"
)

// elsewhere answers for other servers.
type elsewhere struct {
	asked atomic.Int64
	mu    sync.Mutex
	forms []url.Values
	// answer makes the answer to the nth question.
	answer func(n int64, form url.Values) (*upstream.Token, error)
}

func (e *elsewhere) Token(_ context.Context, _ *upstream.Server, form url.Values) (*upstream.Token, error) {
	n := e.asked.Add(1)
	e.mu.Lock()
	e.forms = append(e.forms, form)
	e.mu.Unlock()
	return e.answer(n, form)
}

func (e *elsewhere) Target(context.Context, *upstream.Server, *upstream.TargetRequest) (*upstream.Token, error) {
	return nil, upstream.ErrUnavailable
}

// outside has app and images get tokens of a partner's, and app those that users
// linked.
func outside(s *policy.Spec) {
	base := policy.External{
		TokenService: mainService, Clients: []string{app, images}, SubjectIssuers: []string{"corp"}, SelfOrigins: []string{"corp"},
		SubjectClasses:  []policy.Class{policy.ClassAccessToken},
		SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient},
		Remote:          &policy.Upstream{URL: "https://login.partner.example/token"},
	}
	one, two := base, base
	one.Name, one.Kind, one.Audiences = "partner", policy.ExternalTokenExchange, []string{partner}
	two.Name, two.Kind, two.Audiences, two.Provider, two.Clients = "box", policy.ExternalLinkedToken, []string{boxAPI}, "box", []string{app}
	s.Externals = []policy.External{two, one}
	s.Services[0].LinkIdle = 720 * time.Hour
}

func numbered(n int64, _ url.Values) (*upstream.Token, error) {
	return &upstream.Token{AccessToken: fmt.Sprintf("foreign-%d", n), TokenType: "Bearer", ExpiresIn: 600}, nil
}

func abroad(t *testing.T, changes ...func(*policy.Spec)) (*world, *elsewhere) {
	t.Helper()
	w, up := newWorld(t, append([]func(*policy.Spec){chaining, outside}, changes...)...), &elsewhere{answer: numbered}
	w.use.Upstream = up
	return w, up
}

func (w *world) foreign(subject string, over url.Values) oauth.Answer {
	v := form(subject, url.Values{"audience": {partner}, "scope": nil})
	for name, values := range over {
		v[name] = values
	}
	return w.exchange(v)
}

func TestARevokedTokenTakesWhatWasKeptForItWithIt(t *testing.T) {
	t.Parallel()
	w, up := abroad(t)
	byImages := url.Values{"client_id": {images}}
	own := func() string { return granted(t, w.exchange(form(w.token(nil), nil))).AccessToken }
	first, second := own(), own()
	if a, b := granted(t, w.foreign(first, byImages)).AccessToken, granted(t, w.foreign(second, byImages)).AccessToken; a != b || up.asked.Load() != 1 {
		t.Fatalf("%s and %s after %d questions: want one token for one user", a, b, up.asked.Load())
	}
	if a := w.revoke(app, first); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	refused(t, w.foreign(first, byImages), policy.TokenRevoked)
	if got := granted(t, w.foreign(second, byImages)).AccessToken; got != "foreign-2" {
		t.Errorf("%s: what was got with a revoked token is handed out on", got)
	}
}

func TestAKeptTokenEndsBeforeItsEnd(t *testing.T) {
	t.Parallel()
	w, _ := abroad(t)
	user := w.token(nil)
	first := granted(t, w.foreign(user, nil))
	if first.ExpiresIn != 600 {
		t.Errorf("expires_in %d", first.ExpiresIn)
	}
	w.advance(569 * time.Second)
	if again := granted(t, w.foreign(user, nil)); again.AccessToken != first.AccessToken || again.ExpiresIn != 31 {
		t.Errorf("%s, expires_in %d: want the same with what is left of it", again.AccessToken, again.ExpiresIn)
	}
	w.advance(2 * time.Second)
	if again := granted(t, w.foreign(user, nil)); again.AccessToken == first.AccessToken {
		t.Error("handed out in its last 30 s")
	}
}

func TestWhatHappensWhenNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world, *elsewhere)
		reason policy.Reason
	}{
		"nobody asks here": {func(w *world, _ *elsewhere) { w.use.Upstream = nil }, policy.UpstreamUnavailable},
		"the server is down": {func(_ *world, e *elsewhere) {
			e.answer = func(int64, url.Values) (*upstream.Token, error) { return nil, upstream.ErrUnavailable }
		}, policy.UpstreamUnavailable},
		"an error that is none of these": {func(_ *world, e *elsewhere) {
			e.answer = func(int64, url.Values) (*upstream.Token, error) { return nil, errors.New("x") }
		}, policy.UpstreamUnavailable},
		"there is no signing key": {func(w *world, _ *elsewhere) { w.use.Keys = noKeys{} }, policy.SignerUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, up := abroad(t)
			user := w.token(nil)
			c.change(w, up)
			a := w.foreign(user, nil)
			refused(t, a, c.reason)
			if a.Refusal.Outcome != policy.Unable {
				t.Errorf("%s is no verdict", a.Refusal)
			}
		})
	}
}

// link stores tokens for a user.
func (w *world) link(tb testing.TB, user string, over url.Values) oauth.Answer {
	tb.Helper()
	v := url.Values{
		"client_id": {app}, "client_secret": {secret}, "subject_token": {user}, "subject_token_type": {oauth.URNAccessToken}, "provider": {"box"},
		"access_token": {"box-1"}, "refresh_token": {"refresh-1"}, "expires_in": {"3600"},
	}
	for name, values := range over {
		v[name] = values
	}
	call := w.call(v)
	call.Ask = oauth.AskLink
	return w.use.Exchange(tb.Context(), call)
}

func TestALinkIsRenewedByOneReplicaAtATime(t *testing.T) {
	t.Parallel()
	w, up := abroad(t)
	entered, release := make(chan struct{}), make(chan struct{})
	up.answer = func(n int64, f url.Values) (*upstream.Token, error) {
		if f.Get("refresh_token") != "refresh-1" {
			return nil, &upstream.Refused{Code: "invalid_grant"}
		}
		close(entered)
		<-release
		return &upstream.Token{AccessToken: "box-2", TokenType: "Bearer", ExpiresIn: 3600, RefreshToken: "refresh-2"}, nil
	}
	user := w.token(claims{"exp": w.Now().Add(3 * time.Hour).Unix()})
	if a := w.link(t, user, nil); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	box := url.Values{"audience": {boxAPI}}
	w.advance(3590 * time.Second)
	done := make(chan oauth.Answer, 1)
	go func() { done <- w.foreign(user, box) }()
	<-entered
	if got := granted(t, w.foreign(user, box)).AccessToken; got != "box-1" {
		t.Errorf("meanwhile another one got %s, want the old token while it lasts", got)
	}
	w.advance(11 * time.Second)
	refused(t, w.foreign(user, box), policy.UpstreamUnavailable)
	close(release)
	if got := granted(t, <-done).AccessToken; got != "box-2" {
		t.Errorf("got %s", got)
	}
	if got := granted(t, w.foreign(user, box)).AccessToken; got != "box-2" || up.asked.Load() != 1 {
		t.Errorf("then %s, after %d questions", got, up.asked.Load())
	}
}

func TestALinkThatWasMadeAnewMeanwhileStays(t *testing.T) {
	t.Parallel()
	w, up := abroad(t)
	user := w.token(claims{"exp": w.Now().Add(3 * time.Hour).Unix()})
	up.answer = func(int64, url.Values) (*upstream.Token, error) {
		if a := w.link(t, user, url.Values{"access_token": {"box-new"}}); a.Refusal != nil {
			return nil, upstream.ErrUnavailable
		}
		return &upstream.Token{AccessToken: "box-2", TokenType: "Bearer", ExpiresIn: 3600}, nil
	}
	if a := w.link(t, user, nil); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	w.advance(3590 * time.Second)
	box := url.Values{"audience": {boxAPI}}
	granted(t, w.foreign(user, box))
	if got := granted(t, w.foreign(user, box)).AccessToken; got != "box-new" {
		t.Errorf("got %s: what the user has linked last was replaced", got)
	}
}

func TestWhatIsStoredOfALinkIsSealed(t *testing.T) {
	t.Parallel()
	w, _ := abroad(t)
	spy := &putSpy{Store: w.use.Store}
	w.use.Store = spy
	user := w.token(nil)
	if a := w.link(t, user, nil); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	if len(spy.values) != 1 {
		t.Fatalf("%d values were stored", len(spy.values))
	}
	for _, secret := range []string{"box-1", "refresh-1", "alice"} {
		if contains(spy.values[0], secret) {
			t.Errorf("the stored value has %s", secret)
		}
	}
	// Where another user's link stands, it is nobody's.
	other := w.token(claims{"sub": "bob"})
	if a := w.link(t, other, url.Values{"access_token": {"box-of-bob"}}); a.Refusal != nil {
		t.Fatal(a.Refusal)
	}
	if err := spy.Store.Put(t.Context(), store.Link, "x", spy.ids[0], spy.values[1], w.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	refused(t, w.foreign(user, url.Values{"audience": {boxAPI}}), policy.UpstreamRefused)
}

func contains(b []byte, s string) bool {
	for i := range b {
		if len(b)-i >= len(s) && string(b[i:i+len(s)]) == s {
			return true
		}
	}
	return false
}

// putSpy remembers what is stored.
type putSpy struct {
	store.Store
	ids    []string
	values [][]byte
}

func (p *putSpy) Put(ctx context.Context, purpose store.Purpose, owner, id string, value []byte, until time.Time) error {
	if purpose == store.Link {
		p.ids, p.values = append(p.ids, id), append(p.values, value)
	}
	return p.Store.Put(ctx, purpose, owner, id, value, until)
}

func TestLinksNeedAStore(t *testing.T) {
	t.Parallel()
	w, _ := abroad(t)
	w.use.Store = store.None{}
	user := w.token(nil)
	if a := w.link(t, user, nil); a.Refusal == nil || a.Refusal.Reason != policy.StoreUnavailable || a.Refusal.Outcome != policy.Unable {
		t.Errorf("answered %v", a.Refusal)
	}
	refused(t, w.foreign(user, url.Values{"audience": {boxAPI}}), policy.StoreUnavailable)
	granted(t, w.foreign(user, nil)) // the other targets do not
}
