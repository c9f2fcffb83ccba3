// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/test/ports"
)

// CRDs is the resource of the kinds.
func CRDs() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// AdmissionBindings is the resource that puts admission policies in force.
func AdmissionBindings() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
}

// Controller is a controller process.
type Controller struct {
	*Process
	// Proxy is its way to the API server.
	Proxy *Proxy
	// Ops is the address of its probes and metrics.
	Ops string
}

// ProcessOptions change how a controller or an exchanger runs.
type ProcessOptions struct {
	// Programs are what it runs instead of the cluster's.
	Programs *Programs
	// Flags are further flags.
	Flags []string
	// Env is added to its environment.
	Env []string
	// Gate is an HTTP proxy before the API server, see Gate; default none.
	Gate *Gate
	// Store is where an exchanger keeps one-time state; default none.
	Store string
}

// NewController prepares a controller with its own Pod and way to the API
// server. Start starts it.
func (c *Cluster) NewController(ctx context.Context, name string, o ProcessOptions) (*Controller, error) {
	pod, err := c.makePod(ctx, name, "controller", "")
	if err != nil {
		return nil, err
	}
	config, proxy, err := c.way(ctx, name, "controller", pod.UID, o)
	if err != nil {
		return nil, err
	}
	ops, err := ports.Free()
	if err != nil {
		return nil, err
	}
	p := c.programs(o)
	ctl := &Controller{Proxy: proxy, Ops: fmt.Sprintf("127.0.0.1:%d", ops)}
	ctl.Process = &Process{
		name: name, path: p.Controller, log: filepath.Join(c.dir, name+".log"), env: o.Env,
		args: append([]string{"--kubeconfig", config, "--namespace", Namespace, "--ops-listen", ctl.Ops}, o.Flags...),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = append(c.others, ctl)
	return ctl, nil
}

func (c *Cluster) programs(o ProcessOptions) Programs {
	if o.Programs != nil {
		return *o.Programs
	}
	return c.Programs
}

func (ctl *Controller) close() error {
	err := ctl.Kill()
	ctl.Proxy.Close()
	return err
}

// way is a kubeconfig for a Pod's process, through a proxy of its own.
func (c *Cluster) way(ctx context.Context, name, component string, pod types.UID, o ProcessOptions) (string, *Proxy, error) {
	target, authority := c.Plane.Address(), []byte(nil)
	if o.Gate != nil {
		target, authority = o.Gate.Address(), o.Gate.Authority()
	}
	proxy, err := NewProxy(target)
	if err != nil {
		return "", nil, err
	}
	seconds := int64(tokenLife.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: pod},
	}}
	granted, err := c.Client.CoreV1().ServiceAccounts(Namespace).CreateToken(ctx, "exchequer-"+component, request, metav1.CreateOptions{})
	if err != nil {
		return "", nil, err
	}
	config, err := c.kubeconfig(name, proxy.Address(), granted.Status.Token, authority)
	return config, proxy, err
}

// makePod makes the object that a Deployment would make. Its label says where it keeps
// one-time state: the controller names the only one that keeps it in memory.
func (c *Cluster) makePod(ctx context.Context, name, component, store string) (*corev1.Pod, error) {
	labels := map[string]string{
		"app.kubernetes.io/name": "exchequer", "app.kubernetes.io/component": component, "app.kubernetes.io/part-of": "exchequer",
	}
	if store != "" {
		labels["exchequer.dev/store"] = store
	}
	return c.Client.CoreV1().Pods(Namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			NodeName: "rig", ServiceAccountName: "exchequer-" + component,
			Containers: []corev1.Container{{Name: component, Image: "exchequer.local/exchequer:rig"}},
		},
	}, metav1.CreateOptions{})
}

// Replica is an exchanger process and its Pod.
type Replica struct {
	*Process
	// Name is the Pod's.
	Name string
	// Proxy is its way to the API server.
	Proxy *Proxy
	// Address is its token endpoint's, Ops that of its probes and metrics.
	Address, Ops string
	// Checkpoint is the folder that survives a container.
	Checkpoint string

	cluster *Cluster
	uid     types.UID
	ready   atomic.Bool
	leaving atomic.Bool
	gone    atomic.Bool
	starts  atomic.Int64
	stop    context.CancelFunc
	group   sync.WaitGroup
}

