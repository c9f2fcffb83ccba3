// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(plane.Main(m)) }

// account is the exchanger's ServiceAccount, whose Role is the one that is shipped.
const account = "exchequer-exchanger"

// operator is what the controllers do, by hand: a namespace with published Secrets.
type operator struct {
	t         *testing.T
	plane     *plane.Plane
	client    kubernetes.Interface
	namespace string
	current   *wire.Pointer
	shelf     *shelf
	ring      *keys.Ring
}

func newOperator(t *testing.T, p *plane.Plane) *operator {
	t.Helper()
	s := &shelf{documents: map[string][]byte{}}
	o := &operator{t: t, plane: p, client: p.Client(t), namespace: p.Namespace(t), shelf: s, ring: keys.Open(s)}
	o.grant(func(*rbacv1.Role) {})
	o.secret(wire.CredentialsName, nil)
	return o
}

// shelf is a store of key documents in memory.
type shelf struct{ documents map[string][]byte }

func (s *shelf) Save(service string, _ int64, document []byte) error {
	s.documents[service] = document
	return nil
}

func (s *shelf) Load(service string) ([]byte, error) { return s.documents[service], nil }

// grant gives the exchanger's account the Role that config/rbac ships, changed.
func (o *operator) grant(change func(*rbacv1.Role)) {
	o.t.Helper()
	b, err := os.ReadFile("../../../config/rbac/exchanger.yaml")
	if err != nil {
		o.t.Fatal(err)
	}
	role := &rbacv1.Role{}
	for document := range strings.SplitSeq(string(b), "\n---\n") {
		if strings.Contains(document, "\nkind: Role\n") || strings.HasPrefix(document, "kind: Role\n") {
			if err := yaml.UnmarshalStrict([]byte(document), role); err != nil {
				o.t.Fatal(err)
			}
		}
	}
	if len(role.Rules) == 0 {
		o.t.Fatal("config/rbac/exchanger.yaml has no Role")
	}
	role.Namespace = o.namespace
	change(role)
	roles := o.client.RbacV1().Roles(o.namespace)
	if _, err := roles.Create(o.t.Context(), role, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		_, err = roles.Update(o.t.Context(), role, metav1.UpdateOptions{})
		if err != nil {
			o.t.Fatal(err)
		}
		return
	} else if err != nil {
		o.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: o.namespace, Name: account}},
	}
	if _, err := o.client.RbacV1().RoleBindings(o.namespace).Create(o.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		o.t.Fatal(err)
	}
}

