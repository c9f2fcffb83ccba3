// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files") //nolint:gochecknoglobals // flags are read once, for the whole suite

// What a platform team, two tenants and an upgrade do, in this order.
var _ = Describe("An installation", Ordered, ContinueOnFailure, func() {
	var first string // a token of before the upgrade

	BeforeAll(func(ctx SpecContext) {
		for _, namespace := range []string{system, shop, media} {
			_, err := env.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
			}}, metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
		}
		DeferCleanup(cleanUp)
	})

	It("comes up from the chart in a restricted namespace", func(ctx SpecContext) {
		helm(ctx, append([]string{"install", release, chart, "--wait", "--timeout", patience.String()}, values()...)...)
	}, NodeTimeout(patience+time.Minute))

	It("F365: runs the image whose signature, bill of materials and origin were verified, and no other", func(ctx SpecContext) {
		if env.verified == "" {
			Skip("nobody has verified E2E_IMAGE: set E2E_VERIFIED to the digest of its configuration, or run make e2e without KUBECONFIG")
		}
		pods, err := env.client.CoreV1().Pods(system).List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(pods.Items).NotTo(BeEmpty())
		for _, pod := range pods.Items {
			Expect(pod.Spec.InitContainers).To(BeEmpty())
			for _, c := range pod.Status.ContainerStatuses {
				Expect(c.ImageID).To(HaveSuffix(env.verified), "%s runs %s", pod.Name, c.Image)
			}
		}
	})

	It("has the objects of the examples in force on every replica", func(ctx SpecContext) {
		for _, file := range []string{"1-platform.yaml", "2-media.yaml", "3-shop.yaml"} {
			apply(ctx, examples+"/"+file)
		}
		inForce(ctx)
		out := kubectl(ctx, "get", "exchequer", "--all-namespaces")
		Expect(out).To(ContainSubstring("frontend-gets-images"))
		GinkgoWriter.Println(out)
	}, NodeTimeout(patience))

	It("gives a pod a token for nothing but its projected one", func(ctx SpecContext) {
		kubectl(ctx, "wait", "--for=condition=Complete", "--timeout=90s", "--namespace", shop, "job/frontend")
		out := kubectl(ctx, "logs", "--namespace", shop, "job/frontend")
		first = tokenIn(out)
		claims := verified(first, jwks(ctx, "http"))
		Expect(claims).To(SatisfyAll(
			HaveKeyWithValue("sub", "system:serviceaccount:shop:frontend"),
			HaveKeyWithValue("scope", "images"),
		))
	}, NodeTimeout(patience))

	It("gives the exchanger the rights of the golden list and no others", func(ctx SpecContext) {
		got := rights(ctx, "exchequer-exchanger", system)
		const golden = "testdata/exchanger-rights.txt"
		if *update {
			Expect(os.WriteFile(golden, []byte(got), 0o600)).To(Succeed())
		}
		want, err := os.ReadFile(golden)
		Expect(err).NotTo(HaveOccurred())
		Expect(got).To(Equal(string(want)), "after a change that was meant: make e2e UPDATE=1")
		Expect(strings.TrimSpace(rights(ctx, "exchequer-exchanger", shop))).To(BeEmpty(), "in another namespace")
	})

	It("is upgraded to TLS, with the keys that it had", func(ctx SpecContext) {
		keys := jwks(ctx, "http")
		_, err := env.client.CoreV1().Secrets(system).Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "exchequer-tls"}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": env.identity.certificate, "tls.key": env.identity.tlsKey},
		}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		helm(ctx, append([]string{"upgrade", release, chart, "--wait", "--timeout", patience.String()}, values("tls.mode=Secret")...)...)
		Expect(jwks(ctx, "https")).To(MatchJSON(keys))
		inForce(ctx)
	}, NodeTimeout(2*patience))

	It("has a target that verifies what it got with the keys of the public listener", func(ctx SpecContext) {
		// The Service has just got another port and protocol: 3 means, try again.
		Eventually(func() int32 { return verify(ctx, first).Code }, patience).ShouldNot(BeEquivalentTo(3))
		Expect(verify(ctx, first)).To(HaveField("Code", BeZero()), "a token of before the upgrade")
		got := exchange(ctx, "frontend", "", "--scope", "images")
		Expect(got).To(HaveField("Code", BeZero()))
		Expect(verify(ctx, strings.TrimSpace(got.Out))).To(HaveField("Code", BeZero()))
		other := strings.TrimSpace(got.Out)
		Expect(verify(ctx, other[:len(other)-8]+"AAAAAAAA")).To(HaveField("Code", BeEquivalentTo(1)), "a signature that is not ours")
	}, NodeTimeout(patience))

	It("exchanges a person's login, and only for what that person has", func(ctx SpecContext) {
		kubectl(ctx, "create", "serviceaccount", "--namespace", shop, "app")
		apply(ctx, "testdata/corp.yaml", "${KEYS}", env.identity.keys())
		inForce(ctx)

		login := env.identity.login("alice", "images contacts", "staff")
		got := exchange(ctx, "app", login, "--scope", "images")
		Expect(got).To(HaveField("Code", BeZero()))
		Expect(verified(strings.TrimSpace(got.Out), jwks(ctx, "https"))).To(SatisfyAll(
			HaveKeyWithValue("sub", "corp:alice"), HaveKeyWithValue("scope", "images"), HaveKeyWithValue("client_id", "shop/app"),
		))
		for why, refused := range map[string]outcome{
			"a scope that no policy grants": exchange(ctx, "app", login, "--scope", "contacts"),
			"a person who is not staff":     exchange(ctx, "app", env.identity.login("bob", "images"), "--scope", "images"),
			"a stolen login":                exchange(ctx, "frontend", login, "--scope", "images"),
		} {
			Expect(refused).To(HaveField("Code", BeEquivalentTo(1)), why)
		}
	}, NodeTimeout(patience))

	It("fails no request while replicas are replaced, upgraded and rolled back", func(ctx SpecContext) {
		during := func(what string, change func()) {
			GinkgoHelper()
			l := startLoad(ctx)
			change()
			for _, deployment := range []string{"exchequer-exchanger", "exchequer-controller"} {
				kubectl(ctx, "rollout", "status", "--namespace", system, "--timeout", patience.String(), "deployment/"+deployment)
			}
			served, failed := l.end()
			GinkgoWriter.Printf("%s: %d requests served, %d failed\n", what, served, len(failed))
			Expect(failed).To(BeEmpty(), what)
			Expect(served).To(BeNumerically(">", 50), what)
		}
		during("a rolling restart", func() {
			kubectl(ctx, "rollout", "restart", "--namespace", system, "deployment/exchequer-exchanger", "deployment/exchequer-controller")
		})
		during("an upgrade", func() {
			helm(ctx, append([]string{"upgrade", release, chart}, values("tls.mode=Secret", "exchanger.podAnnotations.e2e=upgraded")...)...)
		})
		during("a rollback", func() { helm(ctx, "rollback", release) })
	}, NodeTimeout(3*patience))

	It("keeps the token endpoint off the public listener", func(ctx SpecContext) {
		got := exchange(ctx, "frontend", "", "--scope", "images", "--endpoint", "https://"+public+"/token")
		Expect(got.Code).NotTo(BeZero())
	}, NodeTimeout(patience))

	if breakable() {
		It("serves on without the API server, also from a container that was killed", func(ctx SpecContext) { withoutAPIServer(ctx) }, NodeTimeout(2*patience))
	}

	It("ends what a deleted policy allowed", func(ctx SpecContext) {
		kubectl(ctx, "delete", "exchangepolicy", "--namespace", media, "frontend-gets-images")
		Eventually(func() int32 { return exchange(ctx, "frontend", "", "--scope", "images").Code }, patience, "1s").Should(BeEquivalentTo(1))
	}, NodeTimeout(patience))

	It("leaves nothing but CRDs, key Secrets and what others wrote when it is uninstalled", func(ctx SpecContext) {
		helm(ctx, "uninstall", release, "--wait", "--timeout", patience.String())
		ours := func() []string {
			var names []string
			for _, name := range left(ctx) {
				if !written(name) {
					names = append(names, name)
				}
			}
			return names
		}
		Eventually(ours, time.Minute, time.Second).Should(Equal([]string{
			"CustomResourceDefinition clientscopes.exchequer.dev",
			"CustomResourceDefinition exchangeclients.exchequer.dev",
			"CustomResourceDefinition exchangepolicies.exchequer.dev",
			"CustomResourceDefinition exchangerreplicas.exchequer.dev",
			"CustomResourceDefinition externaltargets.exchequer.dev",
			"CustomResourceDefinition impersonationgrants.exchequer.dev",
			"CustomResourceDefinition tokenrevocations.exchequer.dev",
			"CustomResourceDefinition tokenservices.exchequer.dev",
			"CustomResourceDefinition trustedissuers.exchequer.dev",
			"Secret exchequer-system/exchequer-keys",
		}))
	}, NodeTimeout(patience+time.Minute))
})