// NewReplica makes a Pod and prepares its process. Start starts it; from then on
// the Pod's condition follows the process's /readyz.
func (c *Cluster) NewReplica(ctx context.Context, name string, o ProcessOptions) (*Replica, error) {
	pod, err := c.makePod(ctx, name, "exchanger", o.Store)
	if err != nil {
		return nil, err
	}
	config, proxy, err := c.way(ctx, name, "exchanger", pod.UID, o)
	if err != nil {
		return nil, err
	}
	listen, err := ports.Free()
	if err != nil {
		return nil, err
	}
	ops, err := ports.Free()
	if err != nil {
		return nil, err
	}
	r := &Replica{
		Name: name, Proxy: proxy, Address: fmt.Sprintf("127.0.0.1:%d", listen), Ops: fmt.Sprintf("127.0.0.1:%d", ops),
		Checkpoint: filepath.Join(c.dir, name+"-checkpoint"), cluster: c, uid: pod.UID,
	}
	r.Process = &Process{
		name: name, path: c.programs(o).Exchanger, log: filepath.Join(c.dir, name+".log"), env: o.Env,
		args: append([]string{
			"--kubeconfig", config, "--namespace", Namespace, "--pod-name", name, "--pod-uid", string(pod.UID),
			"--listen", r.Address, "--ops-listen", r.Ops, "--checkpoint", r.Checkpoint, "--store", cmp.Or(o.Store, "none"),
			"--audit", filepath.Join(c.dir, name+"-audit.jsonl"),
		}, o.Flags...),
	}
	probing, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.group.Go(func() { r.probe(probing) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replicas = append(c.replicas, r)
	return r, nil
}

// Start starts its container. What was known of the one before says nothing.
func (r *Replica) Start() error {
	r.starts.Add(1)
	r.ready.Store(false)
	return r.Process.Start()
}

// Ready says what the front believes of it.
func (r *Replica) Ready() bool { return r.ready.Load() && !r.leaving.Load() && !r.gone.Load() }

// AwaitReady waits until it is.
func (r *Replica) AwaitReady(ctx context.Context) error {
	return Until(ctx, r.Name+" is ready", func(context.Context) error {
		if !r.Running() {
			return fmt.Errorf("it does not run; it said: %s", tail(r.Log()))
		}
		if !r.Ready() {
			return fmt.Errorf("it is not; it said: %s", tail(r.Log()))
		}
		return nil
	})
}

// probe is the kubelet: it asks for readiness and tells the API server.
func (r *Replica) probe(ctx context.Context) {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	told, known := false, false
	for {
		start := r.starts.Load()
		ready := r.Running() && status(ctx, client, "http://"+r.Ops+"/readyz") == http.StatusOK
		if ready = ready && start == r.starts.Load(); start == r.starts.Load() {
			r.ready.Store(ready)
		}
		if !known || told != ready {
			if r.tell(ctx, ready) == nil {
				told, known = ready, true
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Replica) tell(ctx context.Context, ready bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status := "False"
	if ready {
		status = "True"
	}
	patch := fmt.Sprintf(`{"status":{"phase":"Running","conditions":[{"type":"Ready","status":%q}]}}`, status)
	_, err := r.cluster.Client.CoreV1().Pods(Namespace).Patch(ctx, r.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func status(ctx context.Context, client *http.Client, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode
}

// heard is how long it takes until the front hears that a Pod is terminating.
const heard = 300 * time.Millisecond

// Remove deletes the Pod as a rollout does: it is terminating, the process gets
// SIGTERM, and when it has ended the object is gone. It returns the exit code.
func (r *Replica) Remove(ctx context.Context) (int, error) {
	pods := r.cluster.Client.CoreV1().Pods(Namespace)
	grace := int64(30)
	if err := pods.Delete(ctx, r.Name, metav1.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
		return 0, err
	}
	// It leaves the endpoints because it is terminating, whatever its probes say.
	front := time.AfterFunc(heard, func() { r.leaving.Store(true) })
	defer front.Stop()
	code, err := r.Terminate()
	r.gone.Store(true)
	none := int64(0)
	err = errors.Join(err, pods.Delete(ctx, r.Name, metav1.DeleteOptions{GracePeriodSeconds: &none}))
	// The garbage collector would: the Pod owns it.
	gone := r.cluster.Dynamic.Resource(Kind("exchangerreplicas")).Namespace(Namespace).Delete(ctx, r.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(gone) {
		gone = nil
	}
	return code, errors.Join(err, gone, r.close())
}

func (r *Replica) close() error {
	r.stop()
	r.group.Wait()
	r.ready.Store(false)
	err := r.Kill()
	r.Proxy.Close()
	return err
}

// Serving are the addresses of the replicas that are Ready: what a Service
// would send requests to.
func (c *Cluster) Serving() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, r := range c.replicas {
		if r.Ready() {
			all = append(all, r.Address)
		}
	}
	return all
}

// Metric reads a metric without labels, or the sum over its labels, from an ops
// address.
func Metric(ctx context.Context, ops, name string) (float64, error) {
	text, err := Get(ctx, "http://"+ops+"/metrics")
	if err != nil {
		return 0, err
	}
	sum, found := 0.0, false
	for line := range strings.Lines(text) {
		metric, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if i := strings.LastIndex(line, "} "); i >= 0 {
			metric, value, ok = line[:i+1], strings.TrimSpace(line[i+2:]), true
		}
		metric, _, _ = strings.Cut(metric, "{")
		if !ok || metric != name {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(value, &v); err != nil {
			return 0, err
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", ops, name)
	}
	return sum, nil
}

// Get reads a document of at most 16 MiB.
func Get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(b), err
}

// Replicas are all that were made and not removed.
func (c *Cluster) Replicas() []*Replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.replicas), func(r *Replica) bool { return r.gone.Load() })
}

// Controllers are all that were made.
func (c *Cluster) Controllers() []*Controller {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.others)
}
