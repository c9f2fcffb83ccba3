// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Admin is a configuration that may do everything.
func (p *Plane) Admin() *rest.Config { return rest.CopyConfig(p.admin) }

// Client is a typed client that may do everything.
func (p *Plane) Client(t testing.TB) kubernetes.Interface {
	t.Helper()
	return clientFor(t, p.admin)
}

func clientFor(t testing.TB, config *rest.Config) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// User is the configuration of a user with a certificate, who may do what RBAC
// grants that name and those groups.
func (p *Plane) User(t testing.TB, name string, groups ...string) *rest.Config {
	t.Helper()
	p.users.Lock() // envtest counts serial numbers without a lock
	defer p.users.Unlock()
	user, err := p.environment.AddUser(envtest.User{Name: name, Groups: groups}, rest.CopyConfig(p.admin))
	if err != nil {
		t.Fatalf("adding user %s: %v", name, err)
	}
	return user.Config()
}

// Namespace makes a namespace that no other test uses. It stays: there is no
// controller that could end it.
func (p *Plane) Namespace(t testing.TB) string {
	t.Helper()
	made, err := p.Client(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("making a namespace: %v", err)
	}
	return made.Name
}

// ServiceAccount is the configuration of a ServiceAccount, made if need be, with
// a token that the API server signed.
func (p *Plane) ServiceAccount(t testing.TB, namespace, name string) *rest.Config {
	t.Helper()
	config := rest.AnonymousClientConfig(p.admin)
	config.QPS, config.Burst = p.admin.QPS, p.admin.Burst
	config.BearerToken = p.Token(t, namespace, name)
	return config
}

// Token is a token of a ServiceAccount, made if need be, for the given
// audiences or, without any, for the API server.
func (p *Plane) Token(t testing.TB, namespace, name string, audiences ...string) string {
	t.Helper()
	accounts := p.Client(t).CoreV1().ServiceAccounts(namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("making ServiceAccount %s/%s: %v", namespace, name, err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	granted, err := accounts.CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("asking for a token of ServiceAccount %s/%s: %v", namespace, name, err)
	}
	return granted.Status.Token
}

// AuditLog is the file that [WithAudit] fills, one JSON event a line.
func (p *Plane) AuditLog() string { return filepath.Join(p.dir, "audit.log") }

// StopAPIServer ends the API server; etcd keeps what it holds. Only for a
// control plane of the test's own.
func (p *Plane) StopAPIServer(t testing.TB) {
	t.Helper()
	if p == shared.plane {
		t.Fatal("other tests use this API server: take one of your own with cluster.Start")
	}
	if err := p.environment.ControlPlane.GetAPIServer().Stop(); err != nil {
		t.Fatalf("stopping the API server: %v", err)
	}
}

// StartAPIServer starts it again, at the same address, with the same
// certificates and keys: configurations and tokens from before are good.
func (p *Plane) StartAPIServer(t testing.TB) {
	t.Helper()
	if err := p.environment.ControlPlane.GetAPIServer().Start(); err != nil {
		t.Fatalf("starting the API server again: %v", err)
	}
}

// KubeConfig is a file with which kubectl and helm may do everything.
func (p *Plane) KubeConfig(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, p.environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Kubectl runs the pinned kubectl as the administrator and returns what it
// printed to both outputs, and whether it failed.
func (p *Plane) Kubectl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(Assets(t), "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+p.KubeConfig(t))
	out, err := command.CombinedOutput()
	return string(out), err
}
