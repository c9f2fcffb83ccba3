// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// remember verifies a token twice and makes sure that the second time was a hit.
func remember(t *testing.T, w *world.World, v *subject.Verifier, token string) *policy.Token {
	t.Helper()
	once := mustVerify(t, w, v, token) // noted, and not kept
	first := mustVerify(t, w, v, token)
	if once == first {
		t.Fatal("a token that came once was kept")
	}
	if third := mustVerify(t, w, v, token); third != first {
		t.Fatal("the third presentation was verified anew")
	}
	return first
}

func TestARememberedTokenIsForgottenWith(t *testing.T) {
	t.Parallel()
	corp := func(edit func(w *world.World, i *policy.Issuer)) func(*world.World) {
		return func(w *world.World) { w.Change(world.EditIssuer("corp", func(i *policy.Issuer) { edit(w, i) })) }
	}
	for name, test := range map[string]struct {
		change func(w *world.World)
		want   policy.Reason // empty: verified anew, and accepted
	}{
		"its issuer": {func(w *world.World) {
			w.Change(func(s *policy.Spec) { s.Issuers = s.Issuers[1:] })
		}, policy.IssuerUnknown},
		"its issuer's suspension": {corp(func(_ *world.World, i *policy.Issuer) { i.Suspended = true }), policy.IssuerSuspended},
		"its issuer's use as Subject": {
			corp(func(_ *world.World, i *policy.Issuer) { i.ForSubject = false }), policy.IssuerUnknown,
		},
		"its issuer's URL": {corp(func(_ *world.World, i *policy.Issuer) { i.URL += "/v2" }), policy.IssuerUnknown},
		"F173: its key": {
			corp(func(w *world.World, i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.Key("corp-2", "ES256")) }), policy.TokenSignature,
		},
		"F174: its key, replaced under its kid": {
			corp(func(w *world.World, i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.Key("corp-1", "ES256")) }), policy.TokenSignature,
		},
		"its algorithm": {
			corp(func(_ *world.World, i *policy.Issuer) { i.Algorithms = []string{"RS256"} }), policy.TokenSignature,
		},
		"its class": {
			corp(func(_ *world.World, i *policy.Issuer) { i.Classes = []policy.Class{policy.ClassIDToken} }), policy.TokenClass,
		},
		"a rule that it breaks": {corp(func(_ *world.World, i *policy.Issuer) {
			i.ClaimRules = []policy.ClaimRule{{Claim: "tenant", Required: "acme"}}
		}), policy.IssuerRule},
		"another prefix": {corp(func(_ *world.World, i *policy.Issuer) { i.Prefix = "other:" }), policy.ReasonNone},
		"a key beside its own": {
			corp(func(w *world.World, i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.Corp, w.Key("corp-2", "ES256")) }), policy.ReasonNone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t)
			v := newVerifier(w)
			token := w.Sign(w.Corp, nil, w.CorpClaims())
			before := remember(t, w, v, token)
			test.change(w)
			if test.want != policy.ReasonNone {
				mustRefuse(t, w, v, token, refused{test.want, policy.Denied})
				mustRefuse(t, w, v, token, refused{test.want, policy.Denied})
				return
			}
			if after := mustVerify(t, w, v, token); after == before {
				t.Error("the facts of before the change are served")
			}
		})
	}

	t.Run("nothing, when another object changes", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.Sign(w.Corp, nil, w.CorpClaims())
		own := w.SignOwn(w.OwnClaims())
		before, ownBefore := remember(t, w, v, token), remember(t, w, v, own)
		w.Change(world.EditIssuer("east", func(i *policy.Issuer) { i.Suspended = true }), func(s *policy.Spec) { s.Clients = s.Clients[:1] })
		if mustVerify(t, w, v, token) != before || mustVerify(t, w, v, own) != ownBefore {
			t.Error("verified anew")
		}
	})
	t.Run("the kid in another cluster too", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.Sign(w.East, nil, w.AccountClaims("shop", "frontend"))
		remember(t, w, v, token)
		w.Change(world.EditIssuer("west", func(i *policy.Issuer) { i.Keys.Inline = world.JWKS(w.West, w.East) }))
		mustRefuse(t, w, v, token, refused{policy.TokenSignature, policy.Denied})
		w.Change(world.EditIssuer("west", func(i *policy.Issuer) { i.Suspended = true }))
		mustVerify(t, w, v, token)
	})
	t.Run("the name of the issuer, when it is ours", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.SignOwn(w.OwnClaims())
		remember(t, w, v, token)
		w.Change(func(s *policy.Spec) { s.Services[0].Issuer = "https://new.example" })
		mustRefuse(t, w, v, token, refused{policy.IssuerUnknown, policy.Denied})
	})
	t.Run("the token service: another one's memory is not asked", func(t *testing.T) {
		t.Parallel()
		w := world.New(t, func(s *policy.Spec) {
			s.Services = append(s.Services, policy.Service{Name: "second", Issuer: "https://second.example", Algorithm: "ES256"})
		})
		v := newVerifier(w)
		token := w.Sign(w.Corp, nil, w.CorpClaims())
		remember(t, w, v, token)
		if _, ref := v.Verify(t.Context(), w.ServiceOf("second"), token, w.Now()); ref == nil || ref.Reason != policy.IssuerUnknown {
			t.Errorf("refusal: %v", ref)
		}
	})
}

func TestARememberedTokenEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		skew  time.Duration
		after time.Duration
		hit   bool
	}{
		// The clock is half a second past the second that exp was counted from.
		"F123: not before exp":          {0, 5*time.Minute - 501*time.Millisecond, true},
		"F123: at exp, without skew":    {0, 5*time.Minute - 500*time.Millisecond, false},
		"F123: not before exp and skew": {30 * time.Second, 5*time.Minute + 29499*time.Millisecond, true},
		"F123: at exp and skew":         {30 * time.Second, 5*time.Minute + 29500*time.Millisecond, false},
		"F123: long after":              {30 * time.Second, 24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t, world.EditIssuer("corp", func(i *policy.Issuer) { i.ClockSkew = test.skew }))
			v := newVerifier(w)
			token := w.Sign(w.Corp, nil, w.CorpClaims())
			before := remember(t, w, v, token)
			w.Advance(test.after)
			if hit := mustVerify(t, w, v, token) == before; hit != test.hit {
				t.Errorf("hit %v, want %v", hit, test.hit)
			}
			if entries := v.Stats().Entries; test.hit != (entries == 1) {
				t.Errorf("%d entries", entries)
			}
		})
	}
	t.Run("what has expired is verified, for policy to say so, and not remembered", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.Sign(w.Corp, nil, w.CorpClaims(world.Claims{"iat": 1, "exp": 2}))
		mustVerify(t, w, v, token)
		mustVerify(t, w, v, token)
		if s := v.Stats(); s.Entries != 0 || s.Hits != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("F123: an exp in the year 9999 does not overflow", func(t *testing.T) {
		t.Parallel()
		w := world.New(t)
		v := newVerifier(w)
		token := w.Sign(w.Corp, nil, w.CorpClaims(world.Claims{"exp": 253402300799}))
		remember(t, w, v, token)
	})
}

func TestOnlySuccessIsRemembered(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	v := newVerifier(w)
	for _, token := range []string{
		w.Sign(w.Key("corp-1", "ES256"), nil, w.CorpClaims()),
		w.Sign(w.Corp, nil, w.CorpClaims(world.Claims{"sub": nil})),
		w.SignOwn(w.OwnClaims(world.Claims{"xqr": nil})),
	} {
		for range 2 {
			if _, ref := verify(t, w, v, token); ref == nil {
				t.Error("accepted")
			}
		}
	}
	if s := v.Stats(); s.Entries != 0 || s.Hits != 0 || s.Misses != 6 {
		t.Errorf("%+v", s)
	}
}

func TestTheMemoryHasBounds(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	v := subject.New(w.Manager, w.Ring, subject.Options{Cache: trust.Limits{Entries: 128}})
	kept := w.Sign(w.Corp, nil, w.CorpClaims())
	for i := range 1000 {
		mustVerify(t, w, v, kept)
		mustVerify(t, w, v, w.Sign(w.Corp, nil, w.CorpClaims(world.Claims{"jti": fmt.Sprint(i)})))
	}
	s := v.Stats()
	if s.Entries > 128 {
		t.Errorf("%d entries", s.Entries)
	}
	if s.Hits < 900 {
		t.Errorf("a token in constant use was hit %d times out of 999", s.Hits)
	}
}

func TestAHitIsCheap(t *testing.T) {
	w := world.New(t)
	v := newVerifier(w)
	token := w.Sign(w.Corp, nil, w.CorpClaims())
	svc, now := w.Service(), w.Now()
	remember(t, w, v, token)
	allocs := testing.AllocsPerRun(100, func() {
		if _, ref := v.Verify(t.Context(), svc, token, now); ref != nil {
			t.Error(ref)
		}
	})
	// One: the bytes of the token, for SHA-256.
	if allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkVerify(b *testing.B) {
	w := world.New(b)
	token := w.Sign(w.Corp, nil, w.CorpClaims())
	svc, now := w.Service(), w.Now()
	b.Run("remembered", func(b *testing.B) {
		v := newVerifier(w)
		b.ReportAllocs()
		b.SetBytes(int64(len(token)))
		for b.Loop() {
			if _, ref := v.Verify(b.Context(), svc, token, now); ref != nil {
				b.Fatal(ref)
			}
		}
	})
	b.Run("remembered, in parallel", func(b *testing.B) {
		v := newVerifier(w)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, ref := v.Verify(b.Context(), svc, token, now); ref != nil {
					b.Error(ref)
				}
			}
		})
	})
	b.Run("anew, ES256", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			v := newVerifier(w)
			b.StartTimer()
			if _, ref := v.Verify(b.Context(), svc, token, now); ref != nil {
				b.Fatal(ref)
			}
		}
	})
}
