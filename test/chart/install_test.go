// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

// One story, because each step stands on the one before. Nothing runs here: there
// is no kubelet; test/e2e tells the same story with Pods.
func TestAReleaseComesChangesAndGoes(t *testing.T) {
	t.Parallel()
	plane := cluster.Start(t, cluster.WithoutCRDs())
	kubeconfig := plane.KubeConfig(t)
	run := func(words string, args ...string) string {
		t.Helper()
		out, err := helm(t, kubeconfig, args...)
		if err != nil || !strings.Contains(out, words) {
			t.Fatalf("helm %s: expected %q, found %v:\n%s", strings.Join(args, " "), words, err, out)
		}
		return out
	}
	names := func(resource schema.GroupVersionResource) []string {
		t.Helper()
		list, err := writer(t, plane.Admin()).Resource(resource).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=Helm"})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, o := range list.Items {
			out = append(out, strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"))
		}
		slices.Sort(out)
		return out
	}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	roles := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	policies := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}

	notes := run("STATUS: deployed", "install", "exchequer", chartDir, "--namespace", namespace, "--create-namespace")
	for _, words := range []string{"private_key_jwt", "StoreUnavailable", "PLAIN HTTP", "http://exchequer.exchequer-system.svc:80/token"} {
		if !strings.Contains(notes, words) {
			t.Errorf("the notes do not say %q:\n%s", words, notes)
		}
	}
	if got := names(crds); len(got) != 9 {
		t.Errorf("installed %d CRDs, expected 9: %v", len(got), got)
	}
	if out, err := plane.Kubectl(t, "apply", "--server-side", "--dry-run=server", "-f", manifests(t, notes)); err != nil {
		t.Errorf("what the notes say to apply is not taken: %v\n%s", err, out)
	}
	if out, err := plane.Kubectl(t, "apply", "--server-side", "-k", "../../config/samples"); err != nil {
		t.Errorf("the samples are not taken: %v\n%s", err, out)
	}

	t.Run("F348: a second release in the cluster refuses", func(t *testing.T) {
		for _, crds := range []string{"true", "false"} {
			out, err := helm(t, kubeconfig, "install", "second", chartDir, "--namespace", "second-system", "--create-namespace", "--set", "crds.install="+crds)
			if err == nil || !strings.Contains(out, "this cluster has an installation of Exchequer already: release exchequer in namespace exchequer-system") {
				t.Errorf("with crds.install=%s: expected a refusal that names the first, found %v:\n%s", crds, err, out)
			}
		}
	})

	notes = run("STATUS: deployed", "upgrade", "exchequer", chartDir, "--namespace", namespace, "--set", "exchanger.replicas=1,tls.mode=Secret")
	for _, words := range []string{"ONE REPLICA", "https://exchequer.exchequer-system.svc:443/token"} {
		if !strings.Contains(notes, words) {
			t.Errorf("the notes do not say %q:\n%s", words, notes)
		}
	}
	run("STATUS: deployed", "upgrade", "exchequer", chartDir, "--namespace", namespace, "--set", "exchanger.replicas=5")
	run("STATUS: deployed", "upgrade", "exchequer", chartDir, "--namespace", namespace, "--set", "exchanger.autoscaling.enabled=true")
	if out, err := plane.Kubectl(t, "get", "deployment", "exchequer-exchanger", "--namespace", namespace, "--output", "jsonpath={.spec.replicas}"); err != nil || out != "5" {
		t.Errorf("handing over to the autoscaler leaves %s replicas of 5: %v", out, err)
	}
	run("Rollback was a success", "rollback", "exchequer", "1", "--namespace", namespace)

	t.Run("F367: uninstalling leaves the CRDs and every object of them", func(t *testing.T) {
		if _, err := plane.Kubectl(t, "apply", "-f", "../../config/samples/tokenservice.yaml"); err != nil {
			t.Fatal(err)
		}
		run("uninstalled", "uninstall", "exchequer", "--namespace", namespace)
		if got := names(crds); len(got) != 9 {
			t.Errorf("CRDs left: %v", got)
		}
		if out, err := plane.Kubectl(t, "get", "tokenservices"); err != nil || !strings.Contains(out, "default") {
			t.Errorf("the objects are gone: %v\n%s", err, out)
		}
		if left := append(names(roles), names(policies)...); len(left) > 0 {
			t.Errorf("more than CRDs is left: %v", left)
		}
	})
	t.Run("F367: installing again takes the CRDs over", func(t *testing.T) {
		run("STATUS: deployed", "install", "exchequer", chartDir, "--namespace", namespace)
	})
}

