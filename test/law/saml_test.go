// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package law

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Whoever trusts no SAML provider can have programs that cannot read one.
func TestF243AProgramBuiltWithoutSAMLHasNoXMLSignatures(t *testing.T) {
	t.Parallel()
	goFiles(t)
	build := func(t *testing.T, arguments ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", arguments...)
		cmd.Dir = root(t)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}
	t.Run("F243: none of the libraries is linked", func(t *testing.T) {
		t.Parallel()
		linked := build(t, "list", "-deps", "-tags", "nosaml", "./cmd/...")
		for line := range strings.Lines(linked) {
			if matchesAny(xmlSignatures, strings.TrimSpace(line)) {
				t.Errorf("%s is linked with -tags nosaml", strings.TrimSpace(line))
			}
		}
	})
	t.Run("F243: the package compiles both ways", func(t *testing.T) {
		t.Parallel()
		build(t, "build", "-tags", "nosaml", module+"/exchanger/saml")
	})
}
