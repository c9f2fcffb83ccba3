// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// sole is who is named the only replica.
func (w *world) sole(ctx context.Context) func() types.UID {
	return func() types.UID {
		var s corev1.Secret
		if err := api.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: wire.PointerName}, &s); err != nil {
			return types.UID(err.Error())
		}
		return types.UID(s.Data[wire.SoleKey])
	}
}

// withStore makes a Pod that keeps one-time state there; it is not ready yet.
func (w *world) withStore(ctx context.Context, name, store string) *corev1.Pod {
	labels := map[string]string{"exchequer.dev/store": store}
	for k, v := range replicaLabels {
		labels[k] = v
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "exchanger", Image: "exchequer.local/exchequer:test"}}},
	}
	Expect(api.Create(ctx, pod)).To(Succeed())
	return pod
}

func is(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, ready corev1.ConditionStatus) {
	pod.Status.Phase, pod.Status.Conditions = phase, []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
	Expect(api.Status().Update(ctx, pod)).To(Succeed())
}

func signer(namespace, name, more string) string {
	return fmt.Sprintf(`
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: %s, name: %s}
spec:
  authentication:
  - privateKeyJWT: {inline: %s}
%s`, namespace, name, jwks, more)
}

var _ = Describe("One-time state", func() {
	It("F297: is for the only Pod that there is, in whatever state, and each change is told at once", func(ctx context.Context) {
		w := newWorld()
		apply(ctx, everything(w.tenant()))
		one := w.withStore(ctx, "exchanger-1", "memory")
		w.run()
		Eventually(w.sole(ctx)).Should(Equal(one.UID))
		two := w.withStore(ctx, "exchanger-2", "memory")
		Eventually(w.sole(ctx)).Should(BeEmpty())
		is(ctx, one, corev1.PodRunning, corev1.ConditionTrue)
		is(ctx, two, corev1.PodRunning, corev1.ConditionTrue)
		By("one that is going away still counts, and one that has ended does not")
		held := client.MergeFrom(two.DeepCopy())
		two.Finalizers = []string{"example.com/held"}
		Expect(api.Patch(ctx, two, held)).To(Succeed())
		Expect(api.Delete(ctx, two)).To(Succeed())
		Eventually(condition(ctx, gather.TokenService, "", "default", "StoreReady")).Should(Equal("False/NoSharedStore"))
		Consistently(w.sole(ctx)).Should(BeEmpty())
		Expect(api.Get(ctx, client.ObjectKeyFromObject(two), two)).To(Succeed())
		is(ctx, two, corev1.PodSucceeded, corev1.ConditionFalse)
		Eventually(w.sole(ctx)).Should(Equal(one.UID))
		held = client.MergeFrom(two.DeepCopy())
		two.Finalizers = nil
		Expect(api.Patch(ctx, two, held)).To(Succeed())
		By("a name survives publications, and whoever alters it does so for a minute at most")
		before := w.mustPointer(ctx).Revision
		apply(ctx, everything(w.tenant()))
		Eventually(w.revision(ctx)).Should(BeNumerically(">", before))
		Expect(w.sole(ctx)()).To(Equal(one.UID))
		Expect(api.Delete(ctx, one)).To(Succeed())
		Eventually(w.sole(ctx)).Should(BeEmpty())
	})

	It("F297: is told true by StoreReady, which takes readiness from those alone who have no other way in", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		apply(ctx, signer(shop, "signer", ""))
		apply(ctx, signer(shop, "both", "  - clientSecret: {sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}\n"))
		_, stop := w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		acknowledged := func(pods ...*corev1.Pod) {
			for _, pod := range pods {
				is(ctx, pod, corev1.PodRunning, corev1.ConditionTrue)
				w.acknowledge(ctx, pod, w.mustPointer(ctx).Revision, 0)
			}
		}
		of := func(kind, namespace, name, which string) func() string {
			return condition(ctx, kind, namespace, name, which)
		}
		says := func(storeReady, signer string) {
			GinkgoHelper()
			Eventually(of(gather.TokenService, "", "default", "StoreReady")).Should(Equal(storeReady))
			Eventually(of(gather.ExchangeClient, shop, "signer", "Ready")).Should(Equal(signer))
			Eventually(of(gather.ExchangeClient, shop, "both", "Ready")).Should(Equal("True/Ready"))
			Eventually(of(gather.TokenService, "", "default", "Ready")).Should(Equal("True/Ready"))
			for _, which := range []string{"Accepted", "ResolvedRefs", "Programmed"} {
				Expect(of(gather.ExchangeClient, shop, "signer", which)()).To(Equal("True/" + which))
			}
		}
		one := w.withStore(ctx, "exchanger-1", "none")
		acknowledged(one)
		By("one replica that keeps nothing")
		says("False/NoSharedStore", "False/NoSharedStore")
		two := w.withStore(ctx, "exchanger-2", "memory")
		acknowledged(two)
		By("two replicas, of which one would")
		says("False/NoSharedStore", "False/NoSharedStore")
		Expect(api.Delete(ctx, one)).To(Succeed())
		By("one that does")
		says("True/StoreReady", "True/Ready")
		three := w.withStore(ctx, "exchanger-3", "memory")
		By("and another that is not even ready")
		says("False/NoSharedStore", "False/NoSharedStore")
		Expect(api.Delete(ctx, three)).To(Succeed())
		says("True/StoreReady", "True/Ready")
		By("none, as while it is replaced: the clients are as ready as everything else")
		Expect(api.Delete(ctx, two)).To(Succeed())
		says("False/NoSharedStore", "True/Ready")
		stop()
		four, five := w.withStore(ctx, "exchanger-4", "none"), w.withStore(ctx, "exchanger-5", "none")
		acknowledged(four, five)
		By("several that share a store")
		w.run(func(o *controllers.Options, _ *controllers.Process, _ *rest.Config) { o.SharedStore = true })
		says("True/StoreReady", "True/Ready")
	})
})
