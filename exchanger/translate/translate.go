// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Translate makes one Spec of all objects, and a status for each. It has no
// error: what is wrong with an object stands in its status, and the object is
// not in the Spec.
func Translate(in Input) Result {
	w := newWorld(&in)
	for _, step := range [...]func(){
		w.budgets,
		w.translateServices, w.serviceConflicts,
		w.translateIssuers, w.issuerConflicts, w.carryKeys, w.reserve,
		w.translateClients, w.clientConflicts, w.aliases,
		w.translateScopes, w.scopeConflicts, w.scopeOwners,
		w.translatePolicies,
		w.translateRevocations, w.translateGrants,
		w.translateExternals,
		w.presented,
	} {
		step()
	}
	spec := w.spec()
	w.judgeExamples(spec)
	spec.Policies = slices.DeleteFunc(spec.Policies, func(p policy.Policy) bool { return w.gated[p.Namespace+"/"+p.Name] })
	return Result{Spec: spec, Statuses: w.statuses(), Credentials: w.credentials}
}

// world is the state of one translation.
type world struct {
	in       *Input
	objects  []*object
	services []*service
	issuers  []*issuer
	clients  []*client
	scopes   []*scope
	policies []*grant
	external []*external
	// grants say who may be, or act for, whom.
	grants []*impersonationGrant
	// revocations are what is not accepted any more.
	revocations []*revocation

	serviceByName map[string]*service
	issuerByName  map[string]*issuer
	clientByRef   map[string]*client
	// holders are the clients in force by TokenService and each of their names.
	holders     map[[2]string]*client
	scopeByName map[scopeKey]*scope
	// reserved says why nobody can have a name.
	reserved map[string]string
	labels   map[string]map[string]string
	checked  map[checkKey]checkResult
	gated    map[string]bool
	// byName finds every object; it is made when somebody first asks.
	byName map[[3]string]*object
	// keySets has every key set that was read, and why it is not usable.
	keySets map[string]keySetResult
	// effort is what the examples of each namespace may still cost.
	effort map[string]*int64
	// spent is what the policies of each namespace have used of its budget.
	spent map[string]*spent
	// clientsOf are the clients by namespace, as in clients; namespaces are theirs,
	// sorted.
	clientsOf  map[string][]*client
	namespaces []string
	// credentials are what objects in force present to other servers.
	credentials map[string][]byte
}

type service struct {
	*object
	api  *v1alpha1.TokenService
	spec policy.Service
	// base is where it is reached: each host with the issuer's path.
	hosts []string
	path  string
}

type issuer struct {
	*object
	api  *v1alpha1.TrustedIssuer
	spec policy.Issuer
	// keys is what is known of its keys, nil before somebody asked.
	keys *KeyStatus
}

type client struct {
	*object
	api  *v1alpha1.ExchangeClient
	spec policy.Client
}

type scope struct {
	*object
	api  *v1alpha1.ClientScope
	spec policy.Scope
}

type grant struct {
	*object
	api  *v1alpha1.ExchangePolicy
	spec policy.Policy
}

type scopeKey struct{ service, namespace, scope string }

func newWorld(in *Input) *world {
	w := &world{
		in: in, serviceByName: map[string]*service{}, issuerByName: map[string]*issuer{}, clientByRef: map[string]*client{},
		scopeByName: map[scopeKey]*scope{}, reserved: map[string]string{}, labels: map[string]map[string]string{}, checked: map[checkKey]checkResult{}, gated: map[string]bool{},
		keySets: map[string]keySetResult{}, effort: map[string]*int64{}, spent: map[string]*spent{}, clientsOf: map[string][]*client{}, holders: map[[2]string]*client{},
	}
	w.gather()
	return w
}

