// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// writers is how many objects are made at once.
const writers = 16

// objects are an installation of n policies: a client for every five of them, an
// issuer for every hundred, and a namespace for every five hundred; every client
// is a target, too. A policy has a rule and a claim.
func objects(n int, keys any) []*unstructured.Unstructured {
	clients, issuers, namespaces := max(n/5, 5), max(n/100, 1), max(n/500, 1)
	var all []*unstructured.Unstructured
	add := func(kind, namespace, name string, spec map[string]any) {
		metadata := map[string]any{"name": name}
		if namespace != "" {
			metadata["namespace"] = namespace
		}
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": rig.Group + "/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
		}})
	}
	for i := range issuers {
		add("TrustedIssuer", "", fmt.Sprintf("idp-%03d", i), map[string]any{
			"jwt": map[string]any{
				"issuer": map[string]any{"url": fmt.Sprintf("https://idp-%03d.example", i), "audiences": []any{"https://sts.example.com"}},
				"keys":   map[string]any{"inline": keys},
			},
			"allowedNamespaces": map[string]any{"all": true},
			"claimMappings":     map[string]any{"groups": map[string]any{"claim": "groups"}, "username": map[string]any{"claim": "preferred_username"}},
		})
	}
	where := func(client int) string { return fmt.Sprintf("team-%02d", client%namespaces) }
	for c := range clients {
		add("ExchangeClient", where(c), fmt.Sprintf("svc-%04d", c), map[string]any{
			"authentication": []any{map[string]any{"clientSecret": map[string]any{"sha256": fmt.Sprintf("%064x", c+1)}}},
		})
	}
	for p := range n {
		target, client, issuer := p%clients, (p*7+p/clients+1)%clients, p%issuers
		add("ExchangePolicy", where(target), fmt.Sprintf("policy-%05d", p), map[string]any{
			"clients": []any{map[string]any{"namespace": where(client), "name": fmt.Sprintf("svc-%04d", client)}},
			"subject": map[string]any{
				"issuers": []any{map[string]any{"name": fmt.Sprintf("idp-%03d", issuer)}},
				"rules": []any{map[string]any{
					"expression": fmt.Sprintf("'idp-%03d:staff-%02d' in subject.groups", issuer, p%50), "message": "staff only",
				}},
			},
			"target": map[string]any{"clients": []any{map[string]any{"name": fmt.Sprintf("svc-%04d", target)}}, "scopes": []any{}},
			"token":  map[string]any{"claims": []any{map[string]any{"name": "tenant", "expression": fmt.Sprintf("'tenant-%02d'", p%50)}}},
		})
	}
	return all
}

// create makes objects and says how far it is.
func create(ctx context.Context, c *rig.Cluster, all []*unstructured.Unstructured) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	var done atomic.Int64
	for _, o := range all {
		group.Go(func() error {
			_, err := c.Apply(ctx, o)
			if n := done.Add(1); n%2000 == 0 {
				progress("  %d of %d objects", n, len(all))
			}
			return err
		})
	}
	return group.Wait()
}

// namespaces are those of objects.
func namespaces(all []*unstructured.Unstructured) []string {
	seen := map[string]bool{}
	var names []string
	for _, o := range all {
		if ns := o.GetNamespace(); ns != "" && !seen[ns] {
			seen[ns] = true
			names = append(names, ns)
		}
	}
	return names
}
