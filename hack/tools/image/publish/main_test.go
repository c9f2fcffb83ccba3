// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func image(t *testing.T, arch string) string {
	t.Helper()
	made, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: arch})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), arch+".tar")
	if err := tarball.WriteToFile(file, name.MustParseReference("exchequer.local/exchequer:dev"), made); err != nil {
		t.Fatal(err)
	}
	return file
}

func reference(t *testing.T, s string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheDigestThatIsPrintedIsWhatTheRegistryServes(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New())
	defer server.Close()
	tag := strings.TrimPrefix(server.URL, "http://") + "/exchequer:v1"
	amd, arm := image(t, "amd64"), image(t, "arm64")
	before, err := publish(t.Context(), tag, true, authn.Anonymous, []string{arm, amd})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(reference(t, tag)); err == nil {
		t.Fatal("-n has pushed something")
	}
	digest, err := publish(t.Context(), tag, false, authn.Anonymous, []string{amd, arm})
	if err != nil || digest != before {
		t.Fatalf("%s and %s (%v): the digest hangs on more than the images", before, digest, err)
	}
	served, err := remote.Get(reference(t, tag))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(digest, "@"+served.Digest.String()) {
		t.Errorf("printed %s, the registry serves %s", digest, served.Digest)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		got, err := remote.Image(reference(t, digest), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if config, err := got.ConfigFile(); err != nil || config.Architecture != arch {
			t.Errorf("for %s the registry serves %+v (%v)", arch, config, err)
		}
	}
}

func TestWhatCannotBePublishedIsRefused(t *testing.T) {
	t.Parallel()
	amd := image(t, "amd64")
	for name, tc := range map[string]struct {
		tag   string
		files []string
	}{
		"no name":                    {"", []string{amd}},
		"a name without a tag":       {"example.com/exchequer", []string{amd}},
		"no image":                   {"example.com/exchequer:v1", nil},
		"a file that is no image":    {"example.com/exchequer:v1", []string{"main.go"}},
		"two images of one platform": {"example.com/exchequer:v1", []string{amd, image(t, "amd64")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := publish(t.Context(), tc.tag, true, authn.Anonymous, tc.files); err == nil {
				t.Error("expected an error")
			}
		})
	}
}
