// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// legacy declares an issuer that is asked with a secret, and one that is asked with a
// certificate.
const legacy = `
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: legacy}
spec:
  allowedNamespaces: {all: true}
  introspection:
    tokenTypeURI: https://legacy.example/session
    endpoint: https://legacy.example/introspect
    clientAuth: {clientID: us, secretRef: {name: legacy, key: client-secret}}
---
apiVersion: exchequer.dev/v1alpha1
kind: TrustedIssuer
metadata: {name: bank}
spec:
  allowedNamespaces: {all: true}
  introspection:
    tokenTypeURI: https://bank.example/handle
    endpoint: https://bank.example/introspect
    clientAuth: {clientID: us, mutualTLS: {secretRef: {name: bank, key: tls.crt}}}
`

func pair() (certificate, key []byte) {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	Expect(err).NotTo(HaveOccurred())
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

var _ = Describe("Secrets that are presented to other servers", func() {
	It("travel in one Secret, follow their source without a new revision, and are in nothing else", func(ctx context.Context) {
		w := newWorld()
		rights := w.limited(ctx)
		apply(ctx, platform()+"\n---\n"+legacy)
		w.run(rights)
		presented := func() map[string]string {
			var s corev1.Secret
			if err := api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: wire.CredentialsName}, &s); err != nil {
				return map[string]string{"error": err.Error()}
			}
			out := map[string]string{}
			for name, value := range s.Data {
				out[name] = string(value)
			}
			return out
		}
		Eventually(condition(ctx, gather.TrustedIssuer, "", "legacy", "ResolvedRefs")).Should(Equal("False/SecretNotFound"))
		Expect(presented()).To(BeEmpty())

		By("making the Secrets")
		Expect(api.Create(ctx, secret(w.namespace, "legacy", "the-first-secret"))).To(Succeed())
		certificate, key := pair()
		Expect(api.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "bank"}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
		})).To(Succeed())
		Eventually(presented).Should(And(
			HaveKeyWithValue("legacy_client-secret", "the-first-secret"), HaveKeyWithValue("_pair-bank_tls.crt", string(certificate)+"\n"+string(key)), HaveLen(2),
		))
		Eventually(condition(ctx, gather.TrustedIssuer, "", "legacy", "Verified")).Should(Equal("True/Verified"))
		var revision uint64
		Eventually(func(g Gomega) {
			s, err := w.spec(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			var names []string
			for i := range s.Issuers {
				names = append(names, s.Issuers[i].Name)
			}
			g.Expect(names).To(ContainElements("legacy", "bank"))
			revision = w.revision(ctx)()
		}).Should(Succeed())

		By("rotating one")
		Expect(api.Update(ctx, secret(w.namespace, "legacy", "the-second-secret"))).To(Succeed())
		Eventually(presented).Should(HaveKeyWithValue("legacy_client-secret", "the-second-secret"))
		Expect(w.revision(ctx)()).To(Equal(revision), "a secret is no part of the policy")
		spec := fmt.Sprintf("%+v", w.mustSpec(ctx))
		for _, kind := range []string{"legacy", "bank"} {
			spec += fmt.Sprint(get(ctx, gather.TrustedIssuer, "", kind).Object)
		}
		Expect(strings.Contains(spec, "the-second-secret") || strings.Contains(spec, "PRIVATE KEY")).To(BeFalse(), "a secret is in the Spec or in a status")

		By("taking away what nobody refers to any more")
		remove(ctx, gather.TrustedIssuer, "", "bank")
		Eventually(presented).Should(And(HaveKey("legacy_client-secret"), HaveLen(1)))

		By("mending what somebody altered by hand")
		var s corev1.Secret
		Expect(api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: wire.CredentialsName}, &s)).To(Succeed())
		s.Data = nil
		Expect(api.Update(ctx, &s)).To(Succeed())
		Expect(api.Update(ctx, secret(w.namespace, "legacy", "the-third-secret"))).To(Succeed())
		Eventually(presented).Should(And(HaveKeyWithValue("legacy_client-secret", "the-third-secret"), HaveLen(1)))
	})
})
