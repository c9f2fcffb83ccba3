// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exchequer-dev/exchequer/exchanger/feed"
)

// source is where a command that answers questions about access reads from.
type source struct {
	namespace string
	cluster   bool
	api       clusterFlags
}

func (s *source) register(c *cobra.Command) {
	c.Flags().StringVar(&s.namespace, "namespace", defaultNamespace, "the operator's `NAMESPACE`")
	c.Flags().BoolVar(&s.cluster, "cluster", false, "read the objects of a cluster, with your own rights")
	s.api.register(c)
}

func (s *source) load(c *cobra.Command, args []string, now func() time.Time) (*manifests, error) {
	switch {
	case s.cluster && len(args) > 0:
		return nil, usage("%s and --cluster: use one of the two", args[0])
	case s.cluster:
		return s.api.load(c.Context(), s.namespace, now, false)
	case s.api.given():
		return nil, usage("--kubeconfig and --context go with --cluster")
	case len(args) == 0:
		return nil, usage("DIR is missing: the manifests that are asked about; or --cluster")
	}
	return loadSource(args[0], s.namespace, now, false)
}

// notes are what a reader of the answer should know about where it comes from.
func (s *source) notes(args []string, m *manifests) []string {
	arg := "the cluster"
	if !s.cluster {
		arg = args[0]
	}
	return sourceNotes(arg, m)
}

// loadSource reads what a command compares or searches: a directory or a file of
// manifests. What cannot be read is an error here: an answer about access that
// rests on half of the files is a guess. Manifests that are compared with a cluster
// are judged as a cluster judges them.
func loadSource(arg, namespace string, now func() time.Time, asCluster bool) (*manifests, error) {
	m, err := loadManifestsAs([]string{arg}, namespace, now, func(b *feed.Builder) *feed.Builder {
		if asCluster {
			return b.ForCluster(nil)
		}
		return b
	})
	if err != nil {
		return nil, err
	}
	if len(m.unread) > 0 {
		return nil, usage("%s: what it allows is not known before this is mended: %s", arg, m.unread[0])
	}
	return m, nil
}

// clusterPrefix marks an argument that is a cluster: "cluster:", or
// "cluster:CONTEXT".
const clusterPrefix = "cluster:"

// loadSide reads one side of a comparison.
func loadSide(ctx context.Context, arg, namespace string, api clusterFlags, now func() time.Time, asCluster bool) (*manifests, error) {
	name, isCluster := strings.CutPrefix(arg, clusterPrefix)
	if !isCluster {
		return loadSource(arg, namespace, now, asCluster)
	}
	if name != "" {
		api.context = name
	}
	return api.load(ctx, namespace, now, false)
}

// sourceNotes say what is wrong with a source, and what of it could not be seen.
func sourceNotes(arg string, m *manifests) []string {
	out := append([]string{}, m.unseen...)
	if n := len(m.Problems); n > 0 {
		out = append(out, fmt.Sprintf("%s has %s, first %s; what a problem is about is not in force, and `exchequer check` shows all", arg, count(n, "problem"), m.Problems[0]))
	}
	return out
}
