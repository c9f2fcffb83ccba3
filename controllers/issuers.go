// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// issuers are whose keys are fetched, beside everything else: nothing waits for a
// foreign server.
type issuers struct {
	*issuer.Manager

	local *issuer.Local
}

// newLocal asks the API server for who signs service-account tokens.
func newLocal(config *rest.Config, published *policy.Spec, op *Operator) (*issuer.Local, error) {
	gv := corev1.SchemeGroupVersion
	server, _, err := rest.DefaultServerURL(config.Host, "/api", schema.GroupVersion{Version: gv.Version}, true)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("credentials for the API server: %w", err)
	}
	return issuer.NewLocal(issuer.LocalOptions{
		Server: &url.URL{Scheme: server.Scheme, Host: server.Host}, Transport: transport, Start: localOf(published),
		OnChange: op.Changed, Now: op.options.Now, Logger: op.options.Log,
	})
}

// localOf is the local cluster as it was published last.
func localOf(published *policy.Spec) *issuer.LocalCluster {
	if published == nil {
		return nil
	}
	for i := range published.Issuers {
		if s := &published.Issuers[i]; s.Keys.Local && s.Keys.Carried != "" {
			return &issuer.LocalCluster{Issuer: s.URL, JWKS: []byte(s.Keys.Carried)}
		}
	}
	return nil
}

// begin starts from what was published last, so that a controller that comes takes
// no keys from anybody.
func (op *Operator) begin(ctx context.Context) {
	published, err := op.publisher.Read(ctx)
	if err != nil {
		op.options.Log.WarnContext(ctx, "what was published last cannot be read; keys of issuers are carried when they were fetched", "error", err)
	}
	if published != nil {
		op.issuers.SetSources(issuer.Sources(published))
	}
	if op.config == nil {
		return
	}
	if op.issuers.local, err = newLocal(op.config, published, op); err != nil {
		op.options.Log.ErrorContext(ctx, "service-account tokens of this cluster are not accepted", "error", err)
	}
}

// follow has the keys of the issuers of a Spec fetched. What was published before
// this process began is not for an issuer that comes back hours later: its keys may
// be gone since.
func (i *issuers) follow(spec *policy.Spec) {
	i.SetSources(issuer.Sources(spec))
}

// localCluster is what translation gets to know of it.
func (i *issuers) localCluster() *translate.LocalCluster {
	if i.local == nil {
		return nil
	}
	c, ok := i.local.Current()
	if !ok {
		return nil
	}
	return &translate.LocalCluster{Issuer: c.Issuer, JWKS: c.JWKS}
}

// keyStatus tells about an issuer's keys in the words of translation.
func (i *issuers) keyStatus(name string) translate.KeyStatus {
	s, ok := i.Status(name)
	if !ok {
		return translate.KeyStatus{State: translate.KeysPending, Message: "no fetch has ended yet"}
	}
	out := translate.KeyStatus{State: translate.KeyState(s.State), Message: strings.Join(append([]string{s.Message}, s.Warnings...), "; ")}
	out.JWKS, out.Digest, _ = i.JWKS(name)
	return out
}
