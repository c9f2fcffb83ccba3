// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Where pods find what they are given.
const (
	inputs       = "/run/inputs/"
	projected    = "/run/token/token"
	authorityPEM = inputs + "ca.crt"
)

// outcome is what a pod's program printed, and its exit code.
type outcome struct {
	Out  string
	Code int32
}

// workload runs the CLI in a pod, as a team would: restricted, without a token
// for the API server, with a projected one for the token service. Files come
// from a Secret made for it.
func workload(ctx context.Context, namespace, account string, files map[string]string, args ...string) outcome {
	GinkgoHelper()
	files["ca.crt"] = string(env.identity.authority)
	secret, err := env.client.CoreV1().Secrets(namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "inputs-"}, StringData: files,
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	pods := env.client.CoreV1().Pods(namespace)
	pod, err := pods.Create(ctx, podOf(namespace, account, secret.Name, args), metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	defer func() {
		Expect(pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})).To(Succeed())
		Expect(env.client.CoreV1().Secrets(namespace).Delete(ctx, secret.Name, metav1.DeleteOptions{})).To(Succeed())
	}()
	Eventually(func(g Gomega) {
		pod, err = pods.Get(ctx, pod.Name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pod.Status.Phase).To(BeElementOf(corev1.PodSucceeded, corev1.PodFailed), "%+v", pod.Status.ContainerStatuses)
	}, patience, "200ms").WithContext(ctx).Should(Succeed())
	logs, err := pods.GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	code := pod.Status.ContainerStatuses[0].State.Terminated.ExitCode
	if code != 0 {
		GinkgoWriter.Printf("%s: exit code %d\n%s\n", strings.Join(args, " "), code, logs)
	}
	return outcome{string(logs), code}
}

func podOf(namespace, account, secret string, args []string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: account + "-"},
		Spec: corev1.PodSpec{
			ServiceAccountName:           account,
			AutomountServiceAccountToken: ptr.To(false),
			RestartPolicy:                corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65532), FSGroup: ptr.To[int64](65532),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "cli", Image: env.image + ":" + env.tag, ImagePullPolicy: corev1.PullIfNotPresent,
				Command: append([]string{"/usr/local/bin/exchequer"}, args...),
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "token", MountPath: "/run/token", ReadOnly: true},
					{Name: "inputs", MountPath: inputs, ReadOnly: true},
				},
			}},
			Volumes: []corev1.Volume{
				{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{
					ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: issuer, ExpirationSeconds: ptr.To[int64](600)},
				}}}}},
				{Name: "inputs", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}},
			},
		},
	}
}

// exchange has the pod of a ServiceAccount exchange a token for the images;
// without a login, its own projected token is the subject as well.
func exchange(ctx context.Context, account, login string, more ...string) outcome {
	GinkgoHelper()
	files := map[string]string{}
	subject := []string{"--subject-token-file", projected, "--subject-token-type", "jwt"}
	if login != "" {
		files["login.jwt"] = login
		subject = []string{"--subject-token-file", inputs + "login.jwt"}
	}
	args := []string{
		"exchange", "--endpoint", "https://" + service + "/token", "--ca-file", authorityPEM,
		"--assertion-file", projected, "--audience", media + "/images-resource", "-o", "token",
	}
	return workload(ctx, shop, account, files, append(append(args, subject...), more...)...)
}

// verify has a target's pod check a token with the keys of the public listener.
func verify(ctx context.Context, token string) outcome {
	GinkgoHelper()
	return workload(ctx, media, "default", map[string]string{"token.jwt": token},
		"token", "verify", inputs+"token.jwt", "--issuer", issuer, "--jwks", "https://"+public+"/jwks", "--ca-file", authorityPEM,
		"--audience", media+"/images-resource", "--typ", "at+jwt")
}
