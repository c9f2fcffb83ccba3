// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/exchequer-dev/exchequer/test/cluster"
)

// The names that the chart, docs/examples/cluster and testdata agree on.
const (
	system   = "exchequer-system"
	release  = "exchequer"
	shop     = "shop"
	media    = "media"
	issuer   = "https://sts.example.com"
	service  = "exchequer.exchequer-system.svc"
	public   = "exchequer-public.exchequer-system.svc"
	corp     = "https://login.corp.example"
	chart    = "../../charts/exchequer"
	examples = "../../docs/examples/cluster"
	// whereIs is the image that the examples run.
	whereIs = "exchequer.local/exchequer:dev"
)

// patience bounds everything that a cluster does at its own pace: pods that
// start, a rollout, an image that is pulled.
const patience = 3 * time.Minute

// env is what every spec uses; BeforeSuite fills it.
var env struct { //nolint:gochecknoglobals // one cluster, one suite
	programs   string
	kubeconfig string
	image, tag string
	config     *rest.Config
	client     kubernetes.Interface
	dynamic    dynamic.Interface
	discovery  discovery.DiscoveryInterface
	before     map[string]bool
	identity   *identity
	// verified is the digest of the image's configuration where somebody has verified
	// its signature; empty where that is not known.
	verified string
}

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	env.programs = cluster.Assets(t)
	RunSpecs(t, "Exchequer on a cluster")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	env.kubeconfig = os.Getenv("KUBECONFIG")
	Expect(env.kubeconfig).NotTo(BeEmpty(), "set KUBECONFIG to the cluster to install on, or run: make e2e")
	image := os.Getenv("E2E_IMAGE")
	env.image, env.tag = image[:max(0, strings.LastIndex(image, ":"))], image[strings.LastIndex(image, ":")+1:]
	Expect(env.image).NotTo(BeEmpty(), "set E2E_IMAGE to NAME:TAG of an image that the cluster has or can pull, or run: make e2e")

	env.verified = os.Getenv("E2E_VERIFIED")

	var err error
	env.config, err = clientcmd.BuildConfigFromFlags("", env.kubeconfig)
	Expect(err).NotTo(HaveOccurred())
	env.config.QPS, env.config.Burst = 200, 400
	env.client = kubernetes.NewForConfigOrDie(env.config)
	env.dynamic = dynamic.NewForConfigOrDie(env.config)
	env.discovery = env.client.Discovery()
	env.identity = newIdentity()

	out, err := try(ctx, "", "helm", "status", release, "--namespace", system)
	Expect(err).To(HaveOccurred(), "this cluster has a release %s in %s, and this suite would uninstall it:\n%s", release, system, out)
	for _, namespace := range []string{shop, media, system} {
		_, err := env.client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "namespace %s: expected none, this suite makes and deletes it", namespace)
	}
	env.before = everything(ctx)
})

// try runs a program of the pinned versions on the suite's cluster and returns
// what it printed.
func try(ctx context.Context, stdin, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(env.programs, program), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+env.kubeconfig)
	command.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

func kubectl(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := try(ctx, "", "kubectl", args...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

func helm(ctx context.Context, args ...string) string {
	GinkgoHelper()
	out, err := try(ctx, "", "helm", append(args, "--namespace", system)...)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// apply applies manifests as a careful pipeline does, server-side and with
// unknown fields refused, and waits until those of our kinds are in force.
func apply(ctx context.Context, file string, replace ...string) {
	GinkgoHelper()
	text, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	manifests := strings.NewReplacer(append(replace, whereIs, env.image+":"+env.tag)...).Replace(string(text))
	_, err = try(ctx, manifests, "kubectl", "apply", "--server-side", "--validate=strict", "-f", "-")
	Expect(err).NotTo(HaveOccurred())
}

// inForce is the gate of a pipeline: valid, resolved, and in force on every
// replica.
func inForce(ctx context.Context) {
	GinkgoHelper()
	for _, kind := range []string{"tokenservices", "trustedissuers", "exchangeclients", "clientscopes", "exchangepolicies"} {
		kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=90s", "--all", "--all-namespaces", kind)
	}
}

// values are what this suite sets in the chart.
func values(more ...string) []string {
	set := []string{
		"image.repository=" + env.image, "image.tag=" + env.tag,
	}
	var args []string
	for _, v := range append(set, more...) {
		args = append(args, "--set", v)
	}
	return args
}

// What went on in the cluster belongs to the report of a spec that failed.
var _ = JustAfterEach(func(ctx SpecContext) {
	if !CurrentSpecReport().Failed() {
		return
	}
	for _, args := range [][]string{
		{"get", "pods,services,endpointslices", "-n", system, "-o", "wide"},
		{"get", "exchequer", "-A"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"logs", "-n", system, "--tail=60", "--prefix", "-l", "app.kubernetes.io/component=controller"},
		{"logs", "-n", system, "--tail=40", "--prefix", "-l", "app.kubernetes.io/component=exchanger"},
	} {
		out, err := try(ctx, "", "kubectl", args...)
		if err != nil {
			out = err.Error()
		}
		GinkgoWriter.Printf("\n$ kubectl %s\n%s\n", strings.Join(args, " "), out)
	}
})
