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
	linked := func(t *testing.T, tags string) (found []string) {
		t.Helper()
		for line := range strings.Lines(build(t, "list", "-deps", "-tags", tags, "./cmd/...")) {
			if path := strings.TrimSpace(line); matchesAny(xmlSignatures, path) {
				found = append(found, path)
			}
		}
		return found
	}
	t.Run("F243: none of the libraries is linked", func(t *testing.T) {
		t.Parallel()
		if found := linked(t, "nosaml"); len(found) > 0 {
			t.Errorf("linked with -tags nosaml: %v", found)
		}
	})
	t.Run("the libraries are linked without the tag, or nothing is proved above", func(t *testing.T) {
		t.Parallel()
		if len(linked(t, "")) == 0 {
			t.Error("nothing is linked that reads signed XML")
		}
	})
	t.Run("F243: what imports the package compiles both ways", func(t *testing.T) {
		t.Parallel()
		build(t, "build", "-tags", "nosaml", module+"/exchanger/saml", module+"/exchanger/mint", module+"/exchanger/subject", module+"/exchanger/issuer", module+"/exchanger/translate")
	})
}
