// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// applied is a cluster with the manifests of testdata/chain, and a client with a
// Secret.
func applied(t *testing.T) (config string, client dynamic.Interface) {
	t.Helper()
	plane := cluster.Start(t)
	for _, ns := range []string{"shop", "media", "hr"} {
		if out, err := plane.Kubectl(t, "create", "namespace", ns); err != nil {
			t.Fatal(out)
		}
	}
	if out, err := plane.Kubectl(t, "apply", "-f", "testdata/chain/all.yaml"); err != nil {
		t.Fatal(out)
	}
	client, err := dynamic.NewForConfig(plane.Admin())
	if err != nil {
		t.Fatal(err)
	}
	return plane.KubeConfig(t), client
}

func TestCommandsReadAClusterAsTheyReadADirectory(t *testing.T) {
	t.Parallel()
	config, client := applied(t)
	t.Run("who-can says the same", func(t *testing.T) {
		r := exchequer(t, "", "who-can", "--cluster", "--kubeconfig", config, "--audience", "hr/files").must(t, exitOK)
		golden(t, "who-can-chain.txt", r.out)
	})
	t.Run("diff finds nothing", func(t *testing.T) {
		exchequer(t, "", "diff", "cluster:", "testdata/chain", "--kubeconfig", config).must(t, exitOK)
		exchequer(t, "", "diff", "testdata/chain", "cluster:", "--kubeconfig", config).must(t, exitOK)
	})
	t.Run("graph draws the same", func(t *testing.T) {
		r := exchequer(t, "", "graph", "--cluster", "--kubeconfig", config, "-o", "json").must(t, exitOK)
		golden(t, "graph.json", r.out)
	})
	t.Run("explain decides the same", func(t *testing.T) {
		ask := []string{"explain", "--cluster", "--kubeconfig", config, "--client", "shop/frontend", "--issuer", "corp", "--subject-claims", "-", "--audience", "media/gateway"}
		r := exchequer(t, `{"sub": "a", "groups": ["staff"], "scope": "read"}`, append(ask, "--scope", "read")...).must(t, exitOK)
		says(t, r.out, "✓ allowed by media/frontend-gets-gateway")
		r = exchequer(t, `{"sub": "a", "groups": [], "scope": "read"}`, append(ask, "--scope", "read")...).must(t, exitNo)
		says(t, r.out, "SubjectRule")
	})
	t.Run("a Secret is taken to be there, and that is said", func(t *testing.T) {
		c := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ExchangeClient", "metadata": map[string]any{"namespace": "shop", "name": "other"},
			"spec": map[string]any{"authentication": []any{map[string]any{"clientSecret": map[string]any{"secretRef": map[string]any{"name": "s", "key": "k"}}}}},
		}}
		if _, err := client.Resource(v1alpha1.GroupVersion.WithResource("exchangeclients")).Namespace("shop").Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		r := exchequer(t, "", "diff", "testdata/chain", "cluster:", "--kubeconfig", config).must(t, exitNo)
		says(t, r.out, "Secrets are never read", "(1 Secret)", "ExchangeClient/shop/other")
	})
}

func TestWhatAPersonMayNotSeeIsSaid(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	nobody := kubeconfigOf(t, plane, "nobody")
	r := exchequer(t, "", "who-can", "--cluster", "--kubeconfig", nobody, "--audience", "a/b").must(t, exitUsage)
	says(t, r.errs, "list tokenservices in all namespaces: you may not")
	r = exchequer(t, "", "wait", "xts/default", "--kubeconfig", nobody).must(t, exitUsage)
	says(t, r.errs, "look at TokenService/default: you may not")
	if out, err := plane.Kubectl(t, "create", "clusterrole", "reader-of-ours", "--verb=list", "--resource=tokenservices.exchequer.dev,trustedissuers.exchequer.dev,exchangeclients.exchequer.dev,clientscopes.exchequer.dev,exchangepolicies.exchequer.dev,impersonationgrants.exchequer.dev,externaltargets.exchequer.dev,tokenrevocations.exchequer.dev"); err != nil {
		t.Fatal(out)
	}
	if out, err := plane.Kubectl(t, "create", "clusterrolebinding", "reader-of-ours", "--clusterrole=reader-of-ours", "--user=reader"); err != nil {
		t.Fatal(out)
	}
	r = exchequer(t, "", "graph", "--cluster", "--kubeconfig", kubeconfigOf(t, plane, "reader")).must(t, exitOK)
	says(t, r.errs, "you may not list namespaces")
}

func TestAClusterThatIsNotThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	gone := file(t, "config", "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x}}]\nclusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}]\n")
	r := exchequer(t, "", "who-can", "--cluster", "--kubeconfig", gone, "--audience", "a/b").must(t, exitUnable)
	says(t, r.errs, "list tokenservices")
	r = exchequer(t, "", "wait", "xts/default", "--kubeconfig", gone, "--timeout", "1s").must(t, exitUnable)
	says(t, r.errs, "the cluster does not answer")
	exchequer(t, "", "diff", "cluster:none", "testdata/good", "--kubeconfig", gone).must(t, exitUsage)
	exchequer(t, "", "who-can", "--cluster", "--kubeconfig", "/nowhere", "--audience", "a/b").must(t, exitUsage)
}

func TestAClusterWithoutOurKindsIsSaidToBeOne(t *testing.T) {
	t.Parallel()
	plane := cluster.Start(t, cluster.WithoutCRDs())
	r := exchequer(t, "", "graph", "--cluster", "--kubeconfig", plane.KubeConfig(t)).must(t, exitUsage)
	says(t, r.errs, "the CRDs of exchequer are not installed there")
}

