// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/keys"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/wire"
	plane "github.com/exchequer-dev/exchequer/test/cluster"
)

// Account is the exchanger's ServiceAccount, whose Role is the one that is shipped.
const Account = "exchequer-exchanger"

// Operator is what the controllers do, by hand: a namespace with published Secrets.
type Operator struct {
	t testing.TB
	// Plane is the API server, Client one that may do everything.
	Plane  *plane.Plane
	Client kubernetes.Interface
	// Namespace is the operator's.
	Namespace string
	// Current is the pointer that was published last.
	Current *wire.Pointer
	// sole is the UID of the Pod that is named the only one.
	sole  string
	shelf *shelf
	ring  *keys.Ring
}

// New makes a namespace in which nothing is published yet.
func New(t testing.TB, p *plane.Plane) *Operator {
	t.Helper()
	s := &shelf{documents: map[string][]byte{}}
	o := &Operator{t: t, Plane: p, Client: p.Client(t), Namespace: p.Namespace(t), shelf: s, ring: keys.Open(s)}
	o.Grant(func(*rbacv1.Role) {})
	o.Secret(wire.CredentialsName, nil)
	return o
}

// shelf is a store of key documents in memory.
type shelf struct{ documents map[string][]byte }

func (s *shelf) Save(service string, _ int64, document []byte) error {
	s.documents[service] = document
	return nil
}

func (s *shelf) Load(service string) ([]byte, error) { return s.documents[service], nil }

// Grant gives the exchanger's account the Role that config/rbac ships, changed.
func (o *Operator) Grant(change func(*rbacv1.Role)) {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(root(o.t), "config", "rbac", "exchanger.yaml"))
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
	role.Namespace = o.Namespace
	change(role)
	roles := o.Client.RbacV1().Roles(o.Namespace)
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
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: o.Namespace, Name: Account}},
	}
	if _, err := o.Client.RbacV1().RoleBindings(o.Namespace).Create(o.t.Context(), binding, metav1.CreateOptions{}); err != nil {
		o.t.Fatal(err)
	}
}

// Secret writes a Secret as a whole.
func (o *Operator) Secret(name string, data map[string][]byte) {
	o.t.Helper()
	secrets := o.Client.CoreV1().Secrets(o.Namespace)
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	_, err := secrets.Update(o.t.Context(), s, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(o.t.Context(), s, metav1.CreateOptions{})
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// Publish publishes a Spec under the next revision, its keys first.
func (o *Operator) Publish(spec *policy.Spec) wire.Pointer {
	o.t.Helper()
	revision := uint64(1)
	if o.Current != nil {
		revision = o.Current.Revision + 1
	}
	return o.PublishAs(spec, revision)
}

// PublishAs publishes a Spec under that revision, its keys first.
func (o *Operator) PublishAs(spec *policy.Spec, revision uint64) wire.Pointer {
	o.t.Helper()
	o.storeKeys(spec)
	plan := o.Slots(spec, revision)
	o.Current = &plan.Pointer
	o.point()
	return plan.Pointer
}

// Appoint says which Pod is the only one; an empty UID is none.
func (o *Operator) Appoint(uid string) {
	o.t.Helper()
	o.sole = uid
	o.point()
}

func (o *Operator) point() {
	o.t.Helper()
	o.Secret(wire.PointerName, map[string][]byte{
		wire.PointerKey: o.Current.Marshal(), wire.HeartbeatKey: []byte("2026-01-02T03:04:05Z"), wire.SoleKey: []byte(o.sole),
	})
}

// Slots writes the chunks and not the pointer.
func (o *Operator) Slots(spec *policy.Spec, revision uint64) wire.Plan {
	o.t.Helper()
	plan, err := wire.Encode(spec, revision, o.Current)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, c := range plan.Write {
		o.Secret(c.Name, map[string][]byte{wire.ChunkKey: c.Data})
	}
	return plan
}

func (o *Operator) storeKeys(spec *policy.Spec) {
	o.t.Helper()
	data := map[string][]byte{"README": []byte("no keys")}
	for _, s := range spec.Services {
		plan := keys.Plan{Algorithm: s.Algorithm, Retain: s.MaxLifetime, Rotation: keys.Rotation{Period: s.Rotation.Period, PrePublish: s.Rotation.PrePublish}}
		if err := o.ring.Ensure(s.Name, plan, time.Now()); err != nil {
			o.t.Fatal(err)
		}
		data[s.Name+".json"] = o.shelf.documents[s.Name]
	}
	o.Secret(wire.KeysName, data)
}

// Acknowledged is the ExchangerReplica of a Pod; nil when there is none yet, or the API
// server does not tell just now, so that whoever waits for one has to look at that first.
func (o *Operator) Acknowledged(pod string) *v1alpha1.ExchangerReplica {
	o.t.Helper()
	c, err := dynamic.NewForConfig(o.Plane.Admin())
	if err != nil {
		o.t.Fatal(err)
	}
	u, err := c.Resource(v1alpha1.GroupVersion.WithResource("exchangerreplicas")).Namespace(o.Namespace).Get(context.Background(), pod, metav1.GetOptions{})
	if err != nil {
		if !apierrors.IsNotFound(err) {
			o.t.Log(err)
		}
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

// root is the module's folder, above the test's.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder: run it inside the repository")
		}
		dir = filepath.Dir(dir)
	}
}
