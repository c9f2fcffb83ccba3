// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/expr"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/schema"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// Builder turns manifests into a snapshot, through the same schema and the same
// translation that a cluster uses. It is safe for concurrent use.
type Builder struct {
	validator *schema.Validator
	compiler  *expr.Compiler
	namespace string
	now       func() time.Time
	keyStatus func(issuer string) translate.KeyStatus
	cluster   bool
	local     *translate.LocalCluster
	store     translate.StoreKind
}

// NewBuilder returns a builder. namespace is the operator's; keyStatus tells about
// the keys of issuers. It is nil where nobody serves what is built: then manifests may
// also be meant for a cluster, with service accounts of its own.
func NewBuilder(namespace string, now func() time.Time, keyStatus func(issuer string) translate.KeyStatus) (*Builder, error) {
	v, err := schema.New()
	if err != nil {
		return nil, fmt.Errorf("read the embedded CRDs: %w", err)
	}
	return &Builder{validator: v, compiler: expr.New(), namespace: namespace, now: now, keyStatus: keyStatus}, nil
}

// WithStore returns a builder whose statuses say where one-time state is kept.
func (b *Builder) WithStore(kind translate.StoreKind) *Builder {
	c := *b
	c.store = kind
	return &c
}

// ForCluster returns a builder that judges as the operator does and not as a
// process that serves a directory: there is a local cluster, which local tells
// about where it is known, and http leads nowhere.
func (b *Builder) ForCluster(local *translate.LocalCluster) *Builder {
	c := *b
	c.cluster, c.local = true, local
	return &c
}

// Build is what a set of manifests means.
type Build struct {
	Objects  []*Object
	Statuses []translate.ObjectStatus
	Spec     *policy.Spec
	Snapshot *policy.Snapshot
	// CompileTime is how long the snapshot took to compile.
	CompileTime time.Duration
	// Credentials are the secrets by which other servers know this installation.
	Credentials map[string][]byte
	// Problems are all that a person must act on, in the order of the files.
	Problems []Problem
	// Broken says that some problem is about the files themselves: unparsable, the
	// same object twice, a namespaced object without namespace.
	Broken bool
	// Unchanged says that the snapshot decides just as the one before it.
	Unchanged bool

	// byRef has every object of a kind that means something here, admitted those of
	// ours that the schema lets pass.
	byRef, admitted map[string]*Object
}

// Build admits, translates and compiles objects. former are the objects in force
// before, by reference: a change that the API server would refuse leaves the
// former object in force. It never fails as a whole for one object's sake.
func (b *Builder) Build(objects []*Object, former map[string]*Object, revision uint64) (*Build, error) {
	g := &gathering{Builder: b, former: former, build: &Build{byRef: map[string]*Object{}, admitted: map[string]*Object{}}, twice: map[string]bool{}}
	g.input = translate.Input{
		Secrets: map[types.NamespacedName]map[string][]byte{}, ConfigMaps: map[types.NamespacedName]map[string]string{},
		Namespaces: map[string]map[string]string{}, OperatorNamespace: b.namespace, Serve: !b.cluster, Store: b.store, LocalCluster: b.local, Anywhere: b.keyStatus == nil, Now: b.now().UTC(),
		Compiler: b.compiler, Check: b.compiler.Check, KeyStatus: b.keyStatus,
		CheckKeySet: jose.CheckKeySet, CheckBundle: jose.CheckBundle,
	}
	for _, o := range objects {
		g.take(o)
	}
	build := g.build
	result := translate.Translate(g.input)
	build.Statuses, build.Spec, build.Credentials = result.Statuses, result.Spec, result.Credentials
	start := b.now()
	snapshot, err := policy.Compile(result.Spec, revision, b.compiler)
	if err != nil {
		return nil, err
	}
	build.Snapshot, build.CompileTime = snapshot, b.now().Sub(start)
	for ref := range g.twice {
		delete(build.admitted, ref)
	}
	g.report()
	return build, nil
}

// inForce are the objects that the next change is compared with: what was refused
// as a whole never was there.
func (b *Build) inForce() map[string]*Object { return b.admitted }

// Find returns the object of a status.
func (b *Build) Find(s *translate.ObjectStatus) (*Object, bool) {
	o, ok := b.byRef[refOf(s.Kind, s.Namespace, s.Name)]
	return o, ok
}

func refOf(kind, namespace, name string) string {
	if namespace == "" {
		return kind + "/" + name
	}
	return kind + "/" + namespace + "/" + name
}

// gathering is one Build under way.
type gathering struct {
	*Builder
	former map[string]*Object
	input  translate.Input
	build  *Build
	twice  map[string]bool
}

