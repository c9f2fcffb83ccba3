// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/exchequer-dev/exchequer/test/ports"
)

// adminToken is good for this API server alone, which ends with the test.
const adminToken = "rig-admin"

// Plane is etcd and kube-apiserver as processes on ports and folders that stay
// the same when they are started again.
type Plane struct {
	dir      string
	etcdPort int
	port     int

	etcd, server *Process
}

// StartPlane runs the programs of a folder (kube-apiserver, etcd) with all they
// keep in another one. With sync, etcd waits for the disk as in production.
func StartPlane(ctx context.Context, programs, dir string, sync bool) (*Plane, error) {
	p := &Plane{dir: dir}
	if err := p.prepare(programs, sync); err != nil {
		return nil, err
	}
	if err := errors.Join(p.etcd.Start(), p.server.Start()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.ready(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Plane) prepare(programs string, sync bool) error {
	var chosen [3]int
	for i := range chosen {
		port, err := ports.Free()
		if err != nil {
			return err
		}
		chosen[i] = port
	}
	p.etcdPort, p.port = chosen[0], chosen[2]
	key, err := p.writeFiles()
	if err != nil {
		return err
	}
	client, peer := p.EtcdURL(), fmt.Sprintf("http://127.0.0.1:%d", chosen[1])
	p.etcd = &Process{name: "etcd", path: filepath.Join(programs, "etcd"), log: filepath.Join(p.dir, "etcd.log"), args: []string{
		"--data-dir", p.etcdData(), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
		fmt.Sprintf("--unsafe-no-fsync=%t", !sync), "--log-level=error",
	}}
	p.server = &Process{name: "kube-apiserver", path: filepath.Join(programs, "kube-apiserver"), log: filepath.Join(p.dir, "apiserver.log"), args: []string{
		"--etcd-servers", client, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", p.port), "--cert-dir", p.dir,
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC", "--allow-privileged",
		"--token-auth-file", filepath.Join(p.dir, "tokens.csv"),
		"--service-account-issuer=https://kubernetes.rig.test", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		// Nobody makes the default ServiceAccounts, nor a node's Lease.
		"--disable-admission-plugins=ServiceAccount", "--profiling=false", "--shutdown-delay-duration=0s",
	}}
	return nil
}

func (p *Plane) writeFiles() (serviceAccountKey string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return "", err
	}
	path := filepath.Join(p.dir, "service-accounts.pem")
	return path, errors.Join(
		os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(p.dir, "tokens.csv"), []byte(adminToken+",rig,rig,system:masters\n"), 0o600),
	)
}

func (p *Plane) etcdData() string { return filepath.Join(p.dir, "etcd") }

// EtcdURL is where etcd listens, over http.
func (p *Plane) EtcdURL() string { return fmt.Sprintf("http://127.0.0.1:%d", p.etcdPort) }

// Address is the host and port of the API server.
func (p *Plane) Address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// Authority is the PEM of the certificate that the API server shows.
func (p *Plane) Authority() ([]byte, error) {
	return os.ReadFile(filepath.Join(p.dir, "apiserver.crt"))
}

// Admin is a configuration that may do everything, without a limit of its own.
func (p *Plane) Admin() (*rest.Config, error) {
	ca, err := p.Authority()
	if err != nil {
		return nil, err
	}
	return &rest.Config{Host: "https://" + p.Address(), BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{CAData: ca}, QPS: -1}, nil
}

func (p *Plane) ready(ctx context.Context) error {
	return Until(ctx, "the API server is ready (its log: "+p.server.log+")", func(ctx context.Context) error {
		for _, each := range []*Process{p.etcd, p.server} {
			if !each.Running() {
				return fmt.Errorf("%s ended: %s", each.name, tail(each.Log()))
			}
		}
		config, err := p.Admin()
		if err != nil {
			return err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		_, err = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	})
}

// KillServer ends the API server as a crash does; etcd keeps what it holds.
func (p *Plane) KillServer() error { return p.server.Kill() }

// StartServer starts it again, at the same address and with the same keys.
func (p *Plane) StartServer(ctx context.Context) error {
	if err := p.server.Start(); err != nil {
		return err
	}
	return p.ready(ctx)
}

// Freeze stops the API server between two instructions: connections stay open
// and nothing is answered.
func (p *Plane) Freeze() error { return p.server.halt() }

// Thaw lets it go on.
func (p *Plane) Thaw() error { return p.server.Signal(syscall.SIGCONT) }

// Keep copies what etcd holds now under a name.
func (p *Plane) Keep(name string) error {
	// A process that is stopped writes nothing: what is copied is what a crash
	// would leave, which etcd promises to start from.
	if err := p.etcd.halt(); err != nil {
		return err
	}
	return errors.Join(copyTree(p.etcdData(), filepath.Join(p.dir, "kept-"+name)), p.etcd.Signal(syscall.SIGCONT))
}

// Restore puts back what was kept and starts etcd and the API server from it, as
// somebody does who restores a backup and nothing else.
func (p *Plane) Restore(ctx context.Context, name string) error {
	err := errors.Join(p.server.Kill(), p.etcd.Kill(), copyTree(filepath.Join(p.dir, "kept-"+name), p.etcdData()))
	if err != nil {
		return err
	}
	if err := p.etcd.Start(); err != nil {
		return err
	}
	return p.StartServer(ctx)
}

// Close ends both.
func (p *Plane) Close() error {
	var errs []error
	for _, each := range []*Process{p.server, p.etcd} {
		if each != nil {
			errs = append(errs, each.Kill())
		}
	}
	return errors.Join(errs...)
}

// tail is the end of a text, enough to see an error in it.
func tail(text string) string { return text[max(0, len(text)-2000):] }
