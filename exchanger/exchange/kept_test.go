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

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/store"
)

// What requested_token_type is called here.
const (
	wantID       = "urn:ietf:params:oauth:token-type:id_token"
	wantRefresh  = "urn:ietf:params:oauth:token-type:refresh_token"
	wantAccess   = "urn:ietf:params:oauth:token-type:access_token"
	wantHandover = oauth.URIHandover
)

func wanting(kind string) url.Values { return url.Values{"requested_token_type": {kind}} }

// types gives the policy for images these types.
func types(list ...policy.TokenType) func(*policy.Spec) {
	return func(s *policy.Spec) { policyOf(s, "app-gets-images").TokenTypes = list }
}

func policyOf(s *policy.Spec, name string) *policy.Policy {
	return &s.Policies[slices.IndexFunc(s.Policies, func(p policy.Policy) bool { return p.Name == name })]
}

func clientOf(s *policy.Spec, id string) *policy.Client {
	return &s.Clients[slices.IndexFunc(s.Clients, func(c policy.Client) bool { return c.ID == id })]
}

// opaque makes the tokens for images handles.
func opaque(s *policy.Spec) { clientOf(s, images).Opaque = true }

func TestAnIDTokenIsNoAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, types(policy.TypeIDToken))
	r := granted(t, w.exchange(form(w.token(nil), wanting(wantID))))
	if r.IssuedTokenType != wantID || r.TokenType != "N_A" || r.Scope != "" {
		t.Errorf("%+v", r)
	}
	got := w.claimsOf(r.AccessToken)
	if got["aud"] != images || got["azp"] != app || got["sub"] != "corp:alice" || got["scope"] != nil || got["tenant"] != "acme" || got["nonce"] != nil {
		t.Errorf("%v", got)
	}
	// It is nothing that can be exchanged on, by whatever name.
	for _, name := range []string{wantID, wantAccess} {
		w.change(chaining)
		v := onward(r.AccessToken)
		v.Set("subject_token_type", name)
		refused(t, w.exchange(v), policy.TokenClass)
	}
}

func TestAnOpaqueTokenStandsForAJWTThatNobodySees(t *testing.T) {
	t.Parallel()
	w := newWorld(t, opaque, chaining)
	r := granted(t, w.exchange(form(w.token(nil), nil)))
	handle := r.AccessToken
	if !strings.HasPrefix(handle, "xqa_") || len(handle) != 47 || r.IssuedTokenType != wantAccess || r.TokenType != "Bearer" || r.ExpiresIn != 300 {
		t.Fatalf("%+v", r)
	}
	t.Run("R38: whoever gets it can read nothing in it", func(t *testing.T) {
		raw, err := base64.RawURLEncoding.DecodeString(handle[4:])
		if err != nil || len(raw) != 32 || json.Valid(raw) {
			t.Errorf("%x, %v", raw, err)
		}
		if again := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken; again[:8] == handle[:8] {
			t.Errorf("%s and %s are alike", again, handle)
		}
	})
	t.Run("its target is told what it says", func(t *testing.T) {
		doc := w.introspect(images, handle)
		if doc["active"] != true || doc["sub"] != "corp:alice" || doc["scope"] != "images" || doc["client_id"] != app {
			t.Errorf("%v", doc)
		}
	})
	t.Run("it can be exchanged on, and the record has the digest of what was sent", func(t *testing.T) {
		next := granted(t, w.exchange(onward(handle)))
		if got := w.claimsOf(next.AccessToken); got["sub"] != "corp:alice" {
			t.Errorf("%v", got)
		}
		if in := w.sink.last(t).TokensIn; len(in) != 1 || in[0] != sha256.Sum256([]byte(handle)) {
			t.Errorf("%x", in)
		}
	})
	t.Run("one letter more, less or other is another token", func(t *testing.T) {
		for _, other := range []string{handle + "A", handle[:len(handle)-1], "xqa_" + strings.Repeat("A", 43), "xqh_" + handle[4:], "XQA_" + handle[4:]} {
			a := w.exchange(onward(other))
			if a.Refusal == nil || a.Refusal.Outcome != policy.Denied {
				t.Errorf("%s: %v", other, a.Refusal)
			}
		}
	})
	t.Run("the record knows its jti", func(t *testing.T) {
		w.revoke(app, handle)
		refused(t, w.exchange(onward(handle)), policy.TokenRevoked)
		w.isInactive(t, images, handle, policy.TokenRevoked)
	})
	t.Run("it ends with what it stands for", func(t *testing.T) {
		handle := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
		w.advance(5 * time.Minute)
		refused(t, w.exchange(onward(handle)), policy.TokenExpired)
	})
	t.Run("a JWT for its target is refused", func(t *testing.T) {
		refused(t, w.exchange(form(w.token(nil), wanting("urn:ietf:params:oauth:token-type:jwt"))), policy.TokenTypeNotGranted)
	})
	t.Run("targets of different formats have no token in common", func(t *testing.T) {
		refused(t, w.exchange(form(w.token(nil), url.Values{"audience": {images, contacts}, "scope": {"images contacts"}})), policy.TokenTypeNotGranted)
	})
}

