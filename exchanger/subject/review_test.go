// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
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
		Authenticated: !a.gone, Username: "system:serviceaccount:shop:frontend", UID: world.UID, Audiences: audiences,
	}, a.err
}

func TestTheAPIServerVouchesForASubject(t *testing.T) {
	t.Parallel()
	reviewing := func(t *testing.T) (*world.World, *apiServer, *subject.Verifier) {
		t.Helper()
		w := world.New(t, world.EditIssuer("east", func(i *policy.Issuer) { i.TokenReview = true }))
		server := &apiServer{}
		return w, server, subject.New(w.Manager, w.Ring, subject.Options{Reviewer: server})
	}
	token := func(w *world.World, over ...world.Claims) string {
		return w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", append([]world.Claims{{"aud": []any{"https://cluster.example"}}}, over...)...))
	}
	t.Run("F72: a deleted pod is noticed within ten seconds, although its token is remembered", func(t *testing.T) {
		t.Parallel()
		w, server, v := reviewing(t)
		presented := token(w)
		for range 4 {
			mustVerify(t, w, v, presented)
		}
		if v.Stats().Hits == 0 || server.asked != 1 || !slices.Equal(server.audiences, []string{"https://cluster.example", world.Issuer, world.Audience}) {
			t.Errorf("%+v, asked %d times, about %q", v.Stats(), server.asked, server.audiences)
		}
		server.gone = true
		w.Advance(10 * time.Second)
		mustRefuse(t, w, v, presented, refused{policy.TokenRevoked, policy.Denied})
	})
	t.Run("F72: that it cannot be asked is no verdict", func(t *testing.T) {
		t.Parallel()
		w, server, v := reviewing(t)
		server.err = errors.New("connection refused")
		presented := token(w)
		mustRefuse(t, w, v, presented, refused{policy.UpstreamUnavailable, policy.Unable})
		server.err = nil
		mustVerify(t, w, v, presented)
		mustRefuse(t, w, subject.New(w.Manager, w.Ring, subject.Options{}), presented, refused{policy.UpstreamUnavailable, policy.Unable})
	})
	t.Run("it is not asked about what is refused anyway", func(t *testing.T) {
		t.Parallel()
		w, server, v := reviewing(t)
		second := w.Now().Unix()
		for name, of := range map[string]struct {
			token string
			want  policy.Reason
		}{
			"an expired token":       {token(w, world.Claims{"exp": second - 60, "iat": second - 120, "nbf": second - 120}), policy.TokenExpired},
			"a token of the future":  {token(w, world.Claims{"nbf": second + 120}), policy.TokenNotYetValid},
			"a token made in future": {token(w, world.Claims{"iat": second + 120}), policy.TokenNotYetValid},
			"a token for others":     {token(w, world.Claims{"aud": []any{"https://other.example"}}), policy.SubjectAudience},
			"a forged signature":     {w.Sign(w.Key("east-1", "ES256"), nil, w.AccountClaims("shop", "frontend")), policy.TokenSignature},
			"a token of nobody's":    {w.Sign(w.East, nil, w.AccountClaims("shop", "frontend", world.Claims{"sub": "alice"})), policy.TokenMalformed},
			"a stranger's":           {token(w, world.Claims{"iss": "https://stranger.example"}), policy.IssuerUnknown},
		} {
			mustRefuse(t, w, v, of.token, refused{of.want, policy.Denied})
			if server.asked != 0 {
				t.Errorf("%s: %d questions", name, server.asked)
			}
		}
	})
	t.Run("tokens of other issuers are none of its business", func(t *testing.T) {
		t.Parallel()
		w, server, v := reviewing(t)
		mustVerify(t, w, v, w.Sign(w.Corp, nil, w.CorpClaims()))
		mustVerify(t, w, v, w.Sign(w.West, nil, w.AccountClaims("shop", "frontend")))
		mustVerify(t, w, v, w.SignOwn(w.OwnClaims()))
		if server.asked != 0 {
			t.Errorf("%d questions", server.asked)
		}
	})
}