func (g *gathering) problem(o *Object, field, reason, message string) {
	g.build.Problems = append(g.build.Problems, Problem{File: o.File, Line: o.LineOf(field), Object: o.Ref(), Field: field, Reason: reason, Message: message})
}

func (g *gathering) broken(o *Object, field, message string) {
	g.problem(o, field, v1alpha1.ReasonInvalid, message)
	g.build.Broken = true
}

// take takes one manifest in. Kinds that mean nothing here are passed over, as
// kubectl applies them to somebody else: also those with a name that one of ours
// has too.
func (g *gathering) take(o *Object) {
	group, _, _ := strings.Cut(o.APIVersion(), "/")
	switch {
	case o.APIVersion() == v1alpha1.GroupVersion.String() && o.Kind() == v1alpha1.PolicyTestKind:
		return // A file format of `exchequer test`, which may lie among manifests.
	case group == v1alpha1.Group && !g.knows(o):
		// Somebody meant something by it, and must hear that it does nothing here.
		g.problem(o, "apiVersion", v1alpha1.ReasonInvalid, "expected "+v1alpha1.GroupVersion.String()+", found "+o.APIVersion())
		return
	case !g.knows(o):
		return
	case o.Name() == "":
		g.broken(o, "metadata.name", "metadata.name is missing: it must be a string that is not empty")
		return
	}
	first, twice := g.build.byRef[o.Ref()]
	if twice {
		g.broken(o, "metadata.name", fmt.Sprintf("stands here twice; first at %s:%d: keep one", first.File, first.Line))
		g.twice[o.Ref()] = true
	}
	g.build.byRef[o.Ref()] = o
	switch {
	case group == v1alpha1.Group:
		// Translation refuses both copies of an object of ours.
		g.build.Objects = append(g.build.Objects, o)
		g.admit(o)
	case o.Kind() == "Secret":
		g.secret(o)
	case o.Kind() == "ConfigMap":
		g.configMap(o)
	default:
		meta, _ := o.Content["metadata"].(map[string]any)
		if labels, ok := g.strings(o, "metadata.labels", meta["labels"]); ok {
			g.input.Namespaces[o.Name()] = labels
		}
	}
	if twice && group != v1alpha1.Group {
		// Of these kinds nothing is used either: which copy counts would hang on the
		// files' names.
		name := types.NamespacedName{Namespace: o.Namespace(), Name: o.Name()}
		switch o.Kind() {
		case "Secret":
			delete(g.input.Secrets, name)
		case "ConfigMap":
			delete(g.input.ConfigMaps, name)
		default:
			delete(g.input.Namespaces, o.Name())
		}
	}
}

func (g *gathering) knows(o *Object) bool {
	if o.APIVersion() == "v1" {
		return o.Kind() == "Secret" || o.Kind() == "ConfigMap" || o.Kind() == "Namespace"
	}
	return o.APIVersion() == v1alpha1.GroupVersion.String()
}

// admit does what the API server would: it refuses, or fills in defaults.
func (g *gathering) admit(o *Object) {
	namespaced, known := g.validator.Namespaced(o.Kind())
	switch {
	case known && namespaced && o.Namespace() == "":
		g.broken(o, "metadata", "metadata.namespace is missing: "+o.Kind()+" is namespaced, and nothing here chooses a namespace for it")
		return
	case known && !namespaced && o.Namespace() != "":
		g.broken(o, "metadata.namespace", o.Kind()+" is cluster-scoped: remove metadata.namespace")
		return
	}
	var old map[string]any
	if f, ok := g.former[o.Ref()]; ok {
		old = f.Content
	}
	content, problems := g.validator.Admit(o.Content, old)
	if len(problems) > 0 && old != nil {
		if _, alone := g.validator.Admit(o.Content, nil); len(alone) == 0 {
			// Only the change is refused: what was in force stays, as in a cluster.
			g.schemaProblems(o, problems)
			g.build.byRef[o.Ref()] = g.former[o.Ref()]
			content, problems = g.validator.Admit(old, nil)
		}
	}
	if len(problems) > 0 {
		g.schemaProblems(o, problems)
		g.undecodable(o, problems[0].String())
		return
	}
	g.decode(o, content)
}

func (g *gathering) schemaProblems(o *Object, problems []schema.Problem) {
	for _, p := range problems {
		g.problem(o, p.Path, v1alpha1.ReasonInvalid, p.Message)
	}
}

func (g *gathering) undecodable(o *Object, message string) {
	g.input.Objects.Undecodable = append(g.input.Objects.Undecodable, translate.Undecodable{
		Kind: o.Kind(), Namespace: o.Namespace(), Name: o.Name(), Message: message, IdentityPrefix: identityPrefix(o),
	})
}