// broken is a store that fails where it is told to.
type broken struct {
	store.Store
	mu    sync.Mutex
	fails map[string]error
}

func (b *broken) failing(call string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fails[call]
}

func (b *broken) fail(call string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = map[string]error{call: err}
}

func (b *broken) Put(ctx context.Context, p store.Purpose, owner, id string, value []byte, until time.Time) error {
	if err := b.failing("put"); err != nil {
		return err
	}
	return b.Store.Put(ctx, p, owner, id, value, until)
}

func (b *broken) Get(ctx context.Context, p store.Purpose, id string) ([]byte, bool, error) {
	if err := b.failing("get"); err != nil {
		return nil, false, err
	}
	return b.Store.Get(ctx, p, id)
}

func (b *broken) Swap(ctx context.Context, p store.Purpose, id string, old, replacement []byte, until time.Time) (bool, error) {
	if err := b.failing("swap"); err != nil {
		return false, err
	}
	return b.Store.Swap(ctx, p, id, old, replacement, until)
}

func TestF286WhatNeedsTheStoreIsRefusedWithoutOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, opaque, chaining, lasting(policy.RefreshBounded))
	b := &broken{Store: w.uses}
	w.use.Store = b
	unable := func(t *testing.T, a oauth.Answer) {
		t.Helper()
		refused(t, a, policy.StoreUnavailable)
		if a.Refusal.Outcome != policy.Unable || a.Error().Status != 503 {
			t.Errorf("%+v, %+v", a.Refusal, a.Error())
		}
	}
	handle := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	renewal := granted(t, w.exchange(form(w.token(nil), wanting(wantRefresh)))).RefreshToken
	b.fail("put", store.ErrUnavailable)
	unable(t, w.exchange(form(w.token(nil), nil)))
	unable(t, w.exchange(form(w.token(nil), wanting(wantRefresh))))
	b.fail("put", store.ErrQuota)
	refused(t, w.exchange(form(w.token(nil), nil)), policy.RateLimited)
	b.fail("get", errors.New("anything else"))
	unable(t, w.exchange(onward(handle)))
	unable(t, w.exchange(renewing(renewal, nil)))
	granted(t, w.exchange(form(w.token(nil), nil))) // what is only put
	b.fail("swap", store.ErrUnavailable)
	unable(t, w.exchange(renewing(renewal, nil)))
	b.fail("", nil)
	granted(t, w.exchange(renewing(renewal, nil)))
	granted(t, w.exchange(onward(handle)))

	t.Run("and what does not need it is not", func(t *testing.T) {
		w := newWorld(t, chaining, types(policy.TypeAccessToken, policy.TypeIDToken))
		w.use.Store = store.None{}
		token := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
		granted(t, w.exchange(onward(token)))
		granted(t, w.exchange(form(w.token(nil), wanting(wantID))))
		w.change(opaque)
		refused(t, w.exchange(form(w.token(nil), nil)), policy.StoreUnavailable)
	})
}

func TestWhatIsKeptIsSealedAndBelongsInItsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, opaque, chaining)
	k := &keeper{Store: w.uses, kept: map[string][]byte{}}
	w.use.Store = k
	first := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
	second := granted(t, w.exchange(form(w.token(claims{"sub": "bob"}), nil))).AccessToken
	for id, value := range k.kept {
		if strings.Contains(string(value), "eyJhbGciOiJFUzI1NiI") || strings.Contains(string(value), "alice") || strings.Count(string(value), ".") != 4 {
			t.Errorf("%s is not sealed: %.60s", id, value)
		}
	}
	a, b := mainService+" "+first, mainService+" "+second
	k.kept[a], k.kept[b] = k.kept[b], k.kept[a]
	t.Run("F223: the value of another place is not read", func(t *testing.T) {
		refused(t, w.exchange(onward(first)), policy.TokenMalformed)
		w.isInactive(t, images, second, policy.TokenMalformed)
	})
	k.kept[a] = []byte("eyJhbGciOiJkaXIifQ....")
	refused(t, w.exchange(onward(first)), policy.TokenMalformed)
}

// keeper shows what is kept.
type keeper struct {
	store.Store
	kept map[string][]byte
}

func (k *keeper) Put(_ context.Context, _ store.Purpose, _, id string, value []byte, _ time.Time) error {
	k.kept[id] = value
	return nil
}

func (k *keeper) Get(_ context.Context, _ store.Purpose, id string) ([]byte, bool, error) {
	v, ok := k.kept[id]
	return v, ok, nil
}

// handing lets app hand over to images, which may get contacts with what it is given.
func handing(s *policy.Spec) {
	chaining(s)
	policyOf(s, "app-gets-images").TokenTypes = []policy.TokenType{policy.TypeHandover}
	policyOf(s, "app-gets-contacts").SubjectClasses = []policy.Class{policy.ClassHandover}
}

// takes is images' request for contacts with a hand-over token.
func takes(token string) url.Values {
	v := onward(token)
	v.Set("subject_token_type", wantHandover)
	return v
}

