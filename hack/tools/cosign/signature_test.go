// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// bench is a folder with images, keys, and a registry to push to.
type bench struct {
	dir, registry, program string
}

func (b bench) run(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "HOME="+b.dir, "DOCKER_CONFIG="+b.dir,
		"GOCACHE="+goEnv(t, "GOCACHE"), "GOMODCACHE="+goEnv(t, "GOMODCACHE"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		t.Logf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(stdout.String()), err
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (b bench) must(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	out, err := b.run(t, dir, name, args...)
	if err != nil {
		t.Fatal("see above")
	}
	return out
}

func (b bench) cosign(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return b.run(t, b.dir, b.program, args...)
}

// image makes and pushes an image as a release does, and returns its digest and
// the file that says what is in it.
func (b bench) image(t *testing.T, tag, entrypoint string) (pushed, bill string) {
	t.Helper()
	tools := "../image"
	bill = filepath.Join(b.dir, entrypoint+".json")
	tar := filepath.Join(b.dir, entrypoint+".tar")
	ref := b.registry + "/exchequer:" + tag
	program := filepath.Join(b.dir, "pause")
	b.must(t, tools, "go", "build", "-trimpath", "-o", program, "./pause")
	b.must(t, tools, "go", "run", "./mkimage", "-o", tar, "-sbom", bill, "-t", ref, "-entrypoint", "/"+entrypoint, program+"=/"+entrypoint)
	return b.must(t, tools, "go", "run", "./publish", "-t", ref, tar), bill
}

// The release signs without a key, as the workflow that it is; that takes
// GitHub. Everything else is the same with a key: what is pushed, what the
// signature is about, and what is refused.
func TestOnlyTheImageThatWasSignedIsVerified(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	b := bench{dir: t.TempDir(), registry: strings.TrimPrefix(server.URL, "http://")}
	b.program = filepath.Join(b.dir, "cosign")
	b.must(t, ".", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.program, "github.com/sigstore/cosign/v2/cmd/cosign")
	for _, key := range []string{"ours", "theirs"} {
		b.must(t, b.dir, b.program, "generate-key-pair", "--output-key-prefix", key)
	}
	signed, bill := b.image(t, "v1", "signed")
	unsigned, _ := b.image(t, "v2", "unsigned")
	b.must(t, b.dir, b.program, "sign", "--yes", "--recursive", "--tlog-upload=false", "--key", "ours.key", signed)
	b.must(t, b.dir, b.program, "attest", "--yes", "--tlog-upload=false", "--key", "ours.key", "--type", "cyclonedx", "--predicate", bill, signed)

	verify := func(key, ref string) error {
		_, err := b.cosign(t, "verify", "--insecure-ignore-tlog=true", "--key", key+".pub", ref)
		return err
	}
	t.Run("the signed image is verified, by its digest and by its tag", func(t *testing.T) {
		for _, ref := range []string{signed, b.registry + "/exchequer:v1"} {
			if err := verify("ours", ref); err != nil {
				t.Errorf("%s: %v", ref, err)
			}
		}
	})
	t.Run("the key of somebody else does not verify it", func(t *testing.T) {
		if verify("theirs", signed) == nil {
			t.Error("verified")
		}
	})
	t.Run("an image that nobody signed is refused", func(t *testing.T) {
		if verify("ours", unsigned) == nil {
			t.Error("verified")
		}
	})
	t.Run("what it is made of comes with it, byte for byte", func(t *testing.T) {
		out, err := b.cosign(t, "verify-attestation", "--insecure-ignore-tlog=true", "--key", "ours.pub", "--type", "cyclonedx", signed)
		if err != nil {
			t.Fatal(err)
		}
		var envelope struct{ Payload string }
		var statement struct{ Predicate any }
		var want any
		content, errRead := os.ReadFile(bill)
		if errRead != nil || json.Unmarshal(content, &want) != nil || json.Unmarshal([]byte(out), &envelope) != nil {
			t.Fatalf("%v: no envelope: %s", errRead, out)
		}
		payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
		if err != nil || json.Unmarshal(payload, &statement) != nil {
			t.Fatalf("%v: no statement: %s", err, payload)
		}
		got, errGot := json.Marshal(statement.Predicate)
		expected, errWant := json.Marshal(want)
		if errGot != nil || errWant != nil || !bytes.Equal(got, expected) {
			t.Errorf("the attestation says\n%s\nthe file\n%s", got, expected)
		}
	})
	t.Run("a tag that was moved to another image is refused", func(t *testing.T) {
		b.image(t, "v1", "moved")
		if verify("ours", b.registry+"/exchequer:v1") == nil {
			t.Error("verified")
		}
		if err := verify("ours", signed); err != nil {
			t.Errorf("by its digest the signed one is still good: %v", err)
		}
	})
}
