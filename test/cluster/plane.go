// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/config/crd"
	"github.com/exchequer-dev/exchequer/test/ports"
)

// patience bounds the start and the stop of etcd and of the API server: 2 to 4
// seconds on an idle machine, more when several packages start theirs at once
// under the race detector.
const patience = 2 * time.Minute

// Option changes the control plane that is started.
type Option func(*options)

type options struct {
	audit    bool
	noCRDs   bool
	issuer   string
	argument map[string][]string
}

// WithAudit has every request to the API server written to the file that
// [Plane.AuditLog] names, without bodies.
func WithAudit() Option { return func(o *options) { o.audit = true } }

// WithoutCRDs starts the API server without our kinds.
func WithoutCRDs() Option { return func(o *options) { o.noCRDs = true } }

// WithIssuer sets the issuer of service-account tokens; without it, the API
// server's own address is the issuer.
func WithIssuer(url string) Option { return func(o *options) { o.issuer = url } }

// WithArgument sets a flag of kube-apiserver, without the leading dashes.
func WithArgument(name string, values ...string) Option {
	return func(o *options) { o.argument[name] = values }
}

// Plane is a running API server with its etcd.
type Plane struct {
	environment *envtest.Environment
	guard       *guard
	admin       *rest.Config
	dir         string
	users       sync.Mutex
}

// Start runs a control plane of this test's own and stops it when the test has
// ended.
func Start(t testing.TB, with ...Option) *Plane {
	t.Helper()
	plane, err := start(with...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	return plane
}

// shared is the one control plane of a package's tests.
var shared struct { //nolint:gochecknoglobals // one per test binary is the point
	mutex sync.Mutex
	with  []Option
	main  bool
	plane *Plane
	err   error
}

// Main runs the tests of a package, with [Shared] at their service, and returns
// the exit code.
func Main(m *testing.M, with ...Option) int {
	shared.main, shared.with = true, with
	code := m.Run()
	shared.mutex.Lock()
	defer shared.mutex.Unlock()
	if shared.plane == nil {
		return code
	}
	if err := shared.plane.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the control plane:", err)
		return max(code, 1)
	}
	return code
}

// Shared is the control plane that all tests of the package use. It starts with
// the first that asks, so that the others need not wait for one, and ends with
// [Main].
func Shared(t testing.TB) *Plane {
	t.Helper()
	shared.mutex.Lock()
	defer shared.mutex.Unlock()
	if !shared.main {
		t.Fatal("cluster.Shared needs `func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }`: nothing else would stop the API server")
	}
	if shared.plane == nil && shared.err == nil {
		shared.plane, shared.err = start(shared.with...)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.plane
}

// attempts is how often a control plane is started that does not come up: somebody
// else may have taken one of its ports meanwhile.
const attempts = 3

func start(with ...Option) (*Plane, error) {
	var errs []error
	for range attempts {
		began := time.Now()
		plane, err := startOnce(with...)
		if err == nil {
			return plane, nil
		}
		errs = append(errs, err)
		if time.Since(began) > patience {
			break // It is no port that is missing here.
		}
	}
	return nil, errors.Join(errs...)
}

func startOnce(with ...Option) (*Plane, error) {
	o := options{argument: map[string][]string{}}
	for _, change := range with {
		change(&o)
	}
	programs, err := assets()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "exchequer-plane-")
	if err != nil {
		return nil, err
	}
	plane := &Plane{dir: dir, environment: &envtest.Environment{
		BinaryAssetsDirectory:    programs,
		ControlPlaneStartTimeout: patience,
		ControlPlaneStopTimeout:  patience,
		CRDInstallOptions:        envtest.CRDInstallOptions{MaxTime: patience, PollInterval: 100 * time.Millisecond},
	}}
	if plane.guard, err = watch(dir, programs); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if !o.noCRDs {
		if plane.environment.CRDs, err = CRDs(); err != nil {
			return nil, errors.Join(err, plane.guard.end())
		}
	}
	if err := plane.configure(o); err != nil {
		return nil, errors.Join(err, plane.guard.end())
	}
	if plane.admin, err = plane.environment.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting kube-apiserver and etcd of %s: %w", programs, err), plane.stop())
	}
	return plane, nil
}

// configure sets the flags of the API server. Its folder is ours, so that it
// keeps its certificates and keys when a test stops and starts it.
func (p *Plane) configure(o options) error {
	server := p.environment.ControlPlane.GetAPIServer()
	server.Path = p.guard.program("kube-apiserver")
	server.CertDir = filepath.Join(p.dir, "apiserver-certs")
	etcd := &envtest.Etcd{Path: p.guard.program("etcd"), DataDir: filepath.Join(p.dir, "etcd-data")}
	p.environment.ControlPlane.Etcd = etcd
	for _, dir := range []string{server.CertDir, etcd.DataDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	// Of one's own choice: those that envtest suggests may be taken by somebody's
	// connection, above all while a test has stopped the API server.
	at := [2]string{}
	for i := range at {
		port, err := ports.Free()
		if err != nil {
			return err
		}
		at[i] = strconv.Itoa(port)
	}
	etcd.URL = &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", at[0])}
	server.SecureServing.Address, server.SecureServing.Port = "127.0.0.1", at[1]
	flags := server.Configure()
	if o.issuer != "" {
		flags.Set("service-account-issuer", o.issuer)
	}
	if o.audit {
		policy := filepath.Join(p.dir, "audit-policy.yaml")
		const everything = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
		if err := os.WriteFile(policy, []byte(everything), 0o600); err != nil {
			return err
		}
		flags.Set("audit-policy-file", policy)
		flags.Set("audit-log-path", p.AuditLog())
	}
	for name, values := range o.argument {
		flags.Set(name, values...)
	}
	return nil
}

func (p *Plane) stop() error {
	return errors.Join(p.environment.Stop(), p.guard.end())
}

// CRDs are the kinds of config/crd.
func CRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, name := range names {
		text, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, definition); err != nil {
			return nil, fmt.Errorf("config/crd/%s: %w", name, err)
		}
		all = append(all, definition)
	}
	return all, nil
}
