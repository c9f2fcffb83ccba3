// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

func TestF254WhatTheAPIServerSaysOfOurAccounts(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	for _, account := range []string{"exchequer-exchanger", "exchequer-controller"} {
		for _, where := range []string{namespace, "kube-system"} {
			t.Run(account+" in "+where, func(t *testing.T) {
				t.Parallel()
				out, err := plane.Kubectl(t, "auth", "can-i", "--list", "--as=system:serviceaccount:"+namespace+":"+account, "--namespace", where)
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				lines := strings.Split(strings.TrimSpace(out), "\n")
				for i, line := range lines {
					lines[i] = strings.Join(strings.Fields(line), " ")
				}
				slices.Sort(lines[1:])
				golden(t, filepath.Join("testdata", "golden", "can-i", account+"."+where+".txt"), []byte(strings.Join(lines, "\n")+"\n"))
			})
		}
	}
}

func TestTheExchangerCanNeitherListNorTouchWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	c := writer(t, plane.ServiceAccount(t, namespace, "exchequer-exchanger"))
	secrets := c.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(namespace)
	byName := func(name string) metav1.ListOptions {
		return metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	}
	for name, try := range map[string]func() error{
		"listing Secrets": func() error {
			_, err := secrets.List(t.Context(), metav1.ListOptions{})
			return err
		},
		"watching Secrets": func() error {
			_, err := secrets.Watch(t.Context(), metav1.ListOptions{})
			return err
		},
		"watching a slot": func() error {
			_, err := secrets.Watch(t.Context(), byName("exchequer-snapshot-a-00"))
			return err
		},
		"reading another Secret": func() error {
			_, err := secrets.Get(t.Context(), "exchequer-tls", metav1.GetOptions{})
			return err
		},
		"reading a 65th slot": func() error {
			_, err := secrets.Get(t.Context(), "exchequer-snapshot-a-64", metav1.GetOptions{})
			return err
		},
		"writing the keys": func() error {
			_, err := secrets.Patch(t.Context(), "exchequer-keys", types.MergePatchType, []byte(`{"data": null}`), metav1.PatchOptions{})
			return err
		},
		"listing acknowledgements": func() error {
			_, err := c.Resource(v1alpha1.GroupVersion.WithResource("exchangerreplicas")).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
			return err
		},
		"listing policies": func() error {
			_, err := c.Resource(v1alpha1.GroupVersion.WithResource("exchangepolicies")).List(t.Context(), metav1.ListOptions{})
			return err
		},
		"reading a Secret elsewhere": func() error {
			_, err := c.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace("default").Get(t.Context(), "exchequer-keys", metav1.GetOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := try(); !apierrors.IsForbidden(err) {
				t.Errorf("expected Forbidden, found %v", err)
			}
		})
	}
	for _, name := range []string{"exchequer-snapshot", "exchequer-keys", "exchequer-credentials"} {
		w, err := secrets.Watch(t.Context(), byName(name))
		if err != nil {
			t.Errorf("watching %s: %v", name, err)
			continue
		}
		w.Stop()
	}
	if _, err := secrets.Get(t.Context(), "exchequer-snapshot-b-63", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("reading a slot: expected NotFound, found %v", err)
	}
}

func TestF284AnEditorGetsNoClusterKindByAnyTrick(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	ns := plane.Namespace(t)
	for _, piece := range []string{"exchequer-view-policy", "exchequer-edit-policy"} {
		_, err := plane.Client(t).RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: piece},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "editor"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: piece},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	admin, editor := writer(t, plane.Admin()), writer(t, plane.User(t, "editor"))
	const grant = "kind: ImpersonationGrant\nmetadata: {%}\nspec: {impersonators: {clients: [{namespace: a, name: a}], subjects: [boss]}, subjects: {subjects: [clerk]}, subjectFrom: [SubjectToken], targets: {clients: [{namespace: a, name: a}]}, notAfter: \"2027-01-31T00:00:00Z\"}"
	named := func(metadata string) string { return strings.Replace(grant, "%", metadata, 1) }
	if err := admin.create(t, named("name: standing")); err != nil {
		t.Fatal(err)
	}
	standing := parse(t, named("name: standing"))
	policy := strings.NewReplacer("default", ns, "generateName: p-", "name: mine").Replace(policyHead) + "}"
	if err := editor.create(t, policy); err != nil {
		t.Fatalf("what an editor may do: %v", err)
	}
	mine := parse(t, policy)
	for name, try := range map[string]func() error{
		"with a name":           func() error { return editor.create(t, named("name: a")) },
		"with a generated name": func() error { return editor.create(t, named("generateName: a-")) },
		"owned by its own object": func() error {
			return editor.create(t, named("name: a, ownerReferences: [{apiVersion: exchequer.dev/v1alpha1, kind: ExchangePolicy, name: mine, uid: x}]"))
		},
		"with a namespace in it": func() error { return editor.create(t, named("name: a, namespace: "+ns)) },
		"by server-side apply": func() error {
			o := parse(t, named("name: a"))
			_, err := editor.of(t, o).Apply(t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "editor", Force: true})
			return err
		},
		"by a patch of what stands": func() error { return editor.change(t, standing, `{"spec": {"notAfter": "2030-01-31T00:00:00Z"}}`) },
		"by its status":             func() error { return editor.change(t, standing, `{"status": {}}`, "status") },
		"by deleting all": func() error {
			return editor.of(t, standing).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		"by an object of the kind under a namespace": func() error {
			o := parse(t, named("name: a, namespace: "+ns))
			_, err := editor.Resource(schema.GroupVersionResource{Group: "exchequer.dev", Version: "v1alpha1", Resource: "impersonationgrants"}).Namespace(ns).Create(t.Context(), o, metav1.CreateOptions{})
			return err
		},
		"by the scale of its own":   func() error { return editor.change(t, mine, `{"spec": {"replicas": 2}}`, "scale") },
		"by the status of its own":  func() error { return editor.change(t, mine, `{"status": {"observedGeneration": 9}}`, "status") },
		"by speaking for a replica": func() error { return editor.create(t, acknowledgement(ns, "name: a")) },
		"by reading who may be whom": func() error {
			_, err := editor.of(t, standing).Get(t.Context(), "standing", metav1.GetOptions{})
			return err
		},
		"in a namespace of others": func() error { return editor.create(t, strings.Replace(policy, ns, "default", 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := try(); !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
				t.Errorf("expected Forbidden or NotFound, found %v", err)
			}
		})
	}
}

func TestF279ARestrictedNamespaceAdmitsThePods(t *testing.T) {
	t.Parallel()
	plane := installed(t) // the namespace enforces it
	for _, name := range profiles() {
		for _, d := range deployments(t, profile(name)...) {
			t.Run(name+"/"+d.Name, func(t *testing.T) {
				t.Parallel()
				spec := d.Spec.Template.Spec
				spec.PriorityClassName = "" // needs its namespace's quota, not its security
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Labels: d.Spec.Template.Labels}, Spec: spec}
				if _, err := plane.Client(t).CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
					t.Errorf("%v", err)
				}
				pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true)
				if _, err := plane.Client(t).CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); !apierrors.IsForbidden(err) {
					t.Errorf("the namespace restricts nothing: %v", err)
				}
			})
		}
	}
}
