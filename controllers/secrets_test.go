// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/controllers/gather"
)

// limited gives the controller just the rights that an installation gives it: those
// of config/rbac, in this world's namespace.
func (w *world) limited(ctx context.Context) func(*controllers.Options, *controllers.Process, *rest.Config) {
	GinkgoHelper()
	for _, file := range []string{"../config/rbac/controller.yaml", "../config/rbac/secret-reader.yaml"} {
		text, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		for _, doc := range split(strings.ReplaceAll(string(text), "exchequer-system", w.namespace)) {
			u := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(doc), &u.Object)).To(Succeed())
			if u.GetKind() == "" {
				continue
			}
			if u.GetKind() == "ClusterRoleBinding" {
				u.SetName(u.GetName() + "-" + w.namespace)
			}
			Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test"), client.ForceOwnership)).To(Succeed(), doc)
		}
	}
	config := plane.ServiceAccount(suite, w.namespace, "exchequer-controller")
	return func(_ *controllers.Options, _ *controllers.Process, to *rest.Config) {
		*to = *config
	}
}

func secret(namespace, name, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{"client-secret": []byte(value), "other": []byte("nobody asked for this")}}
}

func withSecret(namespace string) string {
	return fmt.Sprintf(`
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: %s, name: backend}
spec:
  authentication:
  - clientSecret: {secretRef: {name: backend-oauth, key: client-secret}}
`, namespace)
}

// digests are the published digests of a client's secrets.
func (w *world) digests(ctx context.Context, id string) func() []string {
	return func() []string {
		s, err := w.spec(ctx)
		if err != nil {
			return []string{err.Error()}
		}
		for i := range s.Clients {
			if s.Clients[i].ID == id {
				return s.Clients[i].SecretDigests
			}
		}
		return nil
	}
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

var _ = Describe("Secrets of tenants", func() {
	old, rotated := strings.Repeat("old-secret-", 4), strings.Repeat("new-secret-", 4)

	It("F244: are read where a RoleBinding permits it and nowhere else, told in the same words whether they exist", func(ctx context.Context) {
		w := newWorld()
		shop, media := w.tenant(), w.tenant()
		rights := w.limited(ctx)
		apply(ctx, platform()+"\n---\n"+withSecret(shop)+"\n---\n"+withSecret(media))
		Expect(api.Create(ctx, secret(shop, "backend-oauth", old))).To(Succeed())
		w.run(rights)
		message := func(namespace string) func() string {
			return func() string {
				u := get(ctx, gather.ExchangeClient, namespace, "backend")
				list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
				for _, item := range list {
					if c, ok := item.(map[string]any); ok && c["type"] == "ResolvedRefs" {
						return fmt.Sprint(c["reason"], ": ", c["message"])
					}
				}
				return ""
			}
		}
		Eventually(message(shop)).Should(HavePrefix("RefNotPermitted"))
		Eventually(message(media)).Should(HavePrefix("RefNotPermitted"))
		Expect(strings.ReplaceAll(message(shop)(), shop, "NS")).To(Equal(strings.ReplaceAll(message(media)(), media, "NS")))

		By("applying what the condition says")
		text := message(shop)()
		from := strings.Index(text, "{apiVersion")
		to := strings.LastIndex(text, "}")
		Expect(from).To(BeNumerically(">", 0), text)
		u := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(text[from:to+1]), &u.Object)).To(Succeed())
		Expect(api.Create(ctx, u)).To(Succeed())
		Eventually(w.digests(ctx, shop+"/backend")).Should(ConsistOf(sha(old)))
		Expect(w.digests(ctx, media+"/backend")()).To(BeEmpty())

		By("rotating it")
		s := secret(shop, "backend-oauth", rotated)
		Expect(api.Update(ctx, s)).To(Succeed())
		Eventually(w.digests(ctx, shop+"/backend")).Should(ConsistOf(sha(rotated)))

		By("deleting it and making it again")
		Expect(api.Delete(ctx, s)).To(Succeed())
		Eventually(w.digests(ctx, shop+"/backend")).Should(BeEmpty())
		Eventually(message(shop)).Should(HavePrefix("SecretNotFound"))
		Expect(api.Create(ctx, secret(shop, "backend-oauth", old))).To(Succeed())
		Eventually(w.digests(ctx, shop+"/backend")).Should(ConsistOf(sha(old)))

		By("F246: taking the permission away")
		Expect(api.Delete(ctx, u)).To(Succeed())
		Eventually(w.digests(ctx, shop+"/backend")).Should(BeEmpty())
		Eventually(message(shop)).Should(HavePrefix("RefNotPermitted"))
	})

	It("F254: the rights of an installation are enough for all of the operator's work", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		rights := w.limited(ctx)
		apply(ctx, everything(shop))
		w.run(rights, func(_ *controllers.Options, p *controllers.Process, _ *rest.Config) { p.LeaderElect = true })
		pod := w.replica(ctx, "exchanger-1")
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		w.acknowledge(ctx, pod, w.mustPointer(ctx).Revision, 0)
		Eventually(condition(ctx, gather.TokenService, "", "default", "Ready")).Should(Equal("True/Ready"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("True/Ready"))
		Eventually(condition(ctx, gather.TokenService, "", "default", "KeysReady")).Should(Equal("True/KeysReady"))
		By("an event of what a person must act on")
		remove(ctx, gather.ExchangeClient, shop, "api")
		Eventually(func() []string { return eventsOf(ctx, shop) }).Should(ContainElement(ContainSubstring("RefNotFound")))
	})
})

func eventsOf(ctx context.Context, namespace string) []string {
	var list corev1.EventList
	Expect(api.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var out []string
	for i := range list.Items {
		out = append(out, list.Items[i].Reason+": "+list.Items[i].Message)
	}
	return out
}

var _ = Describe("Service accounts of this cluster", func() {
	It("are known from the API server, with the controller's own rights", func(ctx context.Context) {
		w := newWorld()
		apply(ctx, platform()+`
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: kubernetes}
spec:
  use: [Subject, Client]
  allowedNamespaces: {all: true}
  kubernetes: {cluster: {local: {}}}
`)
		w.run(w.limited(ctx))
		Eventually(condition(ctx, gather.TrustedIssuer, "", "kubernetes", "Verified")).Should(Equal("True/Verified"))
		Eventually(func() string {
			s, err := w.spec(ctx)
			if err != nil {
				return err.Error()
			}
			for i := range s.Issuers {
				if s.Issuers[i].Keys.Local {
					return s.Issuers[i].URL
				}
			}
			return ""
		}).Should(HavePrefix("https://"))
	})
})
