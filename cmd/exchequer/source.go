// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// source is where a command that answers questions about access reads from.
type source struct {
	namespace string
}

func (s *source) register(c *cobra.Command) {
	c.Flags().StringVar(&s.namespace, "namespace", defaultNamespace, "the operator's `NAMESPACE`")
}

func (s *source) load(_ *cobra.Command, args []string, now func() time.Time) (*manifests, error) {
	if len(args) == 0 {
		return nil, usage("DIR is missing: the manifests that are asked about")
	}
	return loadSource(args[0], s.namespace, now)
}

// notes are what a reader of the answer should know about where it comes from.
func (s *source) notes(args []string, m *manifests) []string {
	if note, ok := problemNote(args[0], m); ok {
		return []string{note}
	}
	return nil
}

// loadSource reads what a command compares or searches: a directory or a file of
// manifests. What cannot be read is an error here: an answer about access that
// rests on half of the files is a guess.
func loadSource(arg, namespace string, now func() time.Time) (*manifests, error) {
	m, err := loadManifests([]string{arg}, namespace, now)
	if err != nil {
		return nil, err
	}
	if len(m.unread) > 0 {
		return nil, usage("%s: what it allows is not known before this is mended: %s", arg, m.unread[0])
	}
	return m, nil
}

// problemNote says that a source has problems, none of which hides a file.
func problemNote(arg string, m *manifests) (string, bool) {
	n := len(m.Problems)
	if n == 0 {
		return "", false
	}
	return fmt.Sprintf("%s has %s, first %s; what a problem is about is not in force, and `exchequer check` shows all", arg, count(n, "problem"), m.Problems[0]), true
}
