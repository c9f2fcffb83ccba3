// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command admit lets an image into a cluster as a careful platform does: by what is
// signed, and never by its name. It pushes the image to a registry in this process,
// signs it, its bill of materials and where it comes from with a key that is thrown
// away, as a release does without one, verifies all three, and writes what it then
// pulls by the digest that was verified. It prints the digest of that image's
// configuration, which is how a node names it.
//
//	admit -cosign bin/cosign -t exchequer.local/exchequer:dev -sbom sbom.cdx.json -provenance provenance.json -o verified.tar image.tar
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	var a admission
	flag.StringVar(&a.program, "cosign", "cosign", "the `program` that signs")
	flag.StringVar(&a.tag, "t", "", "`NAME:TAG` of the image in the cluster")
	flag.StringVar(&a.bill, "sbom", "", "`file` with its bill of materials, in CycloneDX's form")
	flag.StringVar(&a.provenance, "provenance", "", "`file` with the predicate that says where it comes from, in SLSA's form")
	flag.StringVar(&a.out, "o", "", "`file` to write what was verified to")
	flag.Parse()
	a.tar = flag.Arg(0)
	digest, err := a.run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "admit:", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

// admission is one image on its way in.
type admission struct {
	program, tag, tar, bill, provenance, out string
	// dir is where the keys are.
	dir string
	// tamper is called between signing and verifying, with the registry's address and
	// the digest; tests set it.
	tamper func(registry string, digest name.Digest) error
}

func (a *admission) run(ctx context.Context) (string, error) {
	if a.tag == "" || a.tar == "" || a.bill == "" || a.provenance == "" || a.out == "" {
		return "", errors.New("expected -t, -sbom, -provenance, -o and an image")
	}
	var err error
	if a.dir, err = os.MkdirTemp("", "admit-"); err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(a.dir) }() // the key with it
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(listener) }()
	at := listener.Addr().String()

	digest, err := a.push(ctx, at)
	if err != nil {
		return "", fmt.Errorf("push it: %w", err)
	}
	if err := a.sign(ctx, digest); err != nil {
		return "", err
	}
	if a.tamper != nil {
		if err := a.tamper(at, digest); err != nil {
			return "", err
		}
	}
	if err := a.verify(ctx, digest); err != nil {
		return "", err
	}
	return a.pull(ctx, digest)
}

// push uploads the image and returns its name by digest.
func (a *admission) push(ctx context.Context, at string) (name.Digest, error) {
	image, err := tarball.ImageFromPath(a.tar, nil)
	if err != nil {
		return name.Digest{}, err
	}
	tag, err := name.NewTag(at+"/exchequer:admitted", name.Insecure)
	if err != nil {
		return name.Digest{}, err
	}
	if err := remote.Write(tag, image, remote.WithContext(ctx)); err != nil {
		return name.Digest{}, err
	}
	sum, err := image.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	return tag.Context().Digest(sum.String()), nil
}

// predicates are what is said of an image besides that it is ours.
func (a *admission) predicates() map[string]string {
	return map[string]string{"cyclonedx": a.bill, "slsaprovenance1": a.provenance}
}

func (a *admission) sign(ctx context.Context, digest name.Digest) error {
	if err := a.cosign(ctx, "generate-key-pair", "--output-key-prefix", "once"); err != nil {
		return err
	}
	if err := a.cosign(ctx, "sign", "--yes", "--tlog-upload=false", "--key", "once.key", digest.Name()); err != nil {
		return err
	}
	for kind, file := range a.predicates() {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		if err := a.cosign(ctx, "attest", "--yes", "--tlog-upload=false", "--key", "once.key", "--type", kind, "--predicate", path, digest.Name()); err != nil {
			return err
		}
	}
	// Whatever happens from here on, nothing more is signed.
	return os.Remove(filepath.Join(a.dir, "once.key"))
}

func (a *admission) verify(ctx context.Context, digest name.Digest) error {
	if err := a.cosign(ctx, "verify", "--insecure-ignore-tlog=true", "--key", "once.pub", digest.Name()); err != nil {
		return fmt.Errorf("its signature: %w", err)
	}
	for kind := range a.predicates() {
		if err := a.cosign(ctx, "verify-attestation", "--insecure-ignore-tlog=true", "--key", "once.pub", "--type", kind, digest.Name()); err != nil {
			return fmt.Errorf("its attestation %s: %w", kind, err)
		}
	}
	return nil
}

// pull writes the image of that digest, under the name that it has in the cluster.
func (a *admission) pull(ctx context.Context, digest name.Digest) (string, error) {
	image, err := remote.Image(digest, remote.WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("pull what was verified: %w", err)
	}
	tag, err := name.NewTag(a.tag)
	if err != nil {
		return "", err
	}
	if err := tarball.WriteToFile(a.out, tag, image); err != nil {
		return "", err
	}
	return configured(image)
}

// configured is the digest of an image's configuration.
func configured(image v1.Image) (string, error) {
	content, err := image.RawConfigFile()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func (a *admission) cosign(ctx context.Context, args ...string) error {
	program, err := filepath.Abs(a.program)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=", "HOME="+a.dir, "DOCKER_CONFIG="+a.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cosign %s: %w\n%s", args[0], err, strings.TrimSpace(out.String()))
	}
	return nil
}
