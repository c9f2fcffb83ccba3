// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers/gather"
)

// remove deletes an object and its finalizers.
func remove(ctx context.Context, kind, namespace, name string) {
	GinkgoHelper()
	u := gather.New(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	Expect(client.IgnoreNotFound(api.Delete(ctx, u))).To(Succeed())
}

func get(ctx context.Context, kind, namespace, name string) *unstructured.Unstructured {
	GinkgoHelper()
	u := gather.New(kind)
	Expect(api.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, u)).To(Succeed())
	return u
}

// writeStatus writes a status as somebody else would.
func writeStatus(ctx context.Context, u *unstructured.Unstructured, status map[string]any) {
	GinkgoHelper()
	forged := gather.New(u.GetKind())
	forged.SetNamespace(u.GetNamespace())
	forged.SetName(u.GetName())
	forged.Object["status"] = status
	Expect(api.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(forged), client.FieldOwner("forger"), client.ForceOwnership)).To(Succeed())
}

var _ = Describe("Objects", func() {
	It("F273: give the same snapshot in whatever order they come, go and come again", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		all := split(everything(shop) + "\n---\n" + grant(shop, "second") + "\n---\n" + grant(shop, "third"))
		w.run()
		var digest string
		for round := range 4 {
			seed := uint64(GinkgoRandomSeed()) + uint64(round)
			random := rand.New(rand.NewPCG(seed, seed))
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			By(fmt.Sprintf("round %d of seed %d", round, seed))
			for _, doc := range all {
				apply(ctx, doc)
			}
			Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff", shop+"/third"))
			Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Accepted"))
			Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("False/NoReplica"))
			if digest == "" {
				// The policies may be published before everything that they speak of.
				Eventually(func(g Gomega) {
					before := w.digest(ctx)()
					s, err := w.spec(ctx)
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(s.Services).To(HaveLen(1))
					g.Expect(s.Issuers).To(HaveLen(1))
					g.Expect(s.Clients).To(HaveLen(2))
					for i := range s.Policies {
						g.Expect(s.Policies[i].Clients).To(ConsistOf(shop + "/frontend"))
						g.Expect(s.Policies[i].Targets).To(ConsistOf(shop + "/api"))
						g.Expect(s.Policies[i].SubjectIssuers).To(ConsistOf("corp"))
					}
					digest = w.digest(ctx)()
					g.Expect(digest).To(Equal(before), "it moved on meanwhile")
				}).Should(Succeed())
			}
			Eventually(w.digest(ctx)).Should(Equal(digest))
			for _, doc := range all[:4] {
				u := &unstructured.Unstructured{}
				Expect(yamlInto(doc, u)).To(Succeed())
				remove(ctx, u.GetKind(), u.GetNamespace(), u.GetName())
			}
			Eventually(w.digest(ctx)).ShouldNot(Equal(digest))
		}
	})

	It("F267: of a deleted issuer take their policies out of force, and say so", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		remove(ctx, gather.TrustedIssuer, "", "corp")
		Eventually(func() (int, error) {
			s, err := w.spec(ctx)
			if err != nil {
				return 0, err
			}
			return len(s.Issuers), nil
		}).Should(BeZero())
		Eventually(func() any {
			unmatched, _, _ := unstructured.NestedSlice(get(ctx, gather.ExchangePolicy, shop, "staff").Object, "status", "unmatched")
			return unmatched
		}).Should(ContainElement(ContainSubstring("corp")))
	})

	It("F264: are not switched by annotations or labels", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		before := w.mustPointer(ctx)
		for _, key := range []string{"suspend", "mode", "skip-validation", "allow", "disabled"} {
			Eventually(func() error { // a status may be written meanwhile
				u := get(ctx, gather.ExchangePolicy, shop, "staff")
				u.SetAnnotations(map[string]string{"exchequer.dev/" + key: "true", "exchequer.dev/all": strings.Repeat("x", 200<<10)})
				u.SetLabels(map[string]string{"exchequer.dev/" + key: "true"})
				return api.Update(ctx, u)
			}).Should(Succeed())
		}
		apply(ctx, grant(shop, "marker"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/marker", shop+"/staff"))
		remove(ctx, gather.ExchangePolicy, shop, "marker")
		Eventually(w.digest(ctx)).Should(Equal(before.Digest))
	})

	It("F263: are not believed what their status says", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		apply(ctx, strings.ReplaceAll(grant(shop, "broken"), "subject.groups", "subject.nothing"))
		forged := []any{}
		for _, c := range []string{"Accepted", "ResolvedRefs", "ExamplesPassed", "Programmed", "Ready"} {
			forged = append(forged, map[string]any{
				"type": c, "status": "True", "reason": c, "message": "trust me", "observedGeneration": int64(1), "lastTransitionTime": "2026-01-01T00:00:00Z",
			})
		}
		writeStatus(ctx, get(ctx, gather.ExchangePolicy, shop, "broken"), map[string]any{"conditions": forged, "observedGeneration": int64(1), "inputDigest": "forged"})
		writeStatus(ctx, get(ctx, gather.ExchangeClient, shop, "frontend"), map[string]any{"clientID": "media/other"})
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "broken", "Accepted")).Should(Equal("False/InvalidExpression"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "broken", "Ready")).Should(Equal("False/InvalidExpression"))
		s := w.mustSpec(ctx)
		for i := range s.Clients {
			Expect(s.Clients[i].ID).To(HavePrefix(shop + "/"))
		}
	})

	It("F275: tell of their own generation only", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		_, stop := w.run()
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Accepted"))
		stop()
		apply(ctx, strings.ReplaceAll(grant(shop, "staff"), "corp:staff", "corp:press"))
		Expect(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")()).To(Equal("True/Accepted of an older generation"))
		w.run()
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Accepted"))
	})

	It("F268: that are made again under their name are others", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		pod := w.replica(ctx, "exchanger-1")
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		w.acknowledge(ctx, pod, w.mustPointer(ctx).Revision, 0)
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("True/Ready"))
		first := get(ctx, gather.ExchangePolicy, shop, "staff")
		for range 5 {
			remove(ctx, gather.ExchangePolicy, shop, "staff")
			apply(ctx, grant(shop, "staff"))
		}
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Accepted"))
		again := get(ctx, gather.ExchangePolicy, shop, "staff")
		Expect(again.GetUID()).NotTo(Equal(first.GetUID()))
		Expect(nested(again, "inputDigest")).NotTo(Equal(nested(first, "inputDigest")))
	})

	It("F266: with finalizers that stay count as absent at once, and leave no trace when they go", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		u := get(ctx, gather.ExchangePolicy, shop, "staff")
		u.SetFinalizers([]string{"example.com/stays"})
		Expect(api.Update(ctx, u)).To(Succeed())
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		remove(ctx, gather.ExchangePolicy, shop, "staff")
		Eventually(w.policies(ctx)).Should(And(Not(BeNil()), BeEmpty()))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Suspended"))
		u = get(ctx, gather.ExchangePolicy, shop, "staff")
		u.SetFinalizers(nil)
		Expect(api.Update(ctx, u)).To(Succeed())
		Consistently(w.policies(ctx)).WithTimeout(300 * time.Millisecond).Should(BeEmpty())
	})
})

func nested(u *unstructured.Unstructured, field string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", field)
	return v
}
