// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
)

// tap is a transport that counts requests and can refuse some.
type tap struct {
	next   http.RoundTripper
	refuse atomic.Pointer[func(*http.Request) int]
	mu     sync.Mutex
	count  map[string]int
}

func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	if f := t.refuse.Load(); f != nil {
		if code := (*f)(r); code != 0 {
			return &http.Response{
				StatusCode: code, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody,
			}, nil
		}
	}
	t.mu.Lock()
	if t.count == nil {
		t.count = map[string]int{}
	}
	if r.Method != http.MethodGet {
		t.count[r.Method+" "+r.URL.Path]++
	}
	t.mu.Unlock()
	return t.next.RoundTrip(r)
}

func (t *tap) writes(path string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for request, count := range t.count {
		if strings.Contains(request, path) {
			n += count
		}
	}
	return n
}

// tapped lets a spec see and refuse the controller's requests.
func tapped(t *tap) func(*controllers.Options, *controllers.Process, *rest.Config) {
	return func(_ *controllers.Options, _ *controllers.Process, config *rest.Config) {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { t.next = next; return t })
	}
}

// measured gives the controller a registry of metrics.
func measured(r *prometheus.Registry) func(*controllers.Options, *controllers.Process, *rest.Config) {
	return func(_ *controllers.Options, p *controllers.Process, _ *rest.Config) { p.Metrics = r }
}

func gauge(r *prometheus.Registry, name string) func() float64 {
	return func() float64 {
		families, err := r.Gather()
		Expect(err).NotTo(HaveOccurred())
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		return -1
	}
}

func setSchema(ctx context.Context, revision string) {
	GinkgoHelper()
	Eventually(func() error { // the API server writes the status of a CRD
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(gather.CRDGVK())
		if err := api.Get(ctx, types.NamespacedName{Name: "exchangepolicies." + v1alpha1.Group}, crd); err != nil {
			return err
		}
		a := crd.GetAnnotations()
		a[v1alpha1.SchemaAnnotation] = revision
		crd.SetAnnotations(a)
		return api.Update(ctx, crd)
	}).Should(Succeed())
}

