// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// reviewLife is how long an answer of the API server counts, a yes as a no. Its
	// own cache adds as much again.
	reviewLife = 10 * time.Second
	// reviewTimeout bounds one question: an API server that does not answer in 5 s
	// is one that cannot tell.
	reviewTimeout = 5 * time.Second
	// maxReviews bounds the questions under way, and so what we can do to an API
	// server that is slow. At 10 ms each they are 6,400 different tokens a second.
	maxReviews = 64
	// reviewCost is what an answer holds: two short strings and a few words.
	reviewCost = 512
)

// Reviewer asks the local cluster's API server whether a service-account token still
// stands: its pod, node, Secret and service account may be gone.
type Reviewer interface {
	// Review sends the token and the audiences that it may be for. An error says that
	// the API server could not be asked, or did not answer.
	Review(ctx context.Context, token string, audiences []string) (Review, error)
}

// Review is an API server's answer.
type Review struct {
	Authenticated bool
	// Username and UID are the service account's.
	Username string
	UID      string
	// Audiences are those of the audiences sent that the token is for.
	Audiences []string
}

// Question is what is asked about a token whose signature, issuer and time are
// verified already.
type Question struct {
	// Key names the token.
	Key Key
	// Token is the token itself.
	Token string
	// Issuer is the TrustedIssuer's name, for people.
	Issuer string
	// Audiences are those that the token may be for.
	Audiences []string
	// Subject and UID are what the token says of its service account.
	Subject string
	UID     string
}

// Reviews asks a Reviewer, once per token in ten seconds, and remembers what it
// said. It is safe for concurrent use.
type Reviews struct {
	reviewer Reviewer
	answers  *Cache[verdict]
	flights  singleflight.Group
	slots    chan struct{}
}

// NewReviews returns Reviews that ask r; with nil nobody can tell.
func NewReviews(r Reviewer) *Reviews {
	return &Reviews{reviewer: r, answers: NewCache[verdict](Limits{}), slots: make(chan struct{}, maxReviews)}
}

// verdict is why the API server does not vouch for a token; empty when it does.
type verdict string

// Check returns nil when the API server vouches for the token, now or in the last
// ten seconds; that it cannot be asked is no verdict. When ctx ends the caller goes,
// the question does not: others may wait for it.
func (r *Reviews) Check(ctx context.Context, q Question, now time.Time) *policy.Refusal {
	if known, ok := r.answers.Get(&q.Key, now); ok {
		return known.refusal(q.Issuer)
	}
	done := r.flights.DoChan(q.Key.Service+string(q.Key.Digest[:]), func() (any, error) {
		return r.ask(ctx, &q)
	})
	select {
	case answer := <-done:
		told, ok := answer.Val.(verdict)
		if answer.Err != nil || !ok {
			return cannotReview(q.Issuer)
		}
		r.answers.Put(q.Key, told, reviewCost, now.Add(reviewLife))
		return told.refusal(q.Issuer)
	case <-ctx.Done():
		return cannotReview(q.Issuer)
	}
}

func (v verdict) refusal(issuer string) *policy.Refusal {
	if v == "" {
		return nil
	}
	return Deny(policy.TokenRevoked, "TrustedIssuer "+issuer+": "+string(v))
}

func cannotReview(issuer string) *policy.Refusal {
	return &policy.Refusal{
		Outcome: policy.Unable, Reason: policy.UpstreamUnavailable,
		Detail: "whether the API server vouches for the token cannot be told now, and TrustedIssuer " + issuer + " wants that (validation: TokenReview)",
	}
}

// ask asks the API server. A panic below is an API server that cannot tell.
func (r *Reviews) ask(ctx context.Context, q *Question) (told verdict, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the review panicked")
		}
	}()
	if r.reviewer == nil {
		return "", errors.New("nobody reviews tokens here")
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return "", errors.New("too many reviews are under way")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
	defer cancel()
	answer, err := r.reviewer.Review(ctx, q.Token, q.Audiences)
	if err != nil {
		return "", err
	}
	switch {
	case !answer.Authenticated:
		return "the API server does not vouch for the token: its pod, its node, its Secret or its service account may be gone, or it is for none of the audiences", nil
	case !slices.ContainsFunc(answer.Audiences, func(a string) bool { return slices.Contains(q.Audiences, a) }):
		// An API server that knows no audiences has not looked at ours.
		return "the API server vouches for the token, and for none of the audiences that it was asked about", nil
	case answer.Username != q.Subject || answer.UID != q.UID:
		return "the API server vouches for the token as somebody else's", nil
	}
	return "", nil
}
