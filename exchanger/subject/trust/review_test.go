// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// api is an API server's part.
type api struct {
	asked  atomic.Int64
	answer func(ctx context.Context) (trust.Review, error)
}

func (a *api) Review(ctx context.Context, _ string, _ []string) (trust.Review, error) {
	a.asked.Add(1)
	return a.answer(ctx)
}

const (
	account = "system:serviceaccount:shop:frontend"
	uid     = "0b6f5d3e"
)

func vouching() trust.Review {
	return trust.Review{Authenticated: true, Username: account, UID: uid, Audiences: []string{"a"}}
}

func question(token string) trust.Question {
	return trust.Question{
		Key: trust.Key{Service: "main", Digest: sha256.Sum256([]byte(token))}, Token: token, Issuer: "local",
		Audiences: []string{"a", "b"}, Subject: account, UID: uid,
	}
}

func TestAnAnswerOfTheAPIServer(t *testing.T) {
	t.Parallel()
	edit := func(f func(*trust.Review)) func(context.Context) (trust.Review, error) {
		return func(context.Context) (trust.Review, error) {
			r := vouching()
			f(&r)
			return r, nil
		}
	}
	for name, of := range map[string]struct {
		answer func(context.Context) (trust.Review, error)
		reason policy.Reason // none: accepted
		unable bool
	}{
		"yes":                               {edit(func(*trust.Review) {}), "", false},
		"F72: no, for its pod is gone":      {edit(func(r *trust.Review) { *r = trust.Review{} }), policy.TokenRevoked, false},
		"yes, and for no audience":          {edit(func(r *trust.Review) { r.Audiences = nil }), policy.TokenRevoked, false},
		"yes, and for another audience":     {edit(func(r *trust.Review) { r.Audiences = []string{"c"} }), policy.TokenRevoked, false},
		"yes, for another account":          {edit(func(r *trust.Review) { r.Username = "system:admin" }), policy.TokenRevoked, false},
		"yes, for an account made anew":     {edit(func(r *trust.Review) { r.UID = "other" }), policy.TokenRevoked, false},
		"no, with an account and audiences": {edit(func(r *trust.Review) { r.Authenticated = false }), policy.TokenRevoked, false},
		"F72: none":                         {func(context.Context) (trust.Review, error) { return vouching(), errors.New("refused") }, policy.UpstreamUnavailable, true},
		"a panic":                           {func(context.Context) (trust.Review, error) { panic("a bug") }, policy.UpstreamUnavailable, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &api{answer: of.answer}
			r := trust.NewReviews(server)
			now := time.Unix(1000, 0)
			for range 2 {
				ref := r.Check(t.Context(), question("token"), now)
				switch {
				case of.reason == "" && ref != nil:
					t.Fatal(ref)
				case of.reason != "" && (ref == nil || ref.Reason != of.reason || (ref.Outcome == policy.Unable) != of.unable):
					t.Fatalf("%+v", ref)
				}
			}
			want := int64(1)
			if of.unable {
				want = 2 // that nobody could tell is not remembered
			}
			if got := server.asked.Load(); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
		})
	}
	t.Run("nobody to ask", func(t *testing.T) {
		t.Parallel()
		if ref := trust.NewReviews(nil).Check(t.Context(), question("token"), time.Unix(1000, 0)); ref == nil || ref.Outcome != policy.Unable {
			t.Errorf("%v", ref)
		}
	})
}

func TestAnAnswerIsOldAfterTenSeconds(t *testing.T) {
	t.Parallel()
	gone := false
	server := &api{answer: func(context.Context) (trust.Review, error) {
		if gone {
			return trust.Review{}, nil
		}
		return vouching(), nil
	}}
	r := trust.NewReviews(server)
	now := time.Unix(1000, 0)
	if ref := r.Check(t.Context(), question("token"), now); ref != nil {
		t.Fatal(ref)
	}
	gone = true
	if ref := r.Check(t.Context(), question("token"), now.Add(9999*time.Millisecond)); ref != nil {
		t.Error("asked again within ten seconds")
	}
	if ref := r.Check(t.Context(), question("token"), now.Add(10*time.Second)); ref == nil || ref.Reason != policy.TokenRevoked {
		t.Errorf("F72: %v", ref)
	}
	if ref := r.Check(t.Context(), question("another"), now); ref == nil {
		t.Error("the answer to one token counts for another")
	}
}

func TestReviewsAreBounded(t *testing.T) {
	t.Parallel()
	t.Run("a herd with one token is one question", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := &api{answer: func(context.Context) (trust.Review, error) {
				time.Sleep(time.Second)
				return vouching(), nil
			}}
			r := trust.NewReviews(server)
			var wg sync.WaitGroup
			for range 1000 {
				wg.Go(func() {
					if ref := r.Check(t.Context(), question("token"), time.Now()); ref != nil {
						t.Error(ref)
					}
				})
			}
			wg.Wait()
			if got := server.asked.Load(); got != 1 {
				t.Errorf("asked %d times", got)
			}
		})
	})
	t.Run("F72: an API server that hangs is asked 64 questions at a time, each for 5 seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := &api{answer: func(ctx context.Context) (trust.Review, error) {
				<-ctx.Done()
				return vouching(), ctx.Err()
			}}
			r := trust.NewReviews(server)
			started := time.Now()
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					if ref := r.Check(t.Context(), question(fmt.Sprint("token-", i)), time.Now()); ref == nil || ref.Outcome != policy.Unable {
						t.Errorf("%v", ref)
					}
				})
			}
			wg.Wait()
			if got := server.asked.Load(); got != 64 {
				t.Errorf("asked %d questions", got)
			}
			if took := time.Since(started); took != 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("a caller that goes does not end the question for the others", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := &api{answer: func(ctx context.Context) (trust.Review, error) {
				select {
				case <-ctx.Done():
					return trust.Review{}, ctx.Err()
				case <-time.After(time.Second):
					return vouching(), nil
				}
			}}
			r := trust.NewReviews(server)
			ctx, cancel := context.WithCancel(t.Context())
			first := make(chan *policy.Refusal)
			go func() { first <- r.Check(ctx, question("token"), time.Now()) }()
			synctest.Wait()
			cancel()
			if ref := <-first; ref == nil || ref.Outcome != policy.Unable {
				t.Errorf("the one that went: %v", ref)
			}
			if ref := r.Check(t.Context(), question("token"), time.Now()); ref != nil || server.asked.Load() != 1 {
				t.Errorf("the one that stayed: %v, %d questions", ref, server.asked.Load())
			}
		})
	})
}