func TestAHandOverTokenIsUsedOnceByTheClientThatItIsFor(t *testing.T) {
	t.Parallel()
	handed := func(t *testing.T, w *world) string {
		t.Helper()
		r := granted(t, w.exchange(form(w.token(nil), wanting(wantHandover))))
		if r.IssuedTokenType != wantHandover || r.TokenType != "N_A" || r.ExpiresIn > 60 || !strings.HasPrefix(r.AccessToken, "xqh_") || r.RefreshToken != "" {
			t.Fatalf("%+v", r)
		}
		return r.AccessToken
	}
	t.Run("it gives tokens with the other client's client_id", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		got := w.claimsOf(granted(t, w.exchange(takes(handed(t, w)))).AccessToken)
		if got["client_id"] != images || got["sub"] != "corp:alice" {
			t.Errorf("%v", got)
		}
	})
	t.Run("a second use is refused as such", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		granted(t, w.exchange(takes(token)))
		refused(t, w.exchange(takes(token)), policy.HandoverUsed)
	})
	t.Run("of those who use it at the same moment one gets a token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		got := w.atOnce(takes(handed(t, w)))
		if got["granted"] != 1 || got[policy.HandoverUsed] != 9 {
			t.Errorf("%v", got)
		}
	})
	t.Run("F289: one from before the store has lost something is refused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		w.use.Store = anew{w.uses, w.Now().Add(time.Second)}
		refused(t, w.exchange(takes(token)), policy.HandoverUsed)
	})
	t.Run("the client that it was issued to takes it back, and nobody else", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		if a := w.revoke(images, token); a.Refusal == nil || a.Refusal.Reason != policy.ClientGrant {
			t.Errorf("whom it is for: %+v", a.Refusal)
		}
		if a := w.revoke(app, token); a.Refusal != nil {
			t.Errorf("whom it was issued to: %+v", a.Refusal)
		}
		refused(t, w.exchange(takes(token)), policy.TokenRevoked)
	})
	t.Run("whoever it is not for leaves it unused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		v := takes(token)
		v.Set("client_id", app)
		refused(t, w.exchange(v), policy.SubjectAudience)
		granted(t, w.exchange(takes(token)))
	})
	t.Run("what policy refuses leaves it unused", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		w.change(func(s *policy.Spec) {
			policyOf(s, "app-gets-contacts").SubjectClasses = []policy.Class{policy.ClassAccessToken}
		})
		refused(t, w.exchange(takes(token)), policy.SubjectTokenType)
		w.change(func(s *policy.Spec) {
			policyOf(s, "app-gets-contacts").SubjectClasses = []policy.Class{policy.ClassHandover}
		})
		granted(t, w.exchange(takes(token)))
	})
	t.Run("it is good for a minute", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		w.advance(time.Minute)
		refused(t, w.exchange(takes(token)), policy.TokenExpired)
	})
	t.Run("it is nothing but a hand-over token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		token := handed(t, w)
		for _, kind := range []string{wantAccess, wantID, "urn:ietf:params:oauth:token-type:jwt"} {
			v := takes(token)
			v.Set("subject_token_type", kind)
			refused(t, w.exchange(v), policy.TokenMalformed)
		}
		w.isInactive(t, images, token, policy.TokenMalformed)
		w.change(func(s *policy.Spec) {
			opaque(s)
			policyOf(s, "app-gets-images").TokenTypes = []policy.TokenType{policy.TypeAccessToken}
		})
		handle := granted(t, w.exchange(form(w.token(nil), nil))).AccessToken
		refused(t, w.exchange(takes(handle)), policy.TokenMalformed)
	})
	t.Run("one for another name of the client is not given", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, handing)
		v := form(w.token(nil), wanting(wantHandover))
		v.Del("audience")
		v.Set("resource", "https://images.media.example/api")
		refused(t, w.exchange(v), policy.TokenTypeNotGranted)
	})
}

// anew is a store that has begun anew.
type anew struct {
	store.Store
	since time.Time
}

func (a anew) Since() time.Time { return a.since }

// together is a store that lets nobody go on who has read before all have.
type together struct {
	store.Store
	all sync.WaitGroup
}

func (g *together) Get(ctx context.Context, p store.Purpose, id string) ([]byte, bool, error) {
	v, found, err := g.Store.Get(ctx, p, id)
	g.all.Done()
	g.all.Wait()
	return v, found, err
}

// atOnce makes ten requests that all read before any of them writes, and counts how
// they end.
func (w *world) atOnce(v url.Values) map[policy.Reason]int {
	const callers = 10
	gate := &together{Store: w.uses}
	gate.all.Add(callers)
	w.use.Store = gate
	var all sync.WaitGroup
	var mu sync.Mutex
	got := map[policy.Reason]int{}
	for range callers {
		all.Go(func() {
			a := w.exchange(v)
			mu.Lock()
			defer mu.Unlock()
			if a.Refusal == nil {
				got["granted"]++
			} else {
				got[a.Refusal.Reason]++
			}
		})
	}
	all.Wait()
	w.use.Store = w.uses
	return got
}
