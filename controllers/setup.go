// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers/gather"
)

// Process are the choices that are about the process, not about what it does.
type Process struct {
	// OpsListen is where /livez, /readyz and /metrics are served; empty: nowhere.
	OpsListen string
	// LeaderElect lets one of several controllers work at a time.
	LeaderElect bool
	// Lease is how long nobody else may begin after the leader was last heard of;
	// default 15 s. The leader stops when it cannot renew it for two thirds of that.
	Lease time.Duration
	// Metrics are registered here, if anywhere.
	Metrics prometheus.Registerer
	Logger  logr.Logger
}

// New returns a manager that runs the operator.
func New(config *rest.Config, o Options, p Process) (manager.Manager, *Operator, error) {
	o = o.orDefaults()
	health := &gather.Health{}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, nil, fmt.Errorf("put the scheme together: %w", err)
		}
	}
	// Requests are bounded where they are made: few by their nature, statuses by a
	// rate of their own. A bound here would hold a revocation up behind statuses.
	config = rest.CopyConfig(config)
	config.QPS = -1
	mgr, err := manager.New(config, manager.Options{
		Scheme: scheme, Logger: p.Logger, Cache: cacheOptions(&o, health),
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}}},
		Metrics: metricsserver.Options{BindAddress: orNone(p.OpsListen), ExtraHandlers: map[string]http.Handler{
			"/livez": http.HandlerFunc(alive), "/readyz": ready(health),
		}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make the manager: %w", err)
	}
	op, err := add(mgr, config, o, p, health)
	return mgr, op, err
}

func orNone(address string) string {
	if address == "" {
		return "0"
	}
	return address
}

// cacheOptions keep in memory what is read again and again, and no more of it.
func cacheOptions(o *Options, health *gather.Health) cache.Options {
	own := map[string]cache.Config{o.Namespace: {}}
	return cache.Options{
		DefaultTransform: gather.Slim,
		NewInformer:      health.NewInformer,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:                       {Namespaces: own, Label: o.Replicas},
			gather.New(gather.ExchangerReplica): {Namespaces: own},
		},
	}
}

func alive(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

// ready says that everything that is listed was listed.
func ready(health *gather.Health) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if health.Problem() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

// add puts the operator and the controllers of every kind into a manager.
func add(mgr manager.Manager, config *rest.Config, o Options, p Process, health *gather.Health) (*Operator, error) {
	meta, err := metadata.NewForConfigAndClient(config, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("make a client of metadata: %w", err)
	}
	api, err := client.New(config, client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	m := newMetrics(p.Metrics)
	op := newOperator(o, mgr.GetCache(), api, meta, health, m)
	op.config = config
	if p.LeaderElect {
		op.lease = cmp.Or(p.Lease, leaseLasts)
		if op.lock, err = newLock(config, o.Namespace, renewed(op.lease)); err != nil {
			return nil, err
		}
	}
	if err := op.listen(mgr.GetCache()); err != nil {
		return nil, err
	}
	limit := rate.NewLimiter(statusWrites, statusBurst)
	op.events = &announcer{mgr.GetEventRecorder(FieldOwner)}
	op.writers = map[string]*statuses{}
	for _, kind := range gather.Kinds() {
		s := &statuses{
			kind: kind, cache: mgr.GetCache(), client: api, book: &op.book, rate: limit, metrics: m, events: op.events,
			attachedTo: op.Spoken, idle: op.idle,
			now: func() metav1.Time { return metav1.NewTime(op.options.Now()) },
		}
		op.writers[kind] = s
		if err := s.add(mgr); err != nil {
			return nil, err
		}
	}
	return op, mgr.Add(op)
}

// add makes the kind's controller. What it has to do is put into its queue by the
// operator, which alone knows when everything that an object hangs on was looked at.
func (s *statuses) add(mgr manager.Manager) error {
	every := true
	c, err := controller.New(s.kind, mgr, controller.Options{
		Reconciler: s, MaxConcurrentReconciles: statusWorkers, SkipNameValidation: &every,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](50*time.Millisecond, time.Minute),
	})
	if err != nil {
		return fmt.Errorf("make the controller of %s: %w", s.kind, err)
	}
	return c.Watch(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		s.attach(q)
		return nil
	}))
}

// listen asks for a run whenever something that counts has changed.
func (op *Operator) listen(c cache.Cache) error {
	watch := func(o client.Object, h toolscache.ResourceEventHandler) error {
		informer, err := c.GetInformer(context.Background(), o, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watch %s: %w", o.GetObjectKind().GroupVersionKind().Kind, err)
		}
		_, err = informer.AddEventHandler(h)
		return err
	}
	changed := onChange(func(metav1.Object) { op.Changed() })
	for _, kind := range gather.Kinds() {
		if err := watch(gather.New(kind), changed); err != nil {
			return err
		}
	}
	spoken := onChange(func(metav1.Object) { op.Spoken() })
	for _, each := range []struct {
		object  client.Object
		handler toolscache.ResourceEventHandler
	}{
		{gather.Metadata(gather.NamespaceGVK()), changed},
		{gather.New(gather.ExchangerReplica), spoken},
		{&corev1.Pod{}, onEvery(func(metav1.Object) { op.Spoken() })},
	} {
		if err := watch(each.object, each.handler); err != nil {
			return err
		}
	}
	return nil
}
