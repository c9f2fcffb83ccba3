// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/exchequer-dev/exchequer/test/faults/rig"
)

// builds are the programs with edits that tests have asked for.
var builds = struct { //nolint:gochecknoglobals // one per test binary is the point
	sync.Mutex
	dir  string
	made map[string]rig.Programs
}{made: map[string]rig.Programs{}}

// with is a build of the programs with edits. It is made once.
func with(t *testing.T, edits ...rig.Edit) *rig.Programs {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	key := fmt.Sprint(edits)
	p, ok := builds.made[key]
	if !ok {
		dir := filepath.Join(builds.dir, fmt.Sprintf("edited-%d", len(builds.made)))
		must(t, os.MkdirAll(dir, 0o700))
		var err error
		p, err = rig.Build(t.Context(), dir, edits...)
		must(t, err)
		builds.made[key] = p
	}
	return &p
}

// hurried is the one build for all tests that want some times shorter, or an object
// that makes translation panic: to build the programs takes longer than most tests.
//
// Everybody who looks once a minute looks once a second: the controller after keys,
// heartbeat and slots, a replica after what is published. Every time that a rotation of
// keys hangs on is a sixtieth of what it is, too: what a verifier may cache, by how much
// clocks may differ, how long a key must have been published, how long a retired one
// stays. The proportions, and the code, are those of the released program.
func hurried() []rig.Edit {
	return []rig.Edit{
		panicAt("poison-panic"),
		{File: "controllers/options.go", From: "	beat = time.Minute\n", To: "	beat = time.Second\n"},
		{File: "exchanger/feed/cluster/feed.go", From: "		confirm = time.Minute\n", To: "		confirm = time.Second\n"},
		{File: "cmd/exchanger/settings.go", From: "	leastAge = 2 * time.Minute\n", To: "	leastAge = 2 * time.Second\n"},
		{File: "exchanger/translate/tokenservice.go", From: "const minPrePublish = 5*time.Minute + 60*time.Second\n", To: "const minPrePublish = 5*time.Second + 1*time.Second\n"},
		{File: "exchanger/server/routes.go", From: "	maxAge    = 5 * time.Minute\n	clockSkew = time.Minute\n", To: "	maxAge    = 5 * time.Second\n	clockSkew = time.Second\n"},
		{File: "controllers/keystore/manager.go", From: "const tokenSlack = 24*time.Hour + time.Minute\n", To: "const tokenSlack = 24*time.Minute + time.Second\n"},
		{File: "controllers/keystore/manager.go", From: "const fresh = 20 * time.Second\n", To: "const fresh = 333 * time.Millisecond\n"},
	}
}

// panicAt makes translation panic at a policy of that name: no object is known that
// does.
func panicAt(name string) rig.Edit {
	return rig.Edit{
		File: "exchanger/translate/grant.go",
		From: "func (w *world) translatePolicy(p *grant) {\n",
		To:   fmt.Sprintf("func (w *world) translatePolicy(p *grant) {\n\tif p.name == %q {\n\t\tpanic(\"poison\")\n\t}\n", name),
	}
}

// next is the version after this one, as far as snapshots go: it reads their
// format and one more, and writes the newer one as soon as every replica reads it.
func next() []rig.Edit {
	return []rig.Edit{
		{File: "exchanger/policy/compile.go", From: "if spec.Format != Format {", To: "if spec.Format != Format && spec.Format != Format+1 {"},
		{File: "exchanger/wire/names.go", From: "func ReadsFormats() []int32 { return []int32{policy.Format} }", To: "func ReadsFormats() []int32 { return []int32{policy.Format, policy.Format + 1} }"},
		{File: "exchanger/wire/names.go", From: "func writesFormats() []int { return []int{policy.Format} }", To: "func writesFormats() []int { return []int{policy.Format + 1, policy.Format} }"},
	}
}
