// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/exchequer-dev/exchequer/config/crd"
)

// Namespace is the operator's.
const Namespace = "exchequer-system"

// Options say what a cluster is made of.
type Options struct {
	// Assets is the folder with kube-apiserver and etcd.
	Assets string
	// Dir is where everything is kept; it must be empty.
	Dir string
	// Programs are what controllers and exchangers run, unless told otherwise.
	Programs Programs
	// Sync has etcd wait for the disk.
	Sync bool
}

// Cluster is an API server with the kinds, the operator's rights and its
// processes.
type Cluster struct {
	Plane    *Plane
	Programs Programs
	// Dynamic and Client go to the API server directly and may do everything.
	Dynamic dynamic.Interface
	Client  kubernetes.Interface
	// Words are filled in by ApplyYAML.
	Words map[string]string

	dir string

	mu       sync.Mutex
	replicas []*Replica
	others   []*Controller
	closers  []func()
}

// New starts the API server and installs what the chart installs before its
// Deployments: kinds, ServiceAccounts, rights.
func New(ctx context.Context, o Options) (*Cluster, error) {
	plane, err := StartPlane(ctx, o.Assets, o.Dir, o.Sync)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Plane: plane, Programs: o.Programs, Words: map[string]string{}, dir: o.Dir}
	if err := c.install(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) install(ctx context.Context) error {
	config, err := c.Plane.Admin()
	if err != nil {
		return err
	}
	if c.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return err
	}
	if c.Client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if err := c.installKinds(ctx); err != nil {
		return err
	}
	if err := c.Namespaces(ctx, Namespace); err != nil {
		return err
	}
	return c.installRights(ctx)
}

// installRights gives the processes what the chart gives them and no more.
func (c *Cluster) installRights(ctx context.Context) error {
	root, err := Repository()
	if err != nil {
		return err
	}
	for _, folder := range []string{"rbac", "admission"} {
		files, err := filepath.Glob(filepath.Join(root, "config", folder, "*.yaml"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			objects, err := Objects(string(text), nil)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if _, err := c.Apply(ctx, objects...); err != nil {
				return err
			}
		}
	}
	return nil
}

// Namespaces makes namespaces.
func (c *Cluster) Namespaces(ctx context.Context, names ...string) error {
	for _, name := range names {
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
		}}
		if _, err := c.Apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) installKinds(ctx context.Context) error {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := crd.Files.ReadFile(name)
		if err != nil {
			return err
		}
		objects, err := Objects(string(text), nil)
		if err != nil {
			return err
		}
		if _, err := c.Apply(ctx, objects...); err != nil {
			return err
		}
	}
	definitions := c.Dynamic.Resource(CRDs())
	return Until(ctx, "the kinds are served", func(ctx context.Context) error {
		list, err := definitions.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			o := &list.Items[i]
			if status, _, message := Condition(o, "Established"); status != "True" {
				return fmt.Errorf("%s is not established: %s", o.GetName(), message)
			}
			plural, _, _ := unstructured.NestedString(o.Object, "spec", "names", "plural")
			if _, err := c.Dynamic.Resource(Kind(plural)).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close ends every process and every proxy.
func (c *Cluster) Close() error {
	c.mu.Lock()
	replicas, others, closers := slices.Clone(c.replicas), slices.Clone(c.others), slices.Clone(c.closers)
	c.mu.Unlock()
	var errs []error
	for _, r := range replicas {
		errs = append(errs, r.close())
	}
	for _, o := range others {
		errs = append(errs, o.close())
	}
	for _, end := range closers {
		end()
	}
	return errors.Join(append(errs, c.Plane.Close())...)
}

// Logs are the ends of what every process printed, for a test that failed.
func (c *Cluster) Logs() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out string
	for _, o := range c.others {
		out += "== " + o.name + "\n" + tail(o.Log()) + "\n"
	}
	for _, r := range c.replicas {
		out += "== " + r.Name + "\n" + tail(r.Log()) + "\n"
	}
	return out
}

// kubeconfig writes a file with which a process reaches the API server through
// an address.
func (c *Cluster) kubeconfig(name, address, token string, authority []byte) (string, error) {
	if authority == nil {
		ca, err := c.Plane.Authority()
		if err != nil {
			return "", err
		}
		authority = ca
	}
	ca := filepath.Join(c.dir, name+"-ca.pem")
	path := filepath.Join(c.dir, name+".kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: rig, cluster: {server: "https://%s", certificate-authority: %q}}]
users: [{name: rig, user: {token: %q}}]
contexts: [{name: rig, context: {cluster: rig, user: rig, namespace: %s}}]
current-context: rig
`, address, ca, token, Namespace)
	return path, errors.Join(os.WriteFile(ca, authority, 0o600), os.WriteFile(path, []byte(text), 0o600))
}

// Kubeconfig is a file with which kubectl and exchequer may do everything.
func (c *Cluster) Kubeconfig() (string, error) {
	return c.kubeconfig("admin", c.Plane.Address(), adminToken, nil)
}

// Secret reads a Secret of the operator's namespace; nil when there is none.
func (c *Cluster) Secret(ctx context.Context, name string) (map[string][]byte, error) {
	s, err := c.Client.CoreV1().Secrets(Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.Data, nil
}

// tokenLife is longer than every test and bench.
const tokenLife = 4 * time.Hour
