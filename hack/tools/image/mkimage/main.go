// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command mkimage makes a container image without a container engine: one
// layer of static programs and the CA roots that browsers trust, in a tar that
// `docker load`, `ctr images import` and `kind load image-archive` read. Equal
// programs give equal bytes.
//
//	mkimage -o image.tar -t exchequer.local/exchequer:dev -entrypoint /usr/local/bin/exchequer \
//	  bin/exchequer=/usr/local/bin/exchequer ...
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// roots is where Go looks first on Linux.
const roots = "etc/ssl/certs/ca-certificates.crt"

type image struct {
	out, bill, tag, entrypoint, user, arch string
	roots                                  bool
}

func main() {
	var i image
	flag.StringVar(&i.out, "o", "", "the `FILE` to write")
	flag.StringVar(&i.bill, "sbom", "", "the `FILE` to write the list of what is in the image to, as CycloneDX JSON")
	flag.StringVar(&i.tag, "t", "", "`NAME:TAG` of the image")
	flag.StringVar(&i.entrypoint, "entrypoint", "", "`PATH` in the image of the program that runs")
	flag.StringVar(&i.user, "user", "65532:65532", "`UID:GID` that it runs as")
	flag.StringVar(&i.arch, "arch", "amd64", "the `GOARCH` that the programs were built for")
	flag.BoolVar(&i.roots, "roots", true, "put Mozilla's CA roots into the image")
	flag.Parse()
	if err := i.write(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func (i image) write(files []string) error {
	if i.out == "" || i.tag == "" || i.entrypoint == "" || len(files) == 0 {
		return errors.New("expected -o FILE -t NAME:TAG -entrypoint PATH SOURCE=PATH...")
	}
	tag, err := name.NewTag(i.tag, name.StrictValidation)
	if err != nil {
		return err
	}
	content, mode, err := i.files(files)
	if err != nil {
		return err
	}
	if i.bill != "" {
		b, err := bill(i.tag, content)
		if err != nil {
			return err
		}
		if err := os.WriteFile(i.bill, b, 0o644); err != nil {
			return err
		}
	}
	unpacked, err := archive(content, mode)
	if err != nil {
		return err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(unpacked)), nil }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return err
	}
	made, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := made.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", i.arch
	config.Config = v1.Config{Entrypoint: []string{i.entrypoint}, User: i.user, WorkingDir: "/", Env: []string{"PATH=/usr/local/bin"}}
	if made, err = mutate.ConfigFile(made, config); err != nil {
		return err
	}
	return tarball.WriteToFile(i.out, tag, made)
}

// files reads what goes into the image, by its path there without the first
// slash.
func (i image) files(files []string) (content map[string][]byte, mode map[string]int64, err error) {
	content, mode = map[string][]byte{}, map[string]int64{}
	for _, file := range files {
		source, target, ok := strings.Cut(file, "=")
		if !ok || !path.IsAbs(target) {
			return nil, nil, fmt.Errorf("%q: expected SOURCE=/PATH/IN/IMAGE", file)
		}
		b, err := os.ReadFile(source)
		if err != nil {
			return nil, nil, err
		}
		target = strings.TrimPrefix(path.Clean(target), "/")
		content[target], mode[target] = b, 0o755
	}
	if i.roots {
		content[roots], mode[roots] = authorities(), 0o644
	}
	entrypoint := strings.TrimPrefix(i.entrypoint, "/")
	if _, ok := content[entrypoint]; !ok {
		return nil, nil, fmt.Errorf("the entrypoint %s is none of the files", i.entrypoint)
	}
	return content, mode, nil
}

// archive is the uncompressed file system: no times, no owners but root, sorted
// names.
func archive(content map[string][]byte, mode map[string]int64) ([]byte, error) {
	folders := map[string]bool{}
	for file := range content {
		for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
			folders[dir+"/"] = true
		}
	}
	var names []string
	for dir := range folders {
		names = append(names, dir)
	}
	for file := range content {
		names = append(names, file)
	}
	slices.Sort(names)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, n := range names {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: n, Mode: mode[n], Size: int64(len(content[n])), Format: tar.FormatUSTAR}
		if folders[n] {
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content[n]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// authorities are the roots without constraints: a file of certificates cannot
// say what a constrained one may not sign.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return out.Bytes()
}
