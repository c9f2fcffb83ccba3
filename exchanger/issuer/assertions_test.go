// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !nosaml

package issuer_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/test/fakes/saml"
)

const entityID = "https://idp.example/saml"

func TestKeysOfMetadataAreCarriedAsAKeySet(t *testing.T) {
	t.Parallel()
	idp, err := saml.New(entityID, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/samlmetadata+xml, application/xml, text/xml" {
			t.Errorf("Accept: %s", r.Header.Get("Accept"))
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write(idp.Metadata())
	}))
	t.Cleanup(server.Close)
	source := issuer.Source{
		Name: "adfs", Digest: "1", URL: entityID, JWKSURL: server.URL, SAML: true,
		AllowLoopbackHTTP: true, AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	controller := issuer.New(issuer.Options{Logger: slog.New(slog.DiscardHandler)})
	controller.SetSources([]issuer.Source{source})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = controller.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	first, err := controller.All(t.Context(), "adfs", "1", nil)
	if err != nil || first.Len() != 1 {
		t.Fatal(first, err)
	}
	text, digest, ok := controller.JWKS("adfs")
	if !ok || digest != "1" {
		t.Fatal("there is nothing to carry")
	}
	server.Close()

	source.Carried = text
	replica := issuer.New(issuer.Options{Logger: slog.New(slog.DiscardHandler), CarrierFresh: func() bool { return true }})
	replica.SetSources([]issuer.Source{source})
	got, err := replica.All(t.Context(), "adfs", "1", nil)
	if err != nil || !slices.Equal(got.KeyIDs(), first.KeyIDs()) {
		t.Fatal(got, err)
	}
	if _, err := replica.All(t.Context(), "adfs", "2", nil); !errors.Is(err, issuer.ErrUnable) {
		t.Errorf("under another digest: %v", err)
	}
	if _, err := replica.All(t.Context(), "gone", "1", nil); !errors.Is(err, issuer.ErrUnable) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestAKeySetThatWasTriedIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	m := issuer.New(issuer.Options{Logger: slog.New(slog.DiscardHandler)})
	set := []byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"cqTltUqXd1VUGiljUu-32suVcMHadGp5U0fKqgN4OoU","y":"Oc-mpKJ-Ij42bX4GyZnEi70wH9P1cTu98CUlst_NYbo"}]}`)
	m.SetSources([]issuer.Source{{Name: "adfs", Digest: "1", URL: entityID, Inline: set, SAML: true}})
	all, err := m.All(t.Context(), "adfs", "1", nil)
	if err != nil || all.Len() != 1 {
		t.Fatal(all, err)
	}
	if again, err := m.All(t.Context(), "adfs", "1", all); !errors.Is(err, issuer.ErrKeyUnknown) || again != nil {
		t.Error(again, err)
	}
}

func TestAnEntityIDIsNoAddress(t *testing.T) {
	t.Parallel()
	m := issuer.New(issuer.Options{Logger: slog.New(slog.DiscardHandler)})
	m.SetSources([]issuer.Source{{Name: "adfs", Digest: "1", URL: entityID, SAML: true}})
	if st, _ := m.Status("adfs"); st.State != issuer.Failed {
		t.Errorf("%+v", st)
	}
}