// gather takes in every object, sorted by kind, namespace and name, so that no
// later step sees the order of the input.
func (w *world) gather() {
	all := w.in.Objects
	for _, api := range sorted(all.TokenServices) {
		w.services = append(w.services, &service{object: w.add(newObject(kindService, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	for _, api := range sorted(all.TrustedIssuers) {
		w.issuers = append(w.issuers, &issuer{object: w.add(newObject(kindIssuer, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	for _, api := range sorted(all.ExchangeClients) {
		c := &client{object: w.add(newObject(kindClient, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api}
		w.clients = append(w.clients, c)
		if w.clientsOf[c.namespace] == nil {
			w.namespaces = append(w.namespaces, c.namespace)
		}
		w.clientsOf[c.namespace] = append(w.clientsOf[c.namespace], c)
	}
	for _, api := range sorted(all.ClientScopes) {
		w.scopes = append(w.scopes, &scope{object: w.add(newObject(kindScope, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	for _, api := range sorted(all.ExchangePolicies) {
		w.policies = append(w.policies, &grant{object: w.add(newObject(kindPolicy, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	for _, api := range sorted(all.ImpersonationGrants) {
		w.grants = append(w.grants, &impersonationGrant{object: w.add(newObject(kindGrant, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	for _, api := range sorted(all.TokenRevocations) {
		w.revocations = append(w.revocations, &revocation{object: w.add(newObject(kindRevocation, &api.ObjectMeta, api.Spec.Suspend, api.Spec)), api: api})
	}
	w.gatherUnserved()
	w.refuseTwice()
}

// add takes an object in. Its index by name is for the whole translation.
func (w *world) add(o *object) *object {
	w.objects = append(w.objects, o)
	return o
}

// refuseTwice refuses every copy of an object that is in the input twice: which
// of them counts would hang on the order.
func (w *world) refuseTwice() {
	type key struct{ kind, namespace, name string }
	count := make(map[key]int, len(w.objects))
	for _, o := range w.objects {
		count[key{o.kind, o.namespace, o.name}]++
	}
	for _, o := range w.objects {
		if count[key{o.kind, o.namespace, o.name}] > 1 {
			o.absent = ""
			o.invalid("metadata.name", "there are %d objects of this kind and name: keep one", count[key{o.kind, o.namespace, o.name}])
		}
	}
}

// sorted returns pointers to the objects by namespace and name, and copies of one
// object by their content.
func sorted[T any, P interface {
	*T
	GetNamespace() string
	GetName() string
}](list []T) []P {
	out := make([]P, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	slices.SortFunc(out, func(a, b P) int {
		if c := cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName())); c != 0 {
			return c
		}
		return bytes.Compare(textOf(a), textOf(b))
	})
	return out
}

func textOf(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// guard runs one object's step. A panic in it is that object's: it is Invalid,
// and the others go on (F272). Nothing of the panic is told: it may quote values.
func (w *world) guard(o *object, step func()) {
	defer func() {
		if recover() != nil {
			o.absent = ""
			o.invalid("spec", "this object makes the translation fail; please report it, with the object, as a bug")
		}
	}()
	step()
}

// specsInForce returns what is in force of a list. There is room for all of it at
// once: a list of ten thousand that grows as it is written is copied five times.
func specsInForce[T interface{ inForce() bool }, S any](list []T, of func(T) *S) []S {
	n := 0
	for _, o := range list {
		if o.inForce() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	out := make([]S, 0, n)
	for _, o := range list {
		if o.inForce() {
			out = append(out, *of(o))
		}
	}
	return out
}

// spec gathers what is in force, in canonical order.
func (w *world) spec() *policy.Spec {
	out := &policy.Spec{Format: policy.Format}
	out.Services = specsInForce(w.services, func(s *service) *policy.Service { return &s.spec })
	for _, i := range w.issuers {
		switch {
		case i.inForce():
			out.Issuers = append(out.Issuers, i.spec)
		case i.absent != "" && i.service != nil && !isReservedIssuer(i.name):
			out.Issuers = append(out.Issuers, w.suspendedIssuer(i))
		}
	}
	out.Clients = w.clientSpecs()
	out.Scopes = specsInForce(w.scopes, func(s *scope) *policy.Scope { return &s.spec })
	out.Policies = specsInForce(w.policies, func(p *grant) *policy.Policy { return &p.spec })
	out.Grants = w.grantSpecs()
	for _, r := range w.revocations {
		if r.inForce() {
			out.Revocations = append(out.Revocations, r.spec)
		}
	}
	for _, e := range w.external {
		if e.inForce() {
			out.Externals = append(out.Externals, e.spec)
		}
	}
	return out
}

func (w *world) statuses() []ObjectStatus {
	out := make([]ObjectStatus, 0, len(w.objects))
	for _, i := range w.issuers {
		w.verify(i)
	}
	for _, o := range w.objects {
		out = append(out, o.status(w.in.Serve, w.in.Store))
	}
	if !slices.IsSortedFunc(out, byObject) { // Most often it is; moving statuses about is slow.
		slices.SortStableFunc(out, byObject)
	}
	return out
}
