// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

// apiServer vouches for shop/frontend until it is told otherwise.
type apiServer struct {
	asked     int
	audiences []string
	gone      bool
	err       error
}

func (a *apiServer) Review(_ context.Context, _ string, audiences []string) (trust.Review, error) {
	a.asked++
	a.audiences = audiences
	return trust.Review{
		Authenticated: !a.gone, Username: "system:serviceaccount:shop:frontend", UID: world.UID, Audiences: []string{world.Issuer},
	}, a.err
}

// reviewing is a world whose cluster east wants TokenReviews.
func reviewing(t *testing.T) (*world.World, *apiServer, *clientauth.Authenticator) {
	t.Helper()
	w := world.New(t, world.EditIssuer("east", func(i *policy.Issuer) { i.TokenReview = true }))
	server := &apiServer{}
	return w, server, clientauth.New(w.Manager, newStore(w), clientauth.Options{Reviewer: server})
}

func TestTheAPIServerVouchesForACredential(t *testing.T) {
	t.Parallel()
	t.Run("F72: a deleted pod is noticed within ten seconds, although its token is remembered", func(t *testing.T) {
		t.Parallel()
		w, server, a := reviewing(t)
		c := assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
		accept(t, w, a, c)
		accept(t, w, a, c)
		if server.asked != 1 || !slices.Equal(server.audiences, []string{world.Issuer, world.Audience}) {
			t.Errorf("asked %d times, about %q", server.asked, server.audiences)
		}
		server.gone = true
		w.Advance(10 * time.Second)
		reject(t, w, a, c, policy.ClientCredentials)
	})
	t.Run("F72: that it cannot be asked is no verdict, and nothing is accepted", func(t *testing.T) {
		t.Parallel()
		w, server, a := reviewing(t)
		c := assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend")))
		server.err = errors.New("connection refused")
		reject(t, w, a, c, policy.UpstreamUnavailable)
		server.err = nil
		accept(t, w, a, c)
		w.Advance(10 * time.Second)
		server.err = errors.New("connection refused")
		reject(t, w, a, c, policy.UpstreamUnavailable)
	})
	t.Run("F72: nobody to ask is no verdict", func(t *testing.T) {
		t.Parallel()
		w, _, _ := reviewing(t)
		reject(t, w, newAuthenticator(w), assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend"))), policy.UpstreamUnavailable)
	})
	t.Run("it is not asked about what is refused anyway", func(t *testing.T) {
		t.Parallel()
		w, server, a := reviewing(t)
		forged := w.Key("east-1", "ES256")
		for name, c := range map[string]clientauth.Credentials{
			"another cluster's":     assertion(w.Sign(w.Key("north-1", "ES256"), nil, w.AccountClaims("shop", "frontend"))),
			"a forged signature":    assertion(w.Sign(forged, nil, w.AccountClaims("shop", "frontend"))),
			"nobody's account":      assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "nobody"))),
			"another audience":      assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", world.Claims{"aud": []any{"https://other.example"}}))),
			"an expired one":        assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", world.Claims{"exp": w.Now().Unix() - 60}))),
			"one that is too large": assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", world.Claims{"pad": string(make([]byte, 20<<10))}))),
			"a stranger's issuer":   assertion(w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", world.Claims{"iss": "https://stranger.example"}))),
		} {
			if _, ref := authenticate(t, w, a, c); ref == nil || server.asked != 0 {
				t.Errorf("%s: refusal %v, %d questions", name, ref, server.asked)
			}
		}
	})
	t.Run("another cluster with the same URL is not asked about", func(t *testing.T) {
		t.Parallel()
		w, server, a := reviewing(t)
		w.Change(world.EditClient(frontend, func(c *policy.Client) { c.ServiceAccounts[0].Issuer = "west" }))
		accept(t, w, a, assertion(w.Sign(w.West, nil, w.AccountClaims("shop", "frontend"))))
		if server.asked != 0 {
			t.Errorf("%d questions", server.asked)
		}
	})
}
