// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

// bind gives a ServiceAccount of another namespace a ClusterRole.
func bind(t testing.TB, plane *cluster.Plane, name, role, ns, account string) {
	t.Helper()
	if _, err := plane.Client(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	bindSubject(t, plane, name, role, rbacv1.Subject{Kind: "ServiceAccount", Name: account, Namespace: ns})
}

func bindUser(t testing.TB, plane *cluster.Plane, user, role string) {
	t.Helper()
	bindSubject(t, plane, "user-"+user+"-"+role, role, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: user})
}

func bindSubject(t testing.TB, plane *cluster.Plane, name, role string, subject rbacv1.Subject) {
	t.Helper()
	_, err := plane.Client(t).RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{subject},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// pod makes a Pod as the chart does, and a token that is bound to it, as the
// kubelet asks for it.
func pod(t testing.TB, plane *cluster.Plane, account string) (*corev1.Pod, *rest.Config) {
	t.Helper()
	template := deployments(t)["exchequer-exchanger"].Spec.Template
	template.Spec.ServiceAccountName = account
	made, err := plane.Client(t).CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: account + "-", Labels: template.Labels}, Spec: template.Spec,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	plane.ServiceAccount(t, namespace, account)
	granted, err := plane.Client(t).CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: made.Name, UID: made.UID}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(plane.Admin())
	config.BearerToken = granted.Status.Token
	return made, config
}

// acknowledgement is what an exchanger writes.
func acknowledgement(ns, metadata string, owners ...*corev1.Pod) string {
	var refs []string
	for _, p := range owners {
		refs = append(refs, fmt.Sprintf("{apiVersion: v1, kind: Pod, name: %s, uid: %s}", p.Name, p.UID))
	}
	return fmt.Sprintf("kind: ExchangerReplica\nmetadata: {%s, namespace: %s, ownerReferences: [%s]}\nspec: {revision: 7, digest: abc, readsFormats: [1]}",
		metadata, ns, strings.Join(refs, ", "))
}

func TestAReplicaSpeaksForItselfAlone(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	own, mine := pod(t, plane, "exchequer-exchanger")
	other, _ := pod(t, plane, "exchequer-exchanger")
	gone := own.DeepCopy()
	gone.UID = "00000000-0000-0000-0000-000000000000"
	_, stranger := pod(t, plane, "stranger")
	bindSubject(t, plane, "replicas-of-anybody", "cluster-admin", rbacv1.Subject{Kind: "ServiceAccount", Name: "exchequer-exchanger", Namespace: "default"})
	bindSubject(t, plane, "stranger-is-admin", "cluster-admin", rbacv1.Subject{Kind: "ServiceAccount", Name: "stranger", Namespace: namespace})
	for name, tc := range map[string]struct {
		config *rest.Config
		object string
		words  string
	}{
		"its own":                            {mine, acknowledgement(namespace, "name: "+own.Name, own), ""},
		"another's name":                     {mine, acknowledgement(namespace, "name: "+other.Name, own), "has the name of the Pod that writes it"},
		"another's name and owner":           {mine, acknowledgement(namespace, "name: "+other.Name, other), "has the name of the Pod that writes it"},
		"its own name, another's owner":      {mine, acknowledgement(namespace, "name: "+own.Name, other), "owned by the Pod that writes it"},
		"its own name, an earlier Pod's uid": {mine, acknowledgement(namespace, "name: "+own.Name, gone), "owned by the Pod that writes it"},
		"without an owner":                   {mine, acknowledgement(namespace, "name: "+own.Name), "owned by the Pod that writes it"},
		"with two owners":                    {mine, acknowledgement(namespace, "name: "+own.Name, own, other), "owned by the Pod that writes it"},
		"F284: a name that the server makes": {mine, acknowledgement(namespace, "generateName: "+own.Name+"-", own), "has the name of the Pod that writes it"},
		"a token that is bound to no Pod":    {plane.ServiceAccount(t, namespace, "exchequer-exchanger"), acknowledgement(namespace, "name: "+own.Name, own), "bound to that Pod"},
		"another account, in its stead":      {stranger, acknowledgement(namespace, "name: "+own.Name, own), "service account exchequer-exchanger"},
		"an administrator, in its stead":     {plane.Admin(), acknowledgement(namespace, "name: "+own.Name, own), "service account exchequer-exchanger"},
		"its namesake of another namespace":  {plane.ServiceAccount(t, "default", "exchequer-exchanger"), acknowledgement(namespace, "name: "+own.Name, own), "service account exchequer-exchanger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := writer(t, tc.config).create(t, tc.object, metav1.DryRunAll)
			if tc.words == "" && err != nil {
				t.Errorf("expected no refusal, found %v", err)
			} else if tc.words != "" {
				refused(t, err, "exchequer-replica", tc.words)
			}
		})
	}
}

