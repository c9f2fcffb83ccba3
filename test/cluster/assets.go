// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// assetsVariable names the folder of programs; controller-runtime's own tools
// read the same one.
const assetsVariable = "KUBEBUILDER_ASSETS"

// programs are what the folder must hold.
func programs() []string { return []string{"kube-apiserver", "etcd", "kubectl"} }

// Assets is the folder with kube-apiserver, etcd and kubectl: that of
// KUBEBUILDER_ASSETS, else the cache that `make test-assets` fills. The test
// fails when they are not there.
func Assets(t testing.TB) string {
	t.Helper()
	dir, err := assets()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// assets looks once for all tests of a package.
var assets = sync.OnceValues(findAssets) //nolint:gochecknoglobals // a memo of what does not change while a test runs

func findAssets() (string, error) {
	dir := os.Getenv(assetsVariable)
	if dir == "" {
		root, err := repository()
		if err != nil {
			return "", err
		}
		// The script alone knows how the cache is keyed.
		command := exec.CommandContext(context.Background(), filepath.Join(root, "hack", "cluster", "build.sh"), "--where", "test")
		out, err := command.Output()
		dir = strings.TrimSpace(string(out))
		if err != nil {
			return "", fmt.Errorf("tests with a real API server need kube-apiserver and etcd of the versions in hack/tools, and they are not built yet; run: make test-assets")
		}
	}
	for _, name := range programs() {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%s: no program %s; unset %s and run: make test-assets", dir, name, assetsVariable)
		}
	}
	return dir, nil
}

// repository is the folder of the module's go.mod, above the test's package.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the test's folder: run the test inside the repository")
		}
		dir = parent
	}
}