// manifests are those between the notes' `<<YAML` and `YAML`, in a file.
func manifests(t testing.TB, notes string) string {
	t.Helper()
	_, text, found := strings.Cut(notes, "<<YAML\n")
	text, _, ended := strings.Cut(text, "\n  YAML\n")
	if !found || !ended {
		t.Fatalf("the notes have no manifests:\n%s", notes)
	}
	file := filepath.Join(t.TempDir(), "notes.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll("\n"+text, "\n  ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// older is the chart as a version before might have been: its TokenServices have
// another short name, fewer columns and an earlier schema number.
func older(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chartDir)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "files", "crds", "exchequer.dev_tokenservices.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was := strings.NewReplacer(`exchequer.dev/schema: "1"`, `exchequer.dev/schema: "0"`, "- xts\n", "- xold\n", "maxLength: 1024", "maxLength: 1000").Replace(string(text))
	if was == string(text) {
		t.Fatal("nothing is older: the test would say nothing")
	}
	if err := os.WriteFile(file, []byte(was), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestF347UpgradeAndRollbackOfTheChartMoveTheCRDsAndKeepTheirObjects(t *testing.T) {
	t.Parallel()
	plane := cluster.Start(t, cluster.WithoutCRDs())
	kubeconfig := plane.KubeConfig(t)
	run := func(want string, command ...string) {
		t.Helper()
		if out, err := helm(t, kubeconfig, append(command, "--namespace", namespace)...); err != nil {
			t.Fatalf("helm %s: %v\n%s", command[0], err, out)
		}
		out, err := plane.Kubectl(t, "get", "customresourcedefinition", "tokenservices.exchequer.dev", "--output", `jsonpath={.metadata.annotations.exchequer\.dev/schema} {.spec.names.shortNames}`)
		if err != nil || out != want {
			t.Errorf("after helm %s the CRD has %q, expected %q: %v", command[0], out, want, err)
		}
	}
	object := func() string {
		t.Helper()
		out, err := plane.Kubectl(t, "get", "tokenservice", "default", "--output", "jsonpath={.metadata.uid} {.spec.issuer} {.metadata.generation}")
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return out
	}
	run(`0 ["xold"]`, "install", "exchequer", older(t), "--create-namespace")
	if out, err := plane.Kubectl(t, "apply", "--server-side", "-f", "../../config/samples/tokenservice.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before := object()
	run(`1 ["xts"]`, "upgrade", "exchequer", chartDir)
	run(`0 ["xold"]`, "rollback", "exchequer", "1")
	run(`1 ["xts"]`, "upgrade", "exchequer", chartDir)
	if after := object(); after != before {
		t.Errorf("the object was %q and is %q", before, after)
	}
}

func TestKubectlShowsTheStateAtAGlance(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	for _, kind := range []string{"tokenservice", "trustedissuer", "exchangeclient", "clientscope", "exchangepolicy", "impersonationgrant", "externaltarget", "tokenrevocation", "exchangerreplica"} {
		out, err := plane.Kubectl(t, "explain", kind)
		if err != nil || !strings.Contains(out, "DESCRIPTION:") || strings.Contains(out, "<empty>") {
			t.Errorf("kubectl explain %s: %v\n%s", kind, err, out)
		}
	}
	if out, err := plane.Kubectl(t, "get", "exchequer", "-A"); err != nil {
		t.Errorf("kubectl get exchequer -A: %v\n%s", err, out)
	}
}
