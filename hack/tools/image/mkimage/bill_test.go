// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// The go command is the judge: what it reads out of the programs is what the
// bill has to say of them.
func TestTheBillOfAnImageSaysWhatItsProgramsWereBuiltFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", dir+"/", "../mkimage", "../pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write := func(name string) []byte {
		i := image{
			out: filepath.Join(dir, name+".tar"), bill: filepath.Join(dir, name+".json"), tag: "example.com:5000/exchequer:v1",
			entrypoint: "/usr/local/bin/pause", user: "65532:65532", arch: "amd64", roots: true,
		}
		if err := i.write([]string{dir + "/mkimage=/usr/local/bin/mkimage", dir + "/pause=/usr/local/bin/pause"}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(i.bill)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text := write("one")
	if !bytes.Equal(text, write("two")) {
		t.Error("two bills of the same image differ")
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if c := bom.Metadata.Component; c.Name != "example.com:5000/exchequer" || c.Version != "v1" {
		t.Errorf("the bill is of %s, version %s", c.Name, c.Version)
	}
	components := map[string]cdx.Component{}
	for _, c := range *bom.Components {
		components[c.BOMRef] = c
	}
	on := map[string][]string{}
	for _, d := range *bom.Dependencies {
		on[d.Ref] = *d.Dependencies
		for _, r := range on[d.Ref] {
			if components[r].BOMRef == "" {
				t.Errorf("%s depends on %s, which is no component", d.Ref, r)
			}
		}
	}
	for _, program := range []string{"mkimage", "pause"} {
		file := filepath.Join(dir, program)
		if got, want := on["file:/usr/local/bin/"+program], goVersion(t, file); !slices.Equal(got, want) {
			t.Errorf("%s: the bill says\n%s\ngo version -m says\n%s", program, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if h := components["file:/usr/local/bin/"+program].Hashes; h == nil || (*h)[0].Value != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: another hash in the bill: %v", program, h)
		}
	}
	if _, ok := components["file:/"+roots]; !ok {
		t.Error("the CA roots are not in the bill")
	}
}

// goVersion returns the package URLs of what `go version -m` prints, sorted.
func goVersion(t *testing.T, file string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "version", "-m", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, file):
			urls = append(urls, "pkg:golang/stdlib@"+strings.TrimPrefix(f[len(f)-1], "go"))
		case f[0] == "dep":
			urls = append(urls, "pkg:golang/"+f[1]+"@"+f[2])
		}
	}
	slices.Sort(urls)
	return urls
}

func TestAProgramThatDoesNotSayWhatItIsMadeOfIsNotBilled(t *testing.T) {
	t.Parallel()
	if _, err := bill("exchequer:dev", map[string][]byte{"usr/local/bin/a": []byte("#!/bin/sh")}); err == nil {
		t.Error("expected an error")
	}
}