func TestAnAcknowledgementIsChangedByItsReplicaAndRemovedByAnybodyWhoMay(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	own, mine := pod(t, plane, "exchequer-exchanger")
	_, theirs := pod(t, plane, "exchequer-exchanger")
	text := acknowledgement(namespace, "name: "+own.Name, own)
	me, admin := writer(t, mine), writer(t, plane.Admin())
	if err := me.create(t, text); err != nil {
		t.Fatal(err)
	}
	o, err := me.of(t, parse(t, text)).Get(t.Context(), own.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o.Object["spec"] = map[string]any{"revision": int64(8)}
	if _, err := me.of(t, o).Update(t.Context(), o, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Errorf("the replica itself: %v", err)
	}
	_, err = writer(t, theirs).of(t, o).Update(t.Context(), o, metav1.UpdateOptions{})
	refused(t, err, "exchequer-replica", "has the name of the Pod that writes it")
	refused(t, admin.change(t, o, `{"spec": {"revision": 9}}`), "exchequer-replica", "service account exchequer-exchanger")
	refused(t, admin.change(t, o, `{"metadata": {"ownerReferences": null}}`), "exchequer-replica", "service account exchequer-exchanger")
	if err := admin.change(t, o, `{"metadata": {"labels": {"a": "b"}}}`); err != nil {
		t.Errorf("a label: %v", err)
	}
	// `kubectl delete pod --cascade=orphan`: the garbage collector lets go of it.
	bindSubject(t, plane, "collector", "cluster-admin", rbacv1.Subject{Kind: "ServiceAccount", Name: "generic-garbage-collector", Namespace: "kube-system"})
	collector := writer(t, plane.ServiceAccount(t, "kube-system", "generic-garbage-collector"))
	if err := collector.change(t, o, `{"metadata": {"ownerReferences": null}}`); err != nil {
		t.Errorf("the garbage collector cannot take the owner away: %v", err)
	}
	refused(t, collector.change(t, o, fmt.Sprintf(`{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": %q, "uid": %q}]}}`, own.Name, own.UID)),
		"exchequer-replica", "service account exchequer-exchanger")
	refused(t, collector.change(t, o, `{"spec": {"revision": 9}}`), "exchequer-replica", "service account exchequer-exchanger")
	if err := me.of(t, o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a replica may delete: %v", err)
	}
	if err := admin.of(t, o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Errorf("deleting it: %v", err)
	}
}

// Whose an acknowledgement is decides when it goes: with its Pod, and not before.
func TestAnAcknowledgementBelongsToItsPodAlone(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	own, mine := pod(t, plane, "exchequer-exchanger")
	other, theirs := pod(t, plane, "exchequer-exchanger")
	text := acknowledgement(namespace, "name: "+own.Name, own)
	me, them, admin := writer(t, mine), writer(t, theirs), writer(t, plane.Admin())
	if err := me.create(t, strings.Replace(text, "metadata: {", "metadata: {finalizers: [example.com/stay], ", 1)); err == nil {
		t.Error("it is made with a finalizer")
	} else {
		refused(t, err, "exchequer-replica", "metadata.finalizers")
	}
	if err := me.create(t, text); err != nil {
		t.Fatal(err)
	}
	type edit = func(o *unstructured.Unstructured)
	owned := func(name string, uid types.UID) edit {
		return func(o *unstructured.Unstructured) {
			o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: name, UID: uid}})
		}
	}
	free := func(o *unstructured.Unstructured) { o.SetOwnerReferences(nil) }
	hold := func(o *unstructured.Unstructured) { o.SetFinalizers([]string{"example.com/stay"}) }
	for name, tc := range map[string]struct {
		who   user
		edit  edit
		words string
	}{
		"another replica replaces its owner":  {them, owned(other.Name, other.UID), "has the name of the Pod that writes it"},
		"another replica sets it free":        {them, free, "has the name of the Pod that writes it"},
		"another replica adds a finalizer":    {them, hold, "has the name of the Pod that writes it"},
		"itself, to outlive its Pod":          {me, free, "owned by the Pod that writes it"},
		"itself, owned by what never was":     {me, owned(own.Name, "00000000-0000-0000-0000-000000000000"), "owned by the Pod that writes it"},
		"itself, with a finalizer":            {me, hold, "metadata.finalizers"},
		"itself, with a finalizer and a spec": {me, func(o *unstructured.Unstructured) { hold(o); speak(o) }, "metadata.finalizers"},
		"an administrator replaces its owner": {admin, owned(other.Name, other.UID), "service account exchequer-exchanger"},
		"an administrator adds a finalizer":   {admin, hold, "service account exchequer-exchanger"},
		"itself, with the owner that it has":  {me, func(o *unstructured.Unstructured) { owned(own.Name, own.UID)(o); speak(o) }, ""},
		"an administrator annotates it":       {admin, func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"a": "b"}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.who.rewrite(t, parse(t, text), tc.edit, metav1.DryRunAll)
			if tc.words == "" && err != nil {
				t.Errorf("expected no refusal, found %v", err)
			} else if tc.words != "" {
				refused(t, err, "exchequer-replica", tc.words)
			}
		})
	}
}

