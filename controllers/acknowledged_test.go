// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/exchequer-dev/exchequer/controllers/gather"
)

// serving is how many replicas the TokenService counts.
func serving(ctx context.Context) func() any {
	return func() any {
		counts, _ := nested(get(ctx, gather.TokenService, "", "default"), "replicas").(map[string]any)
		return counts["serving"]
	}
}

// leaving makes a Pod that is ready go away for as long as somebody holds it.
func leaving(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	pod.Finalizers = []string{"example.com/stays"}
	Expect(api.Update(ctx, pod)).To(Succeed())
	Expect(api.Delete(ctx, pod)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		var now corev1.Pod
		Expect(api.Get(ctx, keyOf(pod), &now)).To(Succeed())
		Expect(now.DeletionTimestamp).NotTo(BeNil())
		now.Finalizers = nil
		Expect(api.Update(ctx, &now)).To(Succeed())
	})
}

var _ = Describe("What a replica acknowledges", func() {
	It("is not believed of an earlier Pod that had its name", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		earlier := w.replica(ctx, "exchanger-1")
		Expect(api.Delete(ctx, earlier)).To(Succeed())
		pod := w.replica(ctx, "exchanger-1")
		Expect(pod.UID).NotTo(Equal(earlier.UID))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).Should(Equal("False/Pending"))

		w.acknowledge(ctx, earlier, 40, 0)
		Eventually(w.revision(ctx)).Should(BeEquivalentTo(41), "it is heard")
		Consistently(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).WithTimeout(500 * time.Millisecond).Should(Equal("False/Pending"))
		w.acknowledge(ctx, pod, 41, 0)
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).Should(Equal("True/Programmed"))
	})

	It("is not waited for of a Pod that is going away, and what that one says makes nothing true", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		one, two := w.replica(ctx, "exchanger-1"), w.replica(ctx, "exchanger-2")
		Eventually(serving(ctx)).Should(BeEquivalentTo(2))

		By("nobody but one that is going away has it")
		leaving(ctx, one)
		Eventually(serving(ctx)).Should(BeEquivalentTo(1))
		w.acknowledge(ctx, one, 40, 0)
		Eventually(w.revision(ctx)).Should(BeEquivalentTo(41), "it is heard")
		Consistently(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).WithTimeout(500 * time.Millisecond).Should(Equal("False/Pending"))
		By("everybody but one that is going away has it")
		apply(ctx, grant(shop, "second"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		w.acknowledge(ctx, two, w.mustPointer(ctx).Revision, 0)
		for _, name := range []string{"staff", "second"} {
			Eventually(condition(ctx, gather.ExchangePolicy, shop, name, "Programmed")).Should(Equal("True/Programmed"))
		}
		By("there are none but such as are going away")
		leaving(ctx, two)
		Eventually(serving(ctx)).Should(BeEquivalentTo(0))
		w.acknowledge(ctx, two, w.mustPointer(ctx).Revision+9, 0)
		apply(ctx, grant(shop, "third"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "third", "Programmed")).Should(Equal("False/NoReplica"))
	})

	It("F327: or refuses is never published again: the next revision is beyond both", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		pod := w.replica(ctx, "exchanger-1")
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		served := w.mustPointer(ctx)
		revision := w.revision(ctx)

		By("a refusal of a later revision moves the pointer beyond it, though nothing changed")
		w.acknowledge(ctx, pod, served.Revision, 812)
		Eventually(revision).Should(BeEquivalentTo(813))
		Expect(w.mustPointer(ctx).Digest).To(Equal(served.Digest))
		By("the greater of both counts")
		w.acknowledge(ctx, pod, 900, 850)
		Eventually(revision).Should(BeEquivalentTo(901))
		By("a number that no publication ever had uses up none")
		w.acknowledge(ctx, pod, 901, 1<<43)
		apply(ctx, grant(shop, "second"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		Consistently(revision).WithTimeout(300 * time.Millisecond).Should(BeEquivalentTo(902))
	})

	It("F327: by refusing it is known to the next controller, too", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.acknowledge(ctx, w.replica(ctx, "exchanger-1"), 3, 500)
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		Expect(w.mustPointer(ctx).Revision).To(BeEquivalentTo(501), "it is the first that this controller publishes")
	})
})