var _ = Describe("The operator", func() {
	It("F270: is not woken by what it writes itself", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		t := &tap{}
		op, _ := w.run(tapped(t))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("False/NoReplica"))
		By("coming to rest")
		Eventually(func(g Gomega) {
			before := op.Turns()
			g.Consistently(op.Turns).WithTimeout(400 * time.Millisecond).Should(Equal(before))
		}).Should(Succeed())
		turns, writes := op.Turns(), t.writes("/")
		By("one change")
		apply(ctx, strings.ReplaceAll(grant(shop, "staff"), "corp:staff", "corp:press"))
		Eventually(func() int64 {
			g, _ := nested(get(ctx, gather.ExchangePolicy, shop, "staff"), "observedGeneration").(int64)
			return g
		}).Should(BeEquivalentTo(2))
		Consistently(func() uint64 { return op.Turns() - turns }).WithTimeout(600 * time.Millisecond).Should(BeNumerically("<=", 3))
		// The chunk, the pointer, the policy's status and the TokenService's count.
		Expect(t.writes("/") - writes).To(BeNumerically("<=", 6))
	})

	It("F269: writes a status once, however often others write theirs", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		t := &tap{}
		w.run(tapped(t))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Ready")).Should(Equal("False/NoReplica"))
		before := t.writes("exchangepolicies/staff/status")
		for i := range 50 {
			writeStatus(ctx, get(ctx, gather.ExchangePolicy, shop, "staff"), map[string]any{"conditions": []any{map[string]any{
				"type": "Theirs", "status": "True", "reason": "Storm", "message": fmt.Sprint(i), "lastTransitionTime": "2026-01-01T00:00:00Z",
			}}})
		}
		Consistently(func() int { return t.writes("exchangepolicies/staff/status") - before }).WithTimeout(500 * time.Millisecond).Should(BeZero())
	})

	It("F277: two at once make one whole snapshot and one line of keys", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		w.run()
		for i := range 20 {
			apply(ctx, grant(shop, fmt.Sprintf("p%02d", i)))
		}
		Eventually(w.policies(ctx)).Should(HaveLen(21))
		Eventually(condition(ctx, gather.TokenService, "", "default", "KeysReady")).Should(Equal("True/KeysReady"))
		var s corev1.Secret
		Expect(api.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: wire.KeysName}, &s)).To(Succeed())
		Expect(strings.Count(string(s.Data["default.json"]), "privateKey")).To(Equal(1))
		keys, _ := nested(get(ctx, gather.TokenService, "", "default"), "keys").([]any)
		Expect(keys).To(HaveLen(1))
	})

	It("F331: goes on where a leader was that ended, and gives up its lease when it ends itself", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		elect := func(_ *controllers.Options, p *controllers.Process, _ *rest.Config) { p.LeaderElect = true }
		_, stop := w.run(elect)
		w.run(elect)
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		revision := w.mustPointer(ctx).Revision
		stop()
		apply(ctx, grant(shop, "second"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		Expect(w.mustPointer(ctx).Revision).To(Equal(revision + 1))
	})

	It("F324: waits for the API server when it has lost its lease, and works again when it has it", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		elect := func(_ *controllers.Options, p *controllers.Process, _ *rest.Config) {
			p.LeaderElect, p.Lease = true, 3*time.Second
		}
		t := &tap{}
		w.run(elect, tapped(t))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		By("the API server is away for the first one, and another takes over")
		away := func(*http.Request) int { return http.StatusServiceUnavailable }
		t.refuse.Store(&away)
		apply(ctx, grant(shop, "second"))
		_, stop := w.run(elect)
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		By("the API server is back; nobody works but the other one")
		t.refuse.Store(nil)
		writes := t.writes("secrets")
		apply(ctx, grant(shop, "third"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff", shop+"/third"))
		Expect(t.writes("secrets")).To(Equal(writes))
		Expect(t.writes("/status")).To(BeNumerically(">", 0))
		By("the other one ends, and the first goes on where that was")
		revision := w.mustPointer(ctx).Revision
		stop()
		apply(ctx, grant(shop, "fourth"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/fourth", shop+"/second", shop+"/staff", shop+"/third"))
		Expect(w.mustPointer(ctx).Revision).To(Equal(revision + 1))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "fourth", "Accepted")).Should(Equal("True/Accepted"))
	})

	It("F323: publishes nothing while a kind cannot be listed, says for how long, and goes on by itself", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		t, registry := &tap{}, prometheus.NewRegistry()
		refuse := func(r *http.Request) int {
			if strings.Contains(r.URL.Path, "trustedissuers") {
				return http.StatusForbidden
			}
			return 0
		}
		t.refuse.Store(&refuse)
		w.run(tapped(t), measured(registry))
		Eventually(gauge(registry, "exchequer_publish_blocked_seconds")).Should(BeNumerically(">", 0.05))
		By("F322: nor before everything was listed once")
		Expect(w.pointer(ctx)).To(BeNil())
		t.refuse.Store(nil)
		Eventually(w.policies(ctx)).WithTimeout(2 * time.Minute).Should(ConsistOf(shop + "/staff"))
		Eventually(gauge(registry, "exchequer_publish_blocked_seconds")).Should(BeZero())
	})

	It("publishes nothing under CRDs that are older than it is, and says so on every TokenService", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		DeferCleanup(func(ctx context.Context) { setSchema(ctx, fmt.Sprint(v1alpha1.SchemaRevision)) })
		setSchema(ctx, "0")
		apply(ctx, grant(shop, "second"))
		Eventually(condition(ctx, gather.TokenService, "", "default", "Programmed")).Should(Equal("False/CRDOutdated"))
		Expect(w.policies(ctx)()).To(ConsistOf(shop + "/staff"))
		setSchema(ctx, fmt.Sprint(v1alpha1.SchemaRevision))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		Eventually(condition(ctx, gather.TokenService, "", "default", "Programmed")).Should(Equal("False/NoReplica"))
	})

	It("F271: brings 5,000 policies that are touched at once into force in few publications", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		touch := func(field string) {
			group, ctx := errgroup.WithContext(ctx)
			group.SetLimit(16)
			for i := range 5000 {
				group.Go(func() error {
					u := &unstructured.Unstructured{}
					if err := yamlInto(grant(shop, fmt.Sprintf("p%04d", i))+field, u); err != nil {
						return err
					}
					return api.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test"), client.ForceOwnership)
				})
			}
			Expect(group.Wait()).To(Succeed())
		}
		touch("")
		w.run()
		Eventually(w.policies(ctx)).WithTimeout(3 * time.Minute).Should(HaveLen(5001))
		before := w.mustPointer(ctx).Revision
		start := time.Now()
		touch("  token: {lifetime: 90s}\n")
		took := time.Since(start)
		Eventually(func() int {
			s, err := w.spec(ctx)
			if err != nil {
				return 0
			}
			n := 0
			for i := range s.Policies {
				if s.Policies[i].Lifetime == 90*time.Second {
					n++
				}
			}
			return n
		}).WithTimeout(3 * time.Minute).Should(Equal(5000))
		// At most one publication in the debounce time of 40 ms, and far fewer.
		Expect(w.mustPointer(ctx).Revision - before).To(BeNumerically("<", 2+took/(40*time.Millisecond)))
		Expect(w.mustPointer(ctx).Revision - before).To(BeNumerically("<", 2500))
	})

	It("latches Programmed: a replica that comes or goes changes nothing about what was acknowledged", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		w.run()
		one := w.replica(ctx, "exchanger-1")
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		w.acknowledge(ctx, one, w.mustPointer(ctx).Revision, 0)
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "staff", "Programmed")).Should(Equal("True/Programmed"))
		version := get(ctx, gather.ExchangePolicy, shop, "staff").GetResourceVersion()
		w.replica(ctx, "exchanger-2") // has acknowledged nothing
		apply(ctx, grant(shop, "second"))
		Eventually(condition(ctx, gather.ExchangePolicy, shop, "second", "Programmed")).Should(Equal("False/Pending"))
		Expect(get(ctx, gather.ExchangePolicy, shop, "staff").GetResourceVersion()).To(Equal(version))
		By("F327: and a replica that knows of a newer revision moves the pointer beyond it")
		w.acknowledge(ctx, one, 812, 0)
		Eventually(w.revision(ctx)).Should(BeEquivalentTo(813))
	})

	It("F256, F272: takes an object that was stored before its rules, or cannot be read, out of the policy, and the others go on", func(ctx context.Context) {
		w := newWorld()
		shop := w.tenant()
		apply(ctx, everything(shop))
		// What no schema would admit today: the schema is taken away for a moment.
		withoutSchema(ctx, "exchangepolicies", func() {
			for name, spec := range map[string]any{
				"text":    "not an object",
				"numbers": map[string]any{"clients": int64(7)},
				"later":   map[string]any{"clients": []any{map[string]any{"name": "frontend"}}, "onlyOnSundays": true},
				"empty":   map[string]any{},
			} {
				u := gather.New(gather.ExchangePolicy)
				u.SetNamespace(shop)
				u.SetName(name)
				u.Object["spec"] = spec
				Eventually(func() error { return api.Create(ctx, u.DeepCopy()) }).Should(Succeed(), name)
			}
		})
		w.run()
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/staff"))
		By("F329: and a policy that is deleted beside them goes")
		apply(ctx, grant(shop, "second"))
		Eventually(w.policies(ctx)).Should(ConsistOf(shop+"/second", shop+"/staff"))
		remove(ctx, gather.ExchangePolicy, shop, "staff")
		Eventually(w.policies(ctx)).Should(ConsistOf(shop + "/second"))
	})
})

// withoutSchema lets any spec of a kind be stored while f runs.
func withoutSchema(ctx context.Context, plural string, f func()) {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	config := plane.Admin()
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	// set puts a schema in the place of another, which it returns.
	set := func(schema *apiextensionsv1.CustomResourceValidation) (before *apiextensionsv1.CustomResourceValidation) {
		Eventually(func() error { // the API server writes the status of a CRD
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := c.Get(ctx, types.NamespacedName{Name: plural + "." + v1alpha1.Group}, crd); err != nil {
				return err
			}
			before = crd.Spec.Versions[0].Schema
			crd.Spec.Versions[0].Schema = schema
			return c.Update(ctx, crd)
		}).Should(Succeed())
		return before
	}
	keep := true
	before := set(&apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}})
	defer set(before)
	f()
}
