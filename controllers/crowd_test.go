// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// noise is text that does not compress.
func noise(bytes int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, bytes)
	for i := range b {
		b[i] = alphabet[rand.IntN(len(alphabet))]
	}
	return string(b)
}

// crowd applies policies of 100 KiB of noise each whose names have one chunk.
func crowd(ctx context.Context, namespace string, count int) {
	for i := 0; count > 0; i++ {
		name := fmt.Sprintf("x%d", i)
		if s := sha256.Sum256([]byte("policies/" + namespace + "/" + name)); s[0]&63 != 7 {
			continue
		}
		count--
		rules := make([]string, 32)
		for i := range rules {
			rules[i] = fmt.Sprintf(`{expression: "'%s' != ''"}`, noise(3200))
		}
		apply(ctx, fmt.Sprintf(`
apiVersion: exchequer.dev/v1alpha1
kind: ExchangePolicy
metadata: {namespace: %s, name: %s}
spec:
  clients: [{name: frontend}]
  subject: {issuers: [{name: corp}], rules: [%s]}
  target: {clients: [{name: api}]}
`, namespace, name, strings.Join(rules, ", ")))
	}
}

var _ = Describe("Many large objects of one tenant whose names share a chunk", func() {
	It("hold up nobody: what another takes out of force goes out of force", func(ctx context.Context) {
		w := newWorld()
		shop, evil := w.tenant(), w.tenant()
		apply(ctx, everything(shop))
		apply(ctx, clients(evil))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		crowd(ctx, evil, 14)
		Eventually(w.policies(ctx)).Should(HaveLen(15))
		remove(ctx, gather.ExchangePolicy, shop, "staff")
		Eventually(w.policies(ctx)).Should(And(HaveLen(14), Not(ContainElement(shop+"/staff"))))
		Expect(condition(ctx, gather.TokenService, "", "default", "Programmed")()).NotTo(ContainSubstring("SnapshotTooLarge"))
	})
})

var _ = Describe("A pointer that somebody wrote by hand", func() {
	It("uses up no numbers: whatever its revision is, what changes is published", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		before := w.mustPointer(ctx).Revision
		Eventually(func() error { // the controller may write it meanwhile
			var secret corev1.Secret
			if err := api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: wire.PointerName}, &secret); err != nil {
				return err
			}
			p, err := wire.ParsePointer(secret.Data[wire.PointerKey])
			if err != nil {
				return err
			}
			p.Revision = 1<<53 - 1
			secret.Data[wire.PointerKey] = p.Marshal()
			return api.Update(ctx, &secret)
		}).Should(Succeed())
		remove(ctx, gather.ExchangePolicy, shop, "staff")
		Eventually(w.policies(ctx)).Should(And(Not(BeNil()), BeEmpty()))
		Expect(w.mustPointer(ctx).Revision).To(BeNumerically("<", before+10))
	})
})
