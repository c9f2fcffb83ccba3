// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command publish pushes the images that mkimage wrote, one a platform, under
// one name, and prints the digest by which all of them are known: the name to
// sign. Equal images give the same digest.
//
//	REGISTRY_USER=… REGISTRY_PASSWORD=… publish -t ghcr.io/exchequer-dev/exchequer:v1.0.0 amd64.tar arm64.tar
//
// With -n nothing is pushed; the digest is printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	target := flag.String("t", "", "`REGISTRY/NAME:TAG` to push to")
	dry := flag.Bool("n", false, "push nothing")
	flag.Parse()
	login := authn.FromConfig(authn.AuthConfig{Username: os.Getenv("REGISTRY_USER"), Password: os.Getenv("REGISTRY_PASSWORD")})
	digest, err := publish(context.Background(), *target, *dry, login, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

func publish(ctx context.Context, target string, dry bool, login authn.Authenticator, files []string) (string, error) {
	if target == "" || len(files) == 0 {
		return "", errors.New("expected -t REGISTRY/NAME:TAG IMAGE.tar...")
	}
	tag, err := name.NewTag(target, name.StrictValidation)
	if err != nil {
		return "", err
	}
	index, err := join(files)
	if err != nil {
		return "", err
	}
	digest, err := index.Digest()
	if err != nil {
		return "", err
	}
	if !dry {
		if err := remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuth(login)); err != nil {
			return "", err
		}
	}
	return tag.Context().Digest(digest.String()).Name(), nil
}

// join makes one index of the images, in the order of their platforms.
func join(files []string) (v1.ImageIndex, error) {
	images := map[string]v1.Image{}
	for _, file := range files {
		image, err := tarball.ImageFromPath(file, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		platform := config.OS + "/" + config.Architecture
		if images[platform] != nil {
			return nil, fmt.Errorf("%s is a second image for %s", file, platform)
		}
		images[platform] = image
	}
	var platforms []string
	for platform := range images {
		platforms = append(platforms, platform)
	}
	slices.Sort(platforms)
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, platform := range platforms {
		config, err := images[platform].ConfigFile()
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        images[platform],
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture}},
		})
	}
	return index, nil
}
