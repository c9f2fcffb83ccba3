// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

// Upstream asks other servers; [upstream.Client] does.
type Upstream interface {
	Introspect(ctx context.Context, s *upstream.Server, token string) (map[string]any, error)
	UserInfo(ctx context.Context, s *upstream.Server, token string) (map[string]any, error)
	Redeem(ctx context.Context, s *upstream.Server, refreshToken string) (*upstream.Token, error)
	Verify(ctx context.Context, s *upstream.Server, r *upstream.VerifyRequest) (*upstream.Verified, error)
	Directory(ctx context.Context, s *upstream.Server, r *upstream.DirectoryRequest) (*upstream.Entry, error)
}

const (
	// answerLife is how long a yes counts, as a TokenReview's does: what is revoked at
	// the other server is refused here that much later.
	answerLife = 10 * time.Second
	// answerBytes is what the answers of one kind may hold together: 4,096 claims sets
	// of 2 KiB in JSON, at six times that once they are decoded (trust.Cost).
	answerBytes   = 64 << 20
	answerEntries = 4096
)

var errNobodyAsks = errors.New("nobody asks other servers here")

// answers remembers what other servers said for some seconds, and asks once for all
// who want to know the same at the same time. A no is not remembered.
type answers[V any] struct {
	cache   *trust.Cache[V]
	flights singleflight.Group
}

func newAnswers[V any]() *answers[V] {
	return &answers[V]{cache: trust.NewCache[V](trust.Limits{Entries: answerEntries, Bytes: answerBytes})}
}

// get returns what is known, or asks. When ctx ends the caller goes, the question does
// not: others may wait for it, and it has a bound of its own.
func (a *answers[V]) get(ctx context.Context, key trust.Key, now time.Time, cost func(V) int, ask func(context.Context) (V, error)) (V, error) {
	if known, ok := a.cache.Get(&key, now); ok {
		return known, nil
	}
	detached := context.WithoutCancel(ctx)
	done := a.flights.DoChan(key.Service+string(key.Digest[:]), func() (answer any, err error) {
		defer func() {
			if recover() != nil {
				err = fmt.Errorf("%w: the question panicked", upstream.ErrUnavailable)
			}
		}()
		return ask(detached)
	})
	var none V
	select {
	case r := <-done:
		if r.Err != nil {
			return none, r.Err
		}
		v, ok := r.Val.(V)
		if !ok {
			return none, upstream.ErrUnavailable
		}
		a.cache.Put(key, v, cost(v), now.Add(answerLife))
		return v, nil
	case <-ctx.Done():
		return none, upstream.ErrUnavailable
	}
}

// askedKey names a question: by what was asked, of whom, and about what. What was said
// under another declaration of the issuer is not found.
func askedKey(service, digest string, about []byte) trust.Key {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s ", len(digest), digest)
	h.Write(about)
	return trust.Key{Service: service, Digest: [sha256.Size]byte(h.Sum(nil))}
}

// unanswered is the refusal for a question that brought no yes. no is the reason for a
// verdict; what could not be told is none.
func unanswered(err error, who string, no policy.Reason) *policy.Refusal {
	var refused *upstream.Refused
	if errors.As(err, &refused) {
		return trust.Deny(no, who+": "+refused.Error())
	}
	why := "there is no answer"
	if err != nil {
		why = err.Error()
	}
	return &policy.Refusal{Outcome: policy.Unable, Reason: policy.UpstreamUnavailable, Detail: who + ": " + why}
}

// sizeOf estimates what decoded claims hold.
func sizeOf(v any) int {
	switch x := v.(type) {
	case string:
		return 16 + len(x)
	case []string:
		n := 24
		for _, s := range x {
			n += 16 + len(s)
		}
		return n
	case []any:
		n := 24
		for _, e := range x {
			n += 16 + sizeOf(e)
		}
		return n
	case map[string]any:
		n := 48
		for k, e := range x {
			n += 48 + len(k) + sizeOf(e)
		}
		return n
	}
	return 16
}