// identityPrefix reads that one field of a TrustedIssuer that is not usable. An
// absent one has the schema's default; of another type, nobody knows what it is.
func identityPrefix(o *Object) string {
	spec, ok := o.Content["spec"].(map[string]any)
	if !ok || o.Kind() != "TrustedIssuer" {
		return ""
	}
	if v, present := spec["identityPrefix"]; present {
		return text(v)
	}
	return o.Name() + ":"
}

func (g *gathering) decode(o *Object, content map[string]any) {
	all := &g.input.Objects
	var err error
	switch o.Kind() {
	case "TokenService":
		err = decodeInto(content, &all.TokenServices)
	case "TrustedIssuer":
		err = decodeInto(content, &all.TrustedIssuers)
	case "ExchangeClient":
		err = decodeInto(content, &all.ExchangeClients)
	case "ClientScope":
		err = decodeInto(content, &all.ClientScopes)
	case "ExchangePolicy":
		err = decodeInto(content, &all.ExchangePolicies)
	case "ImpersonationGrant":
		err = decodeInto(content, &all.ImpersonationGrants)
	case "ExternalTarget":
		err = decodeInto(content, &all.ExternalTargets)
	case "TokenRevocation":
		err = decodeInto(content, &all.TokenRevocations)
	default:
		// ExchangerReplica is written by replicas; here there are none.
		return
	}
	if err != nil {
		g.problem(o, "", v1alpha1.ReasonInvalid, "cannot be decoded: "+err.Error())
		g.undecodable(o, "cannot be decoded")
		return
	}
	g.build.admitted[o.Ref()] = g.build.byRef[o.Ref()]
}

func decodeInto[T any](content map[string]any, list *[]T) error {
	b, err := json.Marshal(content)
	if err != nil {
		return err
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}

func (g *gathering) secret(o *Object) {
	if o.Namespace() == "" {
		g.broken(o, "metadata", "metadata.namespace is missing: a Secret is namespaced")
		return
	}
	encoded, ok := g.strings(o, "data", o.Content["data"])
	plain, ok2 := g.strings(o, "stringData", o.Content["stringData"])
	if !ok || !ok2 {
		return
	}
	data := make(map[string][]byte, len(encoded)+len(plain))
	for _, k := range slices.Sorted(maps.Keys(encoded)) {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded[k]), ""))
		if err != nil {
			g.problem(o, "data["+k+"]", v1alpha1.ReasonInvalid, "is not base64: put plain text under stringData")
			ok = false
		}
		data[k] = raw
	}
	for k, v := range plain {
		data[k] = []byte(v)
	}
	if ok {
		g.input.Secrets[types.NamespacedName{Namespace: o.Namespace(), Name: o.Name()}] = data
	}
}

func (g *gathering) configMap(o *Object) {
	if o.Namespace() == "" {
		g.broken(o, "metadata", "metadata.namespace is missing: a ConfigMap is namespaced")
		return
	}
	if data, ok := g.strings(o, "data", o.Content["data"]); ok {
		g.input.ConfigMaps[types.NamespacedName{Namespace: o.Namespace(), Name: o.Name()}] = data
	}
}

// strings reads a map of strings. As in a cluster, an object in which it is
// anything else is refused as a whole.
func (g *gathering) strings(o *Object, path string, v any) (map[string]string, bool) {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		g.problem(o, path, v1alpha1.ReasonInvalid, "expected a map of strings")
		return nil, false
	}
	out, ok := make(map[string]string, len(m)), true
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s, isString := m[k].(string)
		if !isString && m[k] != nil {
			g.problem(o, path+"["+k+"]", v1alpha1.ReasonInvalid, "expected a string: put it in quotes")
			ok = false
		}
		out[k] = s
	}
	return out, ok
}

// report makes problems of the conditions that are false and that no problem of
// the schema has told already.
func (g *gathering) report() {
	told := map[string]bool{}
	for _, p := range g.build.Problems {
		told[p.Object] = true
	}
	for i := range g.build.Statuses {
		s := &g.build.Statuses[i]
		ref := refOf(s.Kind, s.Namespace, s.Name)
		o, ok := g.build.byRef[ref]
		if told[ref] || !ok {
			continue
		}
		for _, p := range s.Problems {
			g.problem(o, p.Field, p.Reason, p.Message)
		}
		if c := s.Condition(v1alpha1.ConditionExamplesPassed); c != nil && c.Status == metav1.ConditionFalse {
			g.problem(o, "spec.examples", c.Reason, c.Message)
		}
	}
}