// written are the objects that this suite wrote, and not the installation.
func written(name string) bool {
	kind, object, _ := strings.Cut(name, " ")
	switch {
	case kind == "Namespace", strings.HasPrefix(object, shop+"/"), strings.HasPrefix(object, media+"/"):
		return true
	case kind == "TokenService", kind == "TrustedIssuer", name == "Secret "+system+"/exchequer-tls":
		return true
	default:
		return strings.HasPrefix(kind, "APIService") && strings.HasSuffix(name, ".exchequer.dev")
	}
}

// jwks is what the public listener serves, asked through the API server.
func jwks(ctx context.Context, scheme string) string {
	GinkgoHelper()
	var out []byte
	Eventually(func() (err error) {
		out, err = env.client.CoreV1().Services(system).ProxyGet(scheme, "exchequer-public", scheme, "/jwks", nil).DoRaw(ctx)
		return err
	}, "1m", "500ms").WithContext(ctx).Should(Succeed())
	return string(out)
}

// tokenIn finds the token in what `exchequer exchange -o json` printed.
func tokenIn(out string) string {
	GinkgoHelper()
	_, rest, found := strings.Cut(out, `"access_token": "`)
	Expect(found).To(BeTrue(), out)
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

// cleanUp leaves the cluster as it was found, whatever came before.
func cleanUp(ctx SpecContext) {
	_, _ = try(ctx, "", "helm", "uninstall", release, "--namespace", system, "--wait", "--timeout", "1m")
	for _, name := range left(ctx) {
		if crd, found := strings.CutPrefix(name, "CustomResourceDefinition "); found && strings.HasSuffix(crd, ".exchequer.dev") {
			kubectl(ctx, "delete", "customresourcedefinition", crd, "--timeout=60s")
		}
	}
	for _, namespace := range []string{shop, media, system} {
		err := env.client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
		if !apierrors.IsNotFound(err) {
			Expect(err).NotTo(HaveOccurred())
		}
	}
	for _, namespace := range []string{shop, media, system} {
		kubectl(ctx, "wait", "--for=delete", "--timeout=90s", "namespace/"+namespace)
	}
}
