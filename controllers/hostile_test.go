// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers/gather"
)

var _ = Describe("A replica in the wrong hands", func() {
	It("cannot use up the numbers by acknowledging or refusing one that is far beyond", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		good, bad := w.replica(ctx, "good"), w.replica(ctx, "bad")
		_, stop := w.run()
		apply(ctx, everything(shop))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		for _, forged := range []uint64{1 << 42, 1<<53 - 1} {
			w.acknowledge(ctx, bad, forged, forged)
			apply(ctx, grant(shop, fmt.Sprintf("p%d", forged)))
			Eventually(w.policies(ctx)).Should(ContainElement(fmt.Sprintf("%s/p%d", shop, forged)))
		}
		By("also when the controller begins with it")
		stop()
		w.run()
		apply(ctx, grant(shop, "later"))
		Eventually(w.policies(ctx)).Should(ContainElement(shop + "/later"))
		Expect(w.mustPointer(ctx).Revision).To(BeNumerically("<", 1000))
		By("and what it acknowledges does not count as acknowledged")
		w.acknowledge(ctx, good, w.mustPointer(ctx).Revision, 0)
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "later", "Programmed")).Should(Equal("False/Pending"))
		Consistently(condition(ctx, gather.ExchangePolicy, shop, "later", "Programmed")).WithTimeout(500 * time.Millisecond).Should(Equal("False/Pending"))
		By("until its Pod is gone")
		Expect(api.Delete(ctx, bad, client.GracePeriodSeconds(0))).To(Succeed())
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "later", "Programmed")).Should(Equal("True/Programmed"))
		By("and one that can be true moves the number, and Programmed goes on")
		w.acknowledge(ctx, bad, 1<<23, 0)
		Eventually(w.revision(ctx)).Should(BeEquivalentTo(1<<23 + 1))
		apply(ctx, grant(shop, "last"))
		Eventually(w.policies(ctx)).Should(ContainElement(shop + "/last"))
		w.acknowledge(ctx, good, w.mustPointer(ctx).Revision, 0)
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "last", "Programmed")).Should(Equal("True/Programmed"))
	})

	It("has everything published again at most once in ten seconds, and then at last", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		bad := w.replica(ctx, "bad")
		apply(ctx, everything(shop)) // before, so that it is one publication
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).Should(Equal("False/Pending"))
		from := w.mustPointer(ctx).Revision
		// A machine may be so busy that the ten seconds are over before this spec has
		// looked; what it sees then is neither right nor wrong.
		soon := time.Now().Add(10 * time.Second)
		w.acknowledge(ctx, bad, from+1000, 0)
		Eventually(w.revision(ctx)).Should(Equal(from + 1001))
		n := from + 2000
		Consistently(func() uint64 {
			n += 1000
			w.acknowledge(ctx, bad, n, 0)
			if now := w.mustPointer(ctx).Revision; time.Now().Before(soon) {
				return now
			}
			return from + 1001
		}).WithTimeout(3 * time.Second).Should(Equal(from + 1001))
		By("others do not wait for it")
		apply(ctx, grant(shop, "second"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		if now := w.mustPointer(ctx).Revision; time.Now().Before(soon) {
			Expect(now).To(Equal(from + 1002))
		}
		// Once what it spoke of last is followed, or that and the change after it.
		Eventually(w.revision(ctx)).Should(BeElementOf(n+1, n+2))
	})
})

var _ = Describe("An object larger than anybody's", func() {
	It("is out of the policy, says so, and is kept as its name alone", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		large := func() *unstructured.Unstructured {
			u := gather.New(gather.ExchangePolicy)
			Expect(yamlInto(grant(shop, "large"), u)).To(Succeed())
			labels := map[string]string{}
			for i := range 5000 {
				labels[fmt.Sprintf("k%04d", i)] = strings.Repeat("x", 63)
			}
			u.SetLabels(labels)
			return u
		}
		Expect(api.Create(ctx, large())).To(Succeed())
		op, _ := w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "large", "Accepted")).Should(Equal("False/QuotaExceeded"))
		By("nobody goes on writing that")
		Eventually(func(g Gomega) {
			turns, version := op.Turns(), get(ctx, gather.ExchangePolicy, shop, "large").GetResourceVersion()
			g.Consistently(op.Turns).WithTimeout(300 * time.Millisecond).Should(Equal(turns))
			g.Expect(get(ctx, gather.ExchangePolicy, shop, "large").GetResourceVersion()).To(Equal(version))
		}).Should(Succeed())
		By("made smaller, it is part of the policy")
		Eventually(func() error { // its status may be written meanwhile
			u := get(ctx, gather.ExchangePolicy, shop, "large")
			u.SetLabels(nil)
			return api.Update(ctx, u)
		}).Should(Succeed())
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/large", shop+"/staff"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "large", "Accepted")).Should(Equal("True/Accepted"))
	})
})