// secret writes a Secret as a whole.
func (o *operator) secret(name string, data map[string][]byte) {
	o.t.Helper()
	secrets := o.client.CoreV1().Secrets(o.namespace)
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	_, err := secrets.Update(o.t.Context(), s, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(o.t.Context(), s, metav1.CreateOptions{})
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// publish publishes a Spec under the next revision, its keys first.
func (o *operator) publish(spec *policy.Spec) wire.Pointer {
	o.t.Helper()
	revision := uint64(1)
	if o.current != nil {
		revision = o.current.Revision + 1
	}
	return o.publishAs(spec, revision)
}

func (o *operator) publishAs(spec *policy.Spec, revision uint64) wire.Pointer {
	o.t.Helper()
	o.storeKeys(spec)
	plan := o.slots(spec, revision)
	o.secret(wire.PointerName, map[string][]byte{wire.PointerKey: plan.Pointer.Marshal(), wire.HeartbeatKey: []byte("2026-01-02T03:04:05Z")})
	o.current = &plan.Pointer
	return plan.Pointer
}

// slots writes the chunks and not the pointer.
func (o *operator) slots(spec *policy.Spec, revision uint64) wire.Plan {
	o.t.Helper()
	plan, err := wire.Encode(spec, revision, o.current)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, c := range plan.Write {
		o.secret(c.Name, map[string][]byte{wire.ChunkKey: c.Data})
	}
	return plan
}

func (o *operator) storeKeys(spec *policy.Spec) {
	o.t.Helper()
	data := map[string][]byte{"README": []byte("no keys")}
	for _, s := range spec.Services {
		plan := keys.Plan{Algorithm: s.Algorithm, Retain: s.MaxLifetime, Rotation: keys.Rotation{Period: s.Rotation.Period, PrePublish: s.Rotation.PrePublish}}
		if err := o.ring.Ensure(s.Name, plan, time.Now()); err != nil {
			o.t.Fatal(err)
		}
		data[s.Name+".json"] = o.shelf.documents[s.Name]
	}
	o.secret(wire.KeysName, data)
}

// acknowledged is the ExchangerReplica of a Pod; nil when there is none.
func (o *operator) acknowledged(pod string) *v1alpha1.ExchangerReplica {
	c, err := dynamic.NewForConfig(o.plane.Admin())
	if err != nil {
		o.t.Fatal(err)
	}
	u, err := c.Resource(v1alpha1.GroupVersion.WithResource("exchangerreplicas")).Namespace(o.namespace).Get(context.Background(), pod, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	b, err := json.Marshal(u)
	if err != nil {
		o.t.Fatal(err)
	}
	r := &v1alpha1.ExchangerReplica{}
	if err := json.Unmarshal(b, r); err != nil {
		o.t.Fatal(err)
	}
	return r
}

// world is a Spec with token services of these names and n scopes.
func world(n int, services ...string) *policy.Spec {
	spec := &policy.Spec{Format: policy.Format}
	for _, name := range services {
		spec.Services = append(spec.Services, policy.Service{
			Name: name, Issuer: "https://" + name + ".example", Algorithm: "ES256", MaxLifetime: time.Hour,
			Rotation: policy.Rotation{Period: 720 * time.Hour, PrePublish: time.Hour},
		})
	}
	for i := range n {
		spec.Scopes = append(spec.Scopes, policy.Scope{
			Namespace: "shop", Name: fmt.Sprintf("s%05d", i), Scope: fmt.Sprintf("s%05d", i), TokenService: services[0],
			Claims: []policy.Claim{{Name: "c", Expression: "'" + strings.Repeat("x", 500) + "'"}},
		})
	}
	return spec
}

// replica is a feed that runs, and what it did.
type replica struct {
	*Feed
	t    *testing.T
	o    *operator
	ring *keys.Ring
	log  *records
	stop func()

	mu       sync.Mutex
	applied  []uint64
	digest   string
	refusing bool
	compiler compiler
}

// fast are times for tests that do not wait for anything to run out.
func fast() times {
	return times{confirm: 300 * time.Millisecond, retry: 100 * time.Millisecond, start: 2 * time.Second, request: time.Second}
}

type option func(*replica, *Options, *rest.Config)

func checkpointIn(dir string) option {
	return func(_ *replica, o *Options, _ *rest.Config) { o.Checkpoint = dir }
}

func timed(t times) option { return func(r *replica, _ *Options, _ *rest.Config) { r.times = t } }

func through(transport func(http.RoundTripper) http.RoundTripper) option {
	return func(_ *replica, _ *Options, c *rest.Config) { c.Wrap(transport) }
}

func at(host string) option { return func(_ *replica, _ *Options, c *rest.Config) { c.Host = host } }

// start runs a replica as the exchanger's ServiceAccount.
func (o *operator) start(pod string, options ...option) *replica {
	o.t.Helper()
	return o.startAs(o.plane.ServiceAccount(o.t, o.namespace, account), pod, options...)
}

func (o *operator) startAs(config *rest.Config, pod string, options ...option) *replica {
	o.t.Helper()
	r := &replica{t: o.t, o: o, ring: keys.NewFollower(), log: &records{}}
	r.compiler.Compiler = expr.New()
	r.Feed = &Feed{times: fast()}
	opts := Options{
		Namespace: o.namespace, Pod: pod, PodUID: "uid-of-" + pod, Compiler: &r.compiler, Keys: r.ring, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Apply:   r.apply,
		Refused: func(yes bool) { r.mu.Lock(); r.refusing = yes; r.mu.Unlock() },
	}
	for _, option := range options {
		option(r, &opts, config)
	}
	t := r.times
	f, err := New(config, opts)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Feed, f.times = f, t
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("Run ended with %v", err)
		}
		if o.t.Failed() {
			o.t.Logf("the log of %s:\n%s", pod, r.log)
		}
	})
	o.t.Cleanup(r.stop)
	return r
}

