// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"context"
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// Reviewer asks an API server.
type Reviewer struct{ reviews client.TokenReviewInterface }

// New makes a Reviewer of the process's own configuration, whose account needs
// `create` on tokenreviews (ClusterRole system:auth-delegator has it).
func New(config *rest.Config) (*Reviewer, error) {
	own := rest.CopyConfig(config)
	// How many questions are under way is bounded where they are asked; a limit
	// here would let an answer that nobody has asked for yet wait in line.
	own.QPS = -1
	c, err := client.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("client for TokenReviews: %w", err)
	}
	return &Reviewer{reviews: c.TokenReviews()}, nil
}

// Review sends the token and its audiences. The error never holds the token.
func (r *Reviewer) Review(ctx context.Context, token string, audiences []string) (trust.Review, error) {
	answer, err := r.reviews.Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		return trust.Review{}, because(err)
	}
	s := &answer.Status
	return trust.Review{Authenticated: s.Authenticated, Username: s.User.Username, UID: s.User.UID, Audiences: s.Audiences}, nil
}

// because tells why an API server could not be asked. Its own words may repeat the
// object that was sent, so only their kind is told.
func because(err error) error {
	switch reason := apierrors.ReasonForError(err); {
	case reason == metav1.StatusReasonForbidden:
		return errors.New("review a token: this process may not create tokenreviews: bind its service account to ClusterRole system:auth-delegator")
	case reason != metav1.StatusReasonUnknown:
		return fmt.Errorf("review a token: the API server answered %s", reason)
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("review a token: the API server did not answer in time")
	}
	return errors.New("review a token: the API server could not be asked")
}
