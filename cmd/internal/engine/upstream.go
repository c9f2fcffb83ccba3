// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
)

// asker is what asks other servers while a request waits.
func (e *Engine) asker() *upstream.Client {
	o := &e.options
	return upstream.New(upstream.Options{
		Way: issuer.Way{Proxy: o.EgressProxy, RootCAs: o.EgressRoots}, RootCAs: o.EgressRoots, Loopback: o.Loopback,
		Sign: e.sign, Observer: questions{e.metrics}, Now: o.Now,
	})
}

// Credentials replaces the secrets by which other servers know this installation.
func (e *Engine) Credentials(all map[string][]byte) { e.upstream.SetCredentials(all) }

var errNoSigningKey = errors.New("the token service has no key to sign with")

// sign signs with the Active key of a token service.
func (e *Engine) sign(ctx context.Context, service, typ string, claims []byte) (string, error) {
	active, ok := e.options.Ring.Active(service)
	if !ok {
		return "", errNoSigningKey
	}
	signer, err := active.As(typ)
	if err != nil {
		return "", err
	}
	return signer.SignContext(ctx, claims)
}

// questions counts what other servers were asked.
type questions struct{ metrics *telemetry.Metrics }

func (q questions) Asked(name string, result upstream.Result, took time.Duration) {
	q.metrics.UpstreamAsked(name, string(result), took)
}