func (r *replica) apply(spec *policy.Spec, s *policy.Snapshot, _ time.Duration) error {
	r.mu.Lock()
	r.applied, r.digest = append(r.applied, s.Revision()), s.Digest()
	r.mu.Unlock()
	var errs []error
	for _, service := range spec.Services {
		if _, ok := r.ring.Active(service.Name); !ok {
			errs = append(errs, errors.New("no key of "+service.Name))
		}
	}
	return errors.Join(errs...)
}

func (r *replica) revisions() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.applied)
}

func (r *replica) serves() (uint64, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.applied) == 0 {
		return 0, ""
	}
	return r.applied[len(r.applied)-1], r.digest
}

// patience is for what happens by itself, on a busy machine.
const patience = 30 * time.Second

func eventually(t *testing.T, f func(g gomega.Gomega)) {
	t.Helper()
	gomega.NewWithT(t).Eventually(f).WithTimeout(patience).WithPolling(20 * time.Millisecond).Should(gomega.Succeed())
}

// mustServe waits for a revision to be in force.
func (r *replica) mustServe(p wire.Pointer) {
	r.t.Helper()
	eventually(r.t, func(g gomega.Gomega) {
		revision, digest := r.serves()
		g.Expect(revision).To(gomega.Equal(p.Revision))
		g.Expect(digest).To(gomega.Equal(p.Digest))
	})
}

// mustAcknowledge waits for a revision to be acknowledged.
func (r *replica) mustAcknowledge(p wire.Pointer) {
	r.t.Helper()
	eventually(r.t, func(g gomega.Gomega) {
		a := r.o.acknowledged(r.Feed.o.Pod)
		g.Expect(a).NotTo(gomega.BeNil())
		g.Expect(a.Spec.Revision).To(gomega.Equal(int64(p.Revision)))
		g.Expect(a.Spec.Digest).To(gomega.Equal(p.Digest))
	})
}

// mustRefuse waits for a refusal to be acknowledged.
func (r *replica) mustRefuse(revision uint64, reason string) {
	r.t.Helper()
	eventually(r.t, func(g gomega.Gomega) {
		a := r.o.acknowledged(r.Feed.o.Pod)
		g.Expect(a).NotTo(gomega.BeNil())
		g.Expect(a.Spec.Refused).NotTo(gomega.BeNil())
		g.Expect(a.Spec.Refused.Reason).To(gomega.Equal(reason))
		g.Expect(a.Spec.Refused.Revision).To(gomega.Equal(int64(revision)))
		r.mu.Lock()
		g.Expect(r.refusing).To(gomega.BeTrue())
		r.mu.Unlock()
	})
}

// mustConfirm waits until the API server has confirmed what is served after now.
func (r *replica) mustConfirm() {
	r.t.Helper()
	now := time.Now()
	eventually(r.t, func(g gomega.Gomega) { g.Expect(r.Confirmed()).To(gomega.BeTemporally(">", now)) })
}

// compiler panics or fails when it is told to.
type compiler struct {
	policy.Compiler
	mu    sync.Mutex
	panic bool
	err   error
}

func (c *compiler) set(panics bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panic, c.err = panics, err
}

func (c *compiler) Compile(e policy.Environment, want policy.ResultType, text string) (policy.Program, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.panic:
		panic("the secret of " + text)
	case c.err != nil:
		return nil, c.err
	}
	return c.Compiler.Compile(e, want, text)
}

// records is a log in memory.
type records struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// roundTrip is an http.RoundTripper of one function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
