// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// tellEvery bounds how often it is logged that no answer was had: each request that
// waits for one would say it.
const tellEvery = time.Minute

// Reviewer asks an API server.
type Reviewer struct {
	reviews client.TokenReviewInterface
	log     *slog.Logger
	told    atomic.Int64 // when it was last logged, in nanoseconds
}

// New makes a Reviewer of the process's own configuration, whose account needs
// `create` on tokenreviews (ClusterRole system:auth-delegator has it). It does no I/O
// before somebody asks. log may be nil.
func New(config *rest.Config, log *slog.Logger) (*Reviewer, error) {
	own := rest.CopyConfig(config)
	// How many questions are under way is bounded where they are asked; a limit
	// here would let an answer that nobody has asked for yet wait in line.
	own.QPS = -1
	c, err := client.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("client for TokenReviews: %w", err)
	}
	return &Reviewer{reviews: c.TokenReviews(), log: log}, nil
}

// Review sends the token and its audiences. The error never holds the token.
func (r *Reviewer) Review(ctx context.Context, token string, audiences []string) (trust.Review, error) {
	answer, err := r.reviews.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		err = because(err)
		r.tell(ctx, err)
		return trust.Review{}, err
	}
	s := &answer.Status
	return trust.Review{Authenticated: s.Authenticated, Username: s.User.Username, UID: s.User.UID, Audiences: s.Audiences}, nil
}

func (r *Reviewer) tell(ctx context.Context, err error) {
	now, last := time.Now().UnixNano(), r.told.Load()
	if r.log != nil && now-last >= int64(tellEvery) && r.told.CompareAndSwap(last, now) {
		r.log.ErrorContext(ctx, "the API server vouches for no token now; those that need it are answered with 503", "error", err)
	}
}

// because tells why an API server could not be asked. Its own words may repeat the
// object that was sent, so only their kind is told.
func because(err error) error {
	switch reason := apierrors.ReasonForError(err); {
	case reason == metav1.StatusReasonForbidden:
		return errors.New("review a token: this process may not create tokenreviews: set rbac.tokenReview=true in the chart, which lets it")
	case reason != metav1.StatusReasonUnknown:
		return fmt.Errorf("review a token: the API server answered %s", reason)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("review a token: the API server did not answer in time")
	}
	return errors.New("review a token: the API server could not be asked")
}
