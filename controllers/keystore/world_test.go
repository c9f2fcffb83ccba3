// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package keystore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

const namespace = "exchequer-system"

var start = time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)

// world is an API server in memory with the TokenServices that are in it.
type world struct {
	client client.Client
	mu     sync.Mutex
	now    time.Time
	// write, when set, stands before every write of the keys' Secret, and may fail it.
	write func() error
	// read, when set, stands before every read of a Secret.
	read func() error
}

// failer is what tests and properties have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func newWorld(tb failer) *world {
	tb.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	w := &world{now: start}
	before := func(hook func() error) error {
		if hook == nil {
			return nil
		}
		return hook()
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if err := before(w.read); err != nil {
				return err
			}
			return c.Get(ctx, key, o, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if o.GetName() == wire.KeysName {
				if err := before(w.write); err != nil {
					return err
				}
			}
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			if o.GetName() == wire.KeysName {
				if err := before(w.write); err != nil {
					return err
				}
			}
			return c.Update(ctx, o, options...)
		},
	}).Build()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) manager() *Manager {
	return NewManager(Options{Client: w.client, Namespace: namespace, Now: w.clock})
}

// put creates or replaces an object.
func (w *world) put(tb testing.TB, o client.Object) {
	tb.Helper()
	_ = w.client.Delete(tb.Context(), o)
	o.SetResourceVersion("")
	if err := w.client.Create(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) secret(tb testing.TB, name string, data map[string]string) {
	tb.Helper()
	w.put(tb, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: nil, Data: bytesOf(data)})
}

func bytesOf(m map[string]string) map[string][]byte {
	out := map[string][]byte{}
	for k, v := range m {
		out[k] = []byte(v)
	}
	return out
}

// keys is the Secret with the keys, nil when there is none.
func (w *world) keys(tb testing.TB) *corev1.Secret {
	tb.Helper()
	var s corev1.Secret
	if err := w.client.Get(tb.Context(), client.ObjectKey{Namespace: namespace, Name: wire.KeysName}, &s); err != nil {
		return nil
	}
	return &s
}

// spoil alters the Secret with the keys by hand.
func (w *world) spoil(tb testing.TB, change func(data map[string][]byte)) {
	tb.Helper()
	s := w.keys(tb)
	change(s.Data)
	if err := w.client.Update(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
}

// service is a TokenService with what translation makes of it.
type service struct {
	object v1alpha1.TokenService
	spec   policy.Service
}

func newService(name string, change ...func(*service)) service {
	s := service{
		object: v1alpha1.TokenService{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "1"}},
		spec: policy.Service{
			Name: name, Algorithm: jose.ES256, MaxLifetime: time.Hour,
			Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
		},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func (w *world) ensure(tb testing.TB, m *Manager, services ...service) error {
	tb.Helper()
	var objects []v1alpha1.TokenService
	spec := &policy.Spec{}
	for _, s := range services {
		objects = append(objects, s.object)
		spec.Services = append(spec.Services, s.spec)
		o := s.object
		w.put(tb, &o)
	}
	var there v1alpha1.TokenServiceList
	if err := w.client.List(tb.Context(), &there); err != nil {
		tb.Fatal(err)
	}
	for i := range there.Items {
		if !slices.ContainsFunc(services, func(s service) bool { return s.object.Name == there.Items[i].Name }) {
			_ = w.client.Delete(tb.Context(), &there.Items[i])
		}
	}
	return m.Ensure(tb.Context(), objects, spec)
}

func (w *world) mustEnsure(tb testing.TB, m *Manager, services ...service) {
	tb.Helper()
	if err := w.ensure(tb, m, services...); err != nil {
		tb.Fatal(err)
	}
}

func current(tb testing.TB, m *Manager, service string) *keys.Current {
	tb.Helper()
	c, ok := m.Ring().Current(service)
	if !ok {
		tb.Fatalf("TokenService %s has no keys", service)
	}
	return c
}

func states(c *keys.Current) map[keys.State]int {
	out := map[keys.State]int{}
	for _, s := range c.Slots {
		out[s.State]++
	}
	return out
}

func condition(tb testing.TB, m *Manager, service string) metav1.Condition {
	tb.Helper()
	c, ok := m.Condition(service, 7)
	if !ok {
		tb.Fatalf("nothing is known about TokenService %s", service)
	}
	return c
}

func names(m map[string][]byte) []string { return slices.Sorted(maps.Keys(m)) }

func specOf(services ...service) *policy.Spec {
	spec := &policy.Spec{}
	for _, s := range services {
		spec.Services = append(spec.Services, s.spec)
	}
	return spec
}
