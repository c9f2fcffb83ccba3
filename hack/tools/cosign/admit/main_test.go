// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestF365OnlyWhatIsSignedGetsIntoTheCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cosign := filepath.Join(dir, "cosign")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", cosign, "github.com/sigstore/cosign/v2/cmd/cosign")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	image, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	file := func(file, text string) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bill := file("sbom.json", `{"bomFormat":"CycloneDX","specVersion":"1.6"}`)
	provenance := file("provenance.json", `{"buildDefinition":{"buildType":"https://exchequer.dev/build/v1","externalParameters":{}},"runDetails":{"builder":{"id":"here"}}}`)
	tar := filepath.Join(dir, "image.tar")
	tag, err := name.NewTag("exchequer.local/exchequer:test")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(tar, tag, image); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		tamper func(at string, digest name.Digest) error
		admit  bool
	}{
		"what is signed": {nil, true},
		"what is signed, though the tag was moved since": {func(at string, _ name.Digest) error {
			other, err := random.Image(1000, 2)
			if err != nil {
				return err
			}
			tag, err := name.NewTag(at + "/exchequer:admitted")
			if err != nil {
				return err
			}
			return remote.Write(tag, other)
		}, true},
		"not: a signature that is gone":          {without(".sig"), false},
		"not: attestations that are gone":        {without(".att"), false},
		"not: the signature of somebody's image": {func(_ string, digest name.Digest) error { return swap(digest) }, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a := &admission{program: cosign, tag: tag.Name(), tar: tar, bill: bill, provenance: provenance, out: filepath.Join(t.TempDir(), "verified.tar"), tamper: tc.tamper}
			got, err := a.run(t.Context())
			_, missing := os.Stat(a.out)
			if !tc.admit {
				if err == nil || missing == nil {
					t.Fatalf("it was let in as %s", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			written, err := tarball.ImageFromPath(a.out, &tag)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []v1.Image{image, written} {
				if want, err := configured(i); err != nil || want != got {
					t.Errorf("%s was let in, want %s (%v)", got, want, err)
				}
			}
		})
	}
}

// companion is where cosign keeps what belongs to a digest.
func companion(digest name.Digest, suffix string) (name.Tag, error) {
	return name.NewTag(digest.Context().Name()+":sha256-"+digest.DigestStr()[len("sha256:"):]+suffix, name.Insecure)
}

// without takes away what cosign keeps beside the image.
func without(suffix string) func(string, name.Digest) error {
	return func(_ string, digest name.Digest) error {
		tag, err := companion(digest, suffix)
		if err != nil {
			return err
		}
		return remote.Delete(tag)
	}
}

// swap puts another image's signature in the place of this one's: none of ours.
func swap(digest name.Digest) error {
	tag, err := companion(digest, ".sig")
	if err != nil {
		return err
	}
	other, err := random.Image(10, 1)
	if err != nil {
		return err
	}
	return remote.Write(tag, other)
}
