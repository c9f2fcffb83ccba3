// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// breakable says that the cluster is one of hack/cluster, whose parts can be
// stopped and whose pods can be reached from here without the API server.
func breakable() bool { return os.Getenv("E2E_CLUSTER") == "hack/cluster" }

// script runs one of the scripts of hack/cluster.
func script(ctx context.Context, name string, args ...string) {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, filepath.Join("../../hack/cluster", name), args...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
}

// directly is a client for one replica at its own address.
func directly(address string) func(context.Context, url.Values) error {
	GinkgoHelper()
	roots := x509.NewCertPool()
	Expect(roots.AppendCertsFromPEM(env.identity.authority)).To(BeTrue())
	client := &http.Client{
		Timeout: 5 * time.Second,
		// Every request dials: a connection of before says nothing about now.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: service, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true},
	}
	return func(ctx context.Context, form url.Values) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+net.JoinHostPort(address, "8080")+"/token", strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		request.Host = service
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("expected 200, found %s", answer.Status)
		}
		return errors.Join(err, answer.Body.Close())
	}
}

// serving are the replicas that are ready and not about to end.
func serving(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	pods, err := env.client.CoreV1().Pods(system).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=exchanger"})
	Expect(err).NotTo(HaveOccurred())
	ready := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
		return p.DeletionTimestamp != nil || len(p.Status.ContainerStatuses) == 0 || !p.Status.ContainerStatuses[0].Ready
	})
	Expect(ready).To(HaveLen(2))
	return ready
}

// withoutAPIServer ends the API server, then the container of a replica: the
// kubelet starts it again, and its checkpoint is all that it has.
func withoutAPIServer(ctx context.Context) {
	GinkgoHelper()
	replicas := serving(ctx)
	form := request(ctx)
	victim := replicas[0]
	_, container, _ := strings.Cut(victim.Status.ContainerStatuses[0].ContainerID, "://")
	restarts := victim.Status.ContainerStatuses[0].RestartCount

	script(ctx, "component.sh", "kill", "kube-apiserver")
	DeferCleanup(func(ctx SpecContext) {
		script(ctx, "component.sh", "start", "kube-apiserver")
		Eventually(func() error { _, err := env.discovery.ServerVersion(); return err }, patience, "500ms").WithContext(ctx).Should(Succeed())
	})
	for _, replica := range replicas {
		ask := directly(replica.Status.PodIP)
		for range 20 {
			Expect(ask(ctx, form)).To(Succeed(), "replica %s without the API server", replica.Name)
		}
	}

	script(ctx, "inside.sh", "ctr", "-a", "/run/containerd/containerd.sock", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", container)
	ask, killed := directly(victim.Status.PodIP), time.Now()
	Eventually(ask, "10s", "20ms").WithContext(ctx).WithArguments(form).ShouldNot(Succeed(), "the container was killed")
	Eventually(ask, "90s", "100ms").WithContext(ctx).WithArguments(form).Should(Succeed(), "the container that was started again, without the API server")
	GinkgoWriter.Printf("a killed container served again after %s, without the API server\n", time.Since(killed).Round(100*time.Millisecond))

	script(ctx, "component.sh", "start", "kube-apiserver")
	Eventually(func(g Gomega) {
		again, err := env.client.CoreV1().Pods(system).Get(ctx, victim.Name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again.Status.ContainerStatuses[0].RestartCount).To(BeNumerically(">", restarts))
		g.Expect(again.Status.ContainerStatuses[0].Ready).To(BeTrue())
	}, patience, "500ms").WithContext(ctx).Should(Succeed())
}
