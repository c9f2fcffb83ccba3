// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"context"
	"log/slog"
	"net/url"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

func TestAnAPIServersOwnTokensVerifyWithWhatItSaysOfItself(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	config := plane.Admin()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	if server.Host == "" {
		server = &url.URL{Scheme: "https", Host: config.Host}
	}
	read := make(chan struct{}, 1)
	l, err := issuer.NewLocal(issuer.LocalOptions{
		Server: server, Transport: transport, OnChange: func() { read <- struct{}{} }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	<-read
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	local, known := l.Current()
	if !known {
		t.Fatal("nothing is known")
	}
	namespace := plane.Namespace(t)
	token, _ := podToken(t, plane.Client(t), namespace)
	parsed, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if iss, _ := parsed.UnverifiedIssuer(); iss != local.Issuer {
		t.Errorf("the token is of %q, the API server says %q", iss, local.Issuer)
	}
	set, warnings, err := jose.ParseKeySet(local.JWKS, jose.KeySetOptions{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	key, ok := set.Key(parsed.KeyID())
	if !ok {
		t.Fatalf("no key with the token's kid among %d", set.Len())
	}
	if _, err := parsed.Verify(key, jose.Algorithms()); err != nil {
		t.Error(err)
	}
}
