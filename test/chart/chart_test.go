// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

var update = flag.Bool("update", false, "rewrite the goldens and config/ from the chart")

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

const (
	chartDir  = "../../charts/exchequer"
	configDir = "../../config"
	namespace = "exchequer-system"
	// oldest is the oldest Kubernetes that the chart installs on.
	oldest = "1.33.0"
)

// profiles are the files of testdata/profiles.
func profiles() []string {
	return []string{"default", "minimal", "ha", "tls-cert-manager", "everything-on"}
}

func profile(name string) []string {
	return []string{"--values", filepath.Join("testdata", "profiles", name+".values.yaml")}
}

// helm runs the pinned helm; its own settings are not those of whoever runs the
// test.
func helm(t testing.TB, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	command := exec.CommandContext(t.Context(), filepath.Join(cluster.Assets(t), "helm"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := command.CombinedOutput()
	return string(out), err
}

// template renders the chart without a cluster.
func template(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return helm(t, os.DevNull, append([]string{"template", "exchequer", chartDir, "--namespace", namespace, "--kube-version", oldest}, args...)...)
}

// object is one rendered object, with the template that it comes from.
type object struct {
	*unstructured.Unstructured
	source string
	text   string
}

func (o object) String() string {
	return fmt.Sprintf("%s %s", o.GetKind(), strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"))
}

var source = regexp.MustCompile(`(?m)^# Source: exchequer/templates/(.*)\n`)

// render renders the chart and takes the output apart.
func render(t testing.TB, args ...string) []object {
	t.Helper()
	out, err := template(t, args...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	var objects []object
	for text := range strings.SplitSeq("\n"+out, "\n---\n") {
		match := source.FindStringSubmatch(text)
		if match == nil {
			continue
		}
		text = strings.TrimSpace(strings.Replace(text, match[0], "", 1)) + "\n"
		var content map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &content); err != nil {
			t.Fatalf("%s renders no YAML: %v\n%s", match[1], err, text)
		}
		if content == nil {
			continue
		}
		objects = append(objects, object{&unstructured.Unstructured{Object: content}, match[1], text})
	}
	if len(objects) < 10 {
		t.Fatalf("found %d objects in what the chart renders: nothing would be tested", len(objects))
	}
	return objects
}

// only keeps the objects of some kinds.
func only(objects []object, kinds ...string) []object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return !slices.Contains(kinds, o.GetKind()) })
}

// without leaves the objects of some kinds out.
func without(objects []object, kinds ...string) []object {
	return slices.DeleteFunc(slices.Clone(objects), func(o object) bool { return slices.Contains(kinds, o.GetKind()) })
}

// one is the object of a kind and name, which has to be there.
func one(t testing.TB, objects []object, kind, name string) object {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("the chart renders no %s %s", kind, name)
	return object{}
}

// as decodes an object strictly into its Go type.
func as[T any](t testing.TB, o object) T {
	t.Helper()
	var into T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &into, true); err != nil {
		t.Fatalf("%s of %s: %v", o, o.source, err)
	}
	return into
}

// golden compares with a file, or writes it.
func golden(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with: make manifests-chart", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the chart renders; look at the difference after: make manifests-chart\n%s", file, firstDifference(string(want), string(got)))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d:\n- %s\n+ %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines became %d", len(w), len(g))
}