// kubeconfigOf is how a user reaches the cluster.
func kubeconfigOf(t *testing.T, plane *cluster.Plane, user string) string {
	t.Helper()
	c := plane.User(t, user)
	r := strings.NewReplacer("SERVER", c.Host, "CA", b64(c.CAData), "CERT", b64(c.CertData), "KEY", b64(c.KeyData))
	return file(t, "config", r.Replace("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n"+
		"clusters: [{name: x, cluster: {server: 'SERVER', certificate-authority-data: CA}}]\nusers: [{name: x, user: {client-certificate-data: CERT, client-key-data: KEY}}]\n"))
}

func TestWaitUntilAnObjectIsProgrammedByItsGeneration(t *testing.T) {
	t.Parallel()
	plane := cluster.Shared(t)
	ns := plane.Namespace(t)
	config := plane.KubeConfig(t)
	client, err := dynamic.NewForConfig(plane.Admin())
	if err != nil {
		t.Fatal(err)
	}
	scopes := client.Resource(v1alpha1.GroupVersion.WithResource("clientscopes")).Namespace(ns)
	ref := "xcs/" + ns + "/read"
	wait := func(args ...string) ran {
		return exchequer(t, "", append([]string{"wait", ref, "--kubeconfig", config}, args...)...)
	}
	// A machine that is busy answers late, and no answer is another one.
	after := func(timeout time.Duration, args ...string) ran {
		for ; ; timeout *= 2 {
			if r := wait(append(args, "--timeout", timeout.String())...); r.code != exitUnable || timeout > time.Minute {
				return r.must(t, exitNo)
			}
		}
	}
	late := func(args ...string) ran { return after(time.Second, args...) }
	says(t, late().errs, "ClientScope/"+ns+"/read is not programmed after ", ": it is not there")
	wait("--for", "gone").must(t, exitOK)

	// It is created, and programmed, while somebody waits.
	done := make(chan ran, 1)
	go func() { done <- wait("--timeout", "2m") }()
	o := create(t, scopes, ns)
	says(t, late().errs, "it has no status: is the controller running?")
	says(t, late("--for", "gone").errs, "nobody has deleted it")
	report(t, scopes, o, "Programmed", "False", "Pending", "2 of 3 replicas have it")
	says(t, late().errs, "Programmed is False (Pending): 2 of 3 replicas have it")
	report(t, scopes, o, "Programmed", "True", "Programmed", "")
	(<-done).must(t, exitOK)
	says(t, wait().must(t, exitOK).out, "✓ ClientScope/"+ns+"/read is programmed")
	says(t, late("--for", "ready").errs, "Ready is not there yet")

	// Another generation is another question.
	o = change(t, scopes)
	says(t, after(6*time.Second).errs, "Programmed is about generation 1, and the object is at 2", "waiting for ClientScope/")
	report(t, scopes, o, "Programmed", "True", "Programmed", "")
	wait().must(t, exitOK)

	go func() { done <- wait("--for", "gone", "--timeout", "2m") }()
	if err := scopes.Delete(t.Context(), "read", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	(<-done).must(t, exitOK)
}

func create(t *testing.T, scopes dynamic.ResourceInterface, ns string) *unstructured.Unstructured {
	t.Helper()
	o, err := scopes.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ClientScope", "metadata": map[string]any{"namespace": ns, "name": "read"}, "spec": map[string]any{},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func change(t *testing.T, scopes dynamic.ResourceInterface) *unstructured.Unstructured {
	t.Helper()
	o, err := scopes.Get(t.Context(), "read", metav1.GetOptions{})
	if err == nil {
		_ = unstructured.SetNestedField(o.Object, "another", "spec", "description")
		o, err = scopes.Update(t.Context(), o, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// report writes one condition, as a controller would.
func report(t *testing.T, scopes dynamic.ResourceInterface, of *unstructured.Unstructured, kind, status, reason, message string) {
	t.Helper()
	o, err := scopes.Get(t.Context(), of.GetName(), metav1.GetOptions{})
	if err == nil {
		o.Object["status"] = map[string]any{"observedGeneration": o.GetGeneration(), "conditions": []any{map[string]any{
			"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": o.GetGeneration(), "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
		}}}
		_, err = scopes.UpdateStatus(t.Context(), o, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWaitOutlivesAnAPIServerThatRestarts(t *testing.T) {
	t.Parallel()
	plane := cluster.Start(t)
	ns := plane.Namespace(t)
	config := plane.KubeConfig(t)
	client, err := dynamic.NewForConfig(plane.Admin())
	if err != nil {
		t.Fatal(err)
	}
	scopes := client.Resource(schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "clientscopes"}).Namespace(ns)
	o := create(t, scopes, ns)
	done := make(chan ran, 1)
	go func() { done <- exchequer(t, "", "wait", "xcs/"+ns+"/read", "--kubeconfig", config, "--timeout", "2m") }()
	plane.StopAPIServer(t)
	plane.StartAPIServer(t)
	NewWithT(t).Eventually(func() error { _, err := scopes.Get(t.Context(), "read", metav1.GetOptions{}); return err }, time.Minute, 200*time.Millisecond).Should(Succeed())
	report(t, scopes, o, "Programmed", "True", "Programmed", "")
	(<-done).must(t, exitOK)
}
