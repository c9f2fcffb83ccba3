// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package subject_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/subject"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

func TestWhatACarriedKeyVerifiedStandsAsLongAsTheKeyIsCarried(t *testing.T) {
	t.Parallel()
	w := world.New(t)
	m := issuer.New(issuer.Options{
		Now: w.Now, CarrierFresh: func() bool { return true }, Logger: slog.New(slog.DiscardHandler),
	})
	v := subject.New(m, w.Ring, subject.Options{})
	carry := func(keys ...*fake.Key) {
		edit := world.EditIssuer("corp", func(i *policy.Issuer) {
			i.Keys = policy.Keys{JWKSURL: "https://login.corp.example/keys", Carried: world.JWKS(keys...)}
		})
		w.Change(edit)
		i, _ := w.Service().TrustedIssuer("corp")
		m.SetSources(issuer.Sources(&policy.Spec{Issuers: []policy.Issuer{*i.Spec()}}))
	}
	carry(w.Corp)
	token := w.Sign(w.Corp, nil, w.CorpClaims())
	for range 3 {
		mustVerify(t, w, v, token)
	}
	hits := v.Stats().Hits
	carry(w.Key("corp-0", "ES256"), w.Corp)
	mustVerify(t, w, v, token)
	if got := v.Stats().Hits; got != hits+1 {
		t.Errorf("%d hits after %d: a key that was added made the token be verified again", got, hits)
	}
	t.Run("F173: a key that is carried no more", func(t *testing.T) {
		carry(w.Key("corp-0", "ES256"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // nothing runs here that could look for the key
		if _, ref := v.Verify(ctx, w.Service(), token, w.Now()); ref == nil {
			t.Fatal("what a removed key verified is accepted")
		}
	})
	t.Run("F174: a key that was replaced under its kid", func(t *testing.T) {
		carry(w.Corp)
		mustVerify(t, w, v, token)
		carry(w.Key("corp-1", "ES256"))
		mustRefuse(t, w, v, token, refused{policy.TokenSignature, policy.Denied})
	})
}
