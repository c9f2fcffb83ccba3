// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

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
