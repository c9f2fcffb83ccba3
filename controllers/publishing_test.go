// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/exchequer-dev/exchequer/controllers/gather"
)

var _ = Describe("What people apply", func() {
	It("is published, and says that it is in force once every replica has acknowledged it", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).Should(Equal("False/NoReplica"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Accepted")).Should(Equal("True/Accepted"))
		Eventually(condition(ctx, gather.TrustedIssuer, "", "corp", "Verified")).Should(Equal("True/Verified"))

		pod := w.replica(ctx, "exchanger-1")
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).Should(Equal("False/Pending"))
		w.acknowledge(ctx, pod, w.mustPointer(ctx).Revision, 0)
		for _, o := range [][3]string{
			{gather.TokenService, "", "default"}, {gather.TrustedIssuer, "", "corp"}, {gather.ExchangeClient, shop, "frontend"}, {gather.ExchangePolicy, shop, "staff"},
		} {
			Eventually(condition(ctx, o[0], o[1], o[2], "Ready")).Should(Equal("True/Ready"), o[0])
		}
	})
})
