// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/controllers"
	"github.com/exchequer-dev/exchequer/controllers/gather"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	"github.com/exchequer-dev/exchequer/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// The one API server of the specs, which run one after the other, since
// cluster-scoped objects are everybody's.
var ( //nolint:gochecknoglobals // a suite has no other place
	plane *cluster.Plane
	api   client.Client
	suite *testing.T
)

func TestControllers(t *testing.T) { //nolint:paralleltest // one API server, one state
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute) // two busy cores, under the race detector
	SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	suite = t
	RunSpecs(t, "The operator, with a real API server")
}

var _ = BeforeSuite(func() {
	plane = cluster.Shared(suite)
	api = newClient(plane.Admin())
})

func newClient(config *rest.Config) client.Client {
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
	return c
}

var replicaLabels = map[string]string{"app.kubernetes.io/name": "exchequer", "app.kubernetes.io/component": "exchanger"} //nolint:gochecknoglobals // a constant

// world is the surroundings of one spec.
type world struct {
	namespace string
	stops     []func()
}

// newWorld makes an operator's namespace. What the spec leaves of our kinds is
// deleted after it.
func newWorld() *world {
	w := &world{namespace: plane.Namespace(suite)}
	DeferCleanup(func(ctx context.Context) {
		for _, stop := range w.stops {
			stop()
		}
		for _, kind := range gather.Kinds() {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(gather.GVK(kind + "List"))
			Expect(api.List(ctx, list)).To(Succeed())
			for i := range list.Items {
				Expect(client.IgnoreNotFound(api.Delete(ctx, &list.Items[i]))).To(Succeed())
			}
		}
	})
	return w
}

// tenant makes another namespace.
func (w *world) tenant() string { return plane.Namespace(suite) }

// run starts a controller and returns what stops it.
func (w *world) run(change ...func(*controllers.Options, *controllers.Process, *rest.Config)) (*controllers.Operator, func()) {
	selector := labels.SelectorFromSet(replicaLabels)
	o := controllers.Options{Namespace: w.namespace, Replicas: selector, Log: slog.New(slog.NewTextHandler(GinkgoWriter, nil))}
	p := controllers.Process{Logger: logr.FromSlogHandler(slog.NewTextHandler(GinkgoWriter, nil))}
	config := plane.Admin()
	for _, f := range change {
		f(&o, &p, config)
	}
	mgr, op, err := controllers.New(config, o, p)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		Eventually(done).WithTimeout(time.Minute).Should(Receive(BeNil()))
	}
	w.stops = append(w.stops, stop)
	return op, stop
}

// apply applies YAML documents as kubectl does with --server-side.
func apply(ctx context.Context, documents string) {
	GinkgoHelper()
	for _, doc := range split(documents) {
		u := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(doc), &u.Object)).To(Succeed(), doc)
		Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("test"), client.ForceOwnership)).To(Succeed(), doc)
	}
}

// pointer reads what is published; nil when nothing is.
func (w *world) pointer(ctx context.Context) *wire.Pointer {
	var s corev1.Secret
	if err := api.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: wire.PointerName}, &s); err != nil {
		return nil
	}
	p, err := wire.ParsePointer(s.Data[wire.PointerKey])
	if err != nil {
		return nil
	}
	return &p
}

// mustPointer reads what is published, and waits for it if need be.
func (w *world) mustPointer(ctx context.Context) *wire.Pointer {
	GinkgoHelper()
	var p *wire.Pointer
	Eventually(func() *wire.Pointer { p = w.pointer(ctx); return p }).ShouldNot(BeNil(), "nothing is published")
	return p
}

// mustSpec reads what is published now.
func (w *world) mustSpec(ctx context.Context) *policy.Spec {
	GinkgoHelper()
	var s *policy.Spec
	Eventually(func() (err error) { s, err = w.spec(ctx); return err }).Should(Succeed())
	return s
}

// revision is the number of what is published; 0 while nothing is.
func (w *world) revision(ctx context.Context) func() uint64 {
	return func() uint64 {
		if p := w.pointer(ctx); p != nil {
			return p.Revision
		}
		return 0
	}
}

// digest is what is published, in one word; empty while nothing is.
func (w *world) digest(ctx context.Context) func() string {
	return func() string {
		if p := w.pointer(ctx); p != nil {
			return p.Digest
		}
		return ""
	}
}

// spec reads what is published, as an exchanger would. It may move on meanwhile, so
// that an error means to look again.
func (w *world) spec(ctx context.Context) (*policy.Spec, error) {
	p := w.pointer(ctx)
	if p == nil {
		return nil, fmt.Errorf("nothing is published")
	}
	return wire.Decode(*p, func(name string) ([]byte, error) {
		var s corev1.Secret
		err := api.Get(ctx, types.NamespacedName{Namespace: w.namespace, Name: name}, &s)
		return s.Data[wire.ChunkKey], err
	})
}

// policies are the names of the published policies; nil when the snapshot is not
// whole.
func (w *world) policies(ctx context.Context) func() []string {
	return func() []string {
		s, err := w.spec(ctx)
		if err != nil {
			return nil
		}
		out := []string{}
		for i := range s.Policies {
			out = append(out, s.Policies[i].Namespace+"/"+s.Policies[i].Name)
		}
		return out
	}
}

// condition is the text "Status/Reason" of one condition of a stored object, with a
// note when it is not of its generation.
func condition(ctx context.Context, kind, namespace, name, which string) func() string {
	return func() string {
		u := gather.New(kind)
		if err := api.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, u); err != nil {
			return err.Error()
		}
		list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, item := range list {
			c, _ := item.(map[string]any)
			if c["type"] != which {
				continue
			}
			text := fmt.Sprintf("%v/%v", c["status"], c["reason"])
			if c["observedGeneration"] != u.GetGeneration() {
				text += " of an older generation"
			}
			return text
		}
		return "no condition"
	}
}

// replica makes a Pod of the exchanger that is ready.
func (w *world) replica(ctx context.Context, name string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: replicaLabels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "exchanger", Image: "exchequer.local/exchequer:test"}}},
	}
	Expect(api.Create(ctx, pod)).To(Succeed())
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	Expect(api.Status().Update(ctx, pod)).To(Succeed())
	return pod
}

// acknowledge writes a replica's ExchangerReplica.
func (w *world) acknowledge(ctx context.Context, pod *corev1.Pod, revision, refused uint64) {
	r := gather.New(gather.ExchangerReplica)
	r.SetNamespace(w.namespace)
	r.SetName(pod.Name)
	r.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}})
	spec := map[string]any{"revision": int64(revision), "readsFormats": []any{int64(1)}}
	if refused > 0 {
		spec["refused"] = map[string]any{"revision": int64(refused), "reason": "Older"}
	}
	r.Object["spec"] = spec
	Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(r), client.FieldOwner("replica"), client.ForceOwnership)).To(Succeed())
}
