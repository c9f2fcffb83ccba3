// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

// The chart is the truth; config/ is what it renders by default, for those who
// use kustomize. Only what helm puts there for itself is changed.
var (
	chartLabel = regexp.MustCompile(`(?m)^ *helm\.sh/chart: .*\n`)
	managedBy  = regexp.MustCompile(`(?m)^( *app\.kubernetes\.io/managed-by): Helm$`)
)

func forKustomize(text string) string {
	return managedBy.ReplaceAllString(chartLabel.ReplaceAllString(text, ""), "$1: kustomize")
}

const generated = "# Written from charts/exchequer by `make manifests-chart`.\n"

// components are the folders below config/ that come from the chart, each with
// the values that make it worth having.
func components() map[string][]string {
	on := func(values string) []string { return []string{"--set", "crds.install=false," + values} }
	return map[string][]string{
		"rbac": on(""), "controller": on(""), "exchanger": on(""), "network-policy": on(""), "admission": on(""), "personas": on(""),
		"prometheus": on("monitoring.podMonitor.enabled=true,monitoring.prometheusRule.enabled=true,monitoring.dashboard.enabled=true"),
	}
}

// files are what one folder of config/ holds, by name.
func files(t testing.TB, component string, args []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range render(t, args...) {
		dir, name := path.Split(o.source)
		if strings.TrimSuffix(dir, "/") == component {
			out[name] += "---\n" + forKustomize(o.text)
		}
	}
	kustomization := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	for _, name := range slices.Sorted(maps.Keys(out)) {
		kustomization += "- " + name + "\n"
		out[name] = generated + strings.TrimPrefix(out[name], "---\n")
	}
	out["kustomization.yaml"] = generated + kustomization
	return out
}

func TestConfigIsWhatTheChartRenders(t *testing.T) {
	t.Parallel()
	for component, args := range components() {
		t.Run(component, func(t *testing.T) {
			t.Parallel()
			compareFolder(t, filepath.Join(configDir, component), files(t, component, args))
		})
	}
	t.Run("admission/samples", func(t *testing.T) {
		t.Parallel()
		compareFolder(t, filepath.Join(configDir, "admission", "samples"), guardrails(t))
	})
}

// guardrails are the opt-in policies, one file each, so that a platform takes
// the ones that it wants.
func guardrails(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range render(t, "--set", "crds.install=false,admission.guardrails.forbidScopeModeGrant=true,admission.guardrails.forbidAllClients=true,"+
		"admission.guardrails.forbidAllNamespaces=true,admission.guardrails.maxTokenLifetime=15m,admission.guardrails.forbiddenClaims={roles,groups}") {
		if name, ok := strings.CutPrefix(o.GetName(), "exchequer-guardrail-"); ok {
			out[name+".yaml"] += "---\n" + forKustomize(o.text)
		}
	}
	kustomization := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	for _, name := range slices.Sorted(maps.Keys(out)) {
		kustomization += "- " + name + "\n"
		out[name] = generated + strings.TrimPrefix(out[name], "---\n")
	}
	out["kustomization.yaml"] = generated + kustomization
	return out
}

func compareFolder(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if len(want) < 2 {
		t.Fatalf("the chart renders nothing for %s", dir)
	}
	for name, text := range want {
		golden(t, filepath.Join(dir, name), []byte(text))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok && !e.IsDir() {
			t.Errorf("%s is not rendered by the chart: delete it", filepath.Join(dir, e.Name()))
		}
	}
}

func TestKustomizeInstallsWhatHelmInstalls(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), filepath.Join(cluster.Assets(t), "kubectl"), "kustomize", filepath.Join(configDir, "default"))
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl kustomize config/default: %v\n%s", err, out)
	}
	built := map[string]map[string]any{}
	for text := range strings.SplitSeq(string(out), "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		metadata, _ := o["metadata"].(map[string]any)
		built[fmt.Sprint(o["kind"], "/", metadata["name"])] = o
	}
	if namespace := built["Namespace/exchequer-system"]; namespace == nil {
		t.Error("config/default makes no namespace")
	} else if text := fmt.Sprint(namespace); !strings.Contains(text, "pod-security.kubernetes.io/enforce:restricted") {
		t.Errorf("the namespace does not enforce restricted Pod security: %s", text)
	}
	delete(built, "Namespace/exchequer-system")
	for _, o := range render(t, "--set", "crds.keep=false") {
		id := o.GetKind() + "/" + o.GetName()
		var want map[string]any
		if err := yaml.Unmarshal([]byte(forKustomize(o.text)), &want); err != nil {
			t.Fatal(err)
		}
		if got := built[id]; got == nil {
			t.Errorf("kustomize does not install %s", id)
		} else if !equality.Semantic.DeepEqual(got, want) {
			t.Errorf("%s differs between helm and kustomize", id)
		}
		delete(built, id)
	}
	for id := range built {
		t.Errorf("kustomize installs %s, and helm does not", id)
	}
}