func speak(o *unstructured.Unstructured) { o.Object["spec"] = map[string]any{"revision": int64(8)} }

// rewrite is what a replica may: it has no right to patch.
func (u user) rewrite(t testing.TB, o *unstructured.Unstructured, edit func(*unstructured.Unstructured), dryRun ...string) error {
	t.Helper()
	now, err := u.of(t, o).Get(t.Context(), o.GetName(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	edit(now)
	_, err = u.of(t, now).Update(t.Context(), now, metav1.UpdateOptions{DryRun: dryRun})
	return err
}

// A finalizer that came before the rule, or that the API server sets for a deletion in
// the foreground, stops neither the replica nor whoever clears it away.
func TestAFinalizerOfAnAcknowledgementCanBeTakenAway(t *testing.T) {
	t.Parallel()
	plane := installed(t)
	own, mine := pod(t, plane, "exchequer-exchanger")
	text := acknowledgement(namespace, "name: "+own.Name, own)
	me, admin := writer(t, mine), writer(t, plane.Admin())
	if err := me.create(t, text); err != nil {
		t.Fatal(err)
	}
	o := parse(t, text)
	foreground := metav1.DeletePropagationForeground
	if err := admin.of(t, o).Delete(t.Context(), own.Name, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	if err := me.rewrite(t, o, speak); err != nil {
		t.Errorf("the replica cannot speak while it is deleted: %v", err)
	}
	if err := admin.change(t, o, `{"metadata": {"finalizers": null}}`); err != nil {
		t.Errorf("the finalizer stays: %v", err)
	}
	if _, err := me.of(t, o).Get(t.Context(), own.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is still there: %v", err)
	}
}
