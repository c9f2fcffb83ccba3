// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func made(t *testing.T, name, program string) (file string) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	i := image{out: filepath.Join(dir, "image.tar"), tag: name, entrypoint: "/usr/local/bin/a", user: "65532:65532", arch: "amd64", roots: true}
	if err := i.write([]string{source + "=/usr/local/bin/b", source + "=/usr/local/bin/a"}); err != nil {
		t.Fatal(err)
	}
	return i.out
}

func TestEqualProgramsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	a, errA := os.ReadFile(made(t, "exchequer.local/exchequer:dev", "one"))
	b, errB := os.ReadFile(made(t, "exchequer.local/exchequer:dev", "one"))
	c, errC := os.ReadFile(made(t, "exchequer.local/exchequer:dev", "another"))
	if errA != nil || errB != nil || errC != nil {
		t.Fatal(errA, errB, errC)
	}
	if !bytes.Equal(a, b) {
		t.Error("two images of the same programs differ")
	}
	if bytes.Equal(a, c) {
		t.Error("images of different programs are the same")
	}
}

func TestAnImageHoldsProgramsAndRootsAndNothingElse(t *testing.T) {
	t.Parallel()
	img, err := tarball.ImageFromPath(made(t, "exchequer.local/exchequer:dev", "one"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.OS != "linux" || config.Config.Entrypoint[0] != "/usr/local/bin/a" {
		t.Errorf("unexpected configuration: %+v", config.Config)
	}
	content := map[string][]byte{}
	for r := tar.NewReader(mutate.Extract(img)); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if content[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Mode&0o022 != 0 {
			t.Errorf("%s can be changed by others than root: uid %d, mode %o", header.Name, header.Uid, header.Mode)
		}
	}
	if len(content) != 3 || string(content["usr/local/bin/a"]) != "one" || string(content["usr/local/bin/b"]) != "one" {
		t.Errorf("unexpected files: %d of them", len(content))
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(content[roots]) {
		t.Errorf("%s holds no certificates", roots)
	}
}

func TestWhatCannotBeAnImageIsRefused(t *testing.T) {
	t.Parallel()
	good := image{out: "unused", tag: "exchequer.local/exchequer:dev", entrypoint: "/a"}
	for name, try := range map[string]struct {
		image image
		files []string
	}{
		"no files":                         {good, nil},
		"a file without a place":           {good, []string{"main.go"}},
		"a place that is not absolute":     {good, []string{"main.go=a"}},
		"a file that is not there":         {good, []string{"nothing=/a"}},
		"an entrypoint that is no file":    {good, []string{"main.go=/b"}},
		"a name without a tag":             {image{out: "unused", tag: "exchequer", entrypoint: "/a"}, []string{"main.go=/a"}},
		"a name that no registry would do": {image{out: "unused", tag: "UPPER:dev", entrypoint: "/a"}, []string{"main.go=/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := try.image.write(try.files); err == nil {
				t.Error("expected an error")
			}
		})
	}
}
