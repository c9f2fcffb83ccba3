// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// object is one object on its way: what is known against it so far.
type object struct {
	kind, namespace, name string
	generation            int64
	uid                   string
	labels                map[string]string
	// uses are what its references found, for the input digest.
	uses [][4]string
	// bytes is the length of its labels and spec as JSON, for the budget.
	bytes int
	// absent says why the object counts as absent: it is suspended, or is being
	// deleted.
	absent   string
	problems []Problem
	refs     []Problem
	// unmatched and warnings are for the status.
	unmatched []string
	warnings  []string
	service   *service
	// credentials are what is presented to other servers for it.
	credentials map[string][]byte
	// rest of the status that some kinds have
	audit    bool
	clientID string
	oneTime  bool
	verified *metav1.Condition
	passed   *metav1.Condition
	examples []ExampleResult
}

func newObject(kind string, meta *metav1.ObjectMeta, suspended bool, spec any) *object {
	o := &object{kind: kind, namespace: meta.Namespace, name: meta.Name, generation: meta.Generation, uid: string(meta.UID), labels: meta.Labels}
	switch {
	case meta.DeletionTimestamp != nil:
		o.absent = "it is being deleted, and counts as absent"
	case suspended:
		o.absent = "suspend is true: it counts as absent"
	}
	text, err := json.Marshal([]any{meta.Labels, spec})
	if err != nil {
		o.invalid("spec", "it cannot be written as JSON")
	}
	o.bytes = len(text)
	switch {
	case o.bytes > maxObjectBytes:
		o.problem(v1alpha1.ReasonQuotaExceeded, "spec", "its labels and spec have %d bytes as JSON: expected at most %d", o.bytes, maxObjectBytes)
	case len(meta.Labels) > maxLabels:
		o.problem(v1alpha1.ReasonQuotaExceeded, "metadata.labels", "it has %d labels: expected at most %d", len(meta.Labels), maxLabels)
	}
	o.checkName()
	return o
}

const (
	// maxObjectBytes bounds one object, so that a few of them cannot fill a chunk of the
	// snapshot, which has 900 KiB when compressed. Whoever gathers objects in a cluster does
	// not even keep larger ones; client-side kubectl apply cannot store them.
	maxObjectBytes = 256 << 10
	// maxLabels is several times what tools put on an object. Labels are published, for
	// selectors and expressions.
	maxLabels = 64
)

// ref is how people write the object's name.
func (o *object) ref() string {
	if o.namespace == "" {
		return o.name
	}
	return o.namespace + "/" + o.name
}

// valid says whether nothing stands against the object itself.
func (o *object) valid() bool { return o.absent == "" && len(o.problems) == 0 }

// inForce says whether it is part of the policy: valid, and all refs resolved.
func (o *object) inForce() bool { return o.valid() && len(o.refs) == 0 }

func (o *object) problem(reason, field, format string, args ...any) {
	o.problems = append(o.problems, Problem{v1alpha1.ConditionAccepted, reason, field, fmt.Sprintf(format, args...)})
}

func (o *object) invalid(field, format string, args ...any) {
	o.problem(v1alpha1.ReasonInvalid, field, format, args...)
}

func (o *object) notSupported(field, format string, args ...any) {
	o.problem(v1alpha1.ReasonNotSupported, field, format, args...)
}

func (o *object) unresolved(reason, field, format string, args ...any) {
	o.refs = append(o.refs, Problem{v1alpha1.ConditionResolvedRefs, reason, field, fmt.Sprintf(format, args...)})
}

func (o *object) warn(format string, args ...any) {
	o.warnings = append(o.warnings, clip(fmt.Sprintf(format, args...)))
}

// miss notes a client or an issuer that contributes nothing. A missing one and
// one that may not be named here are told in the same words.
func (o *object) miss(kind, name string) {
	if len(name) > maxNameBytes/2 {
		name = name[:maxNameBytes/2] // what is longer is nobody's name
	}
	o.unmatched = append(o.unmatched, kind+" "+strings.ToValidUTF8(name, "?"))
}

// checkName refuses names that the API server would not have stored.
func (o *object) checkName() {
	if !isSubdomain(o.name) || len(o.name) > v1alpha1.MaxNameLength {
		o.invalid("metadata.name", "expected at most %d lower-case letters, digits, - and ., beginning and ending with a letter or digit", v1alpha1.MaxNameLength)
	}
	namespaced := o.kind == kindClient || o.kind == kindScope || o.kind == kindPolicy
	switch {
	case namespaced && (!isLabel(o.namespace) || len(o.namespace) > 63):
		o.invalid("metadata.namespace", "expected the name of a namespace")
	case !namespaced && o.namespace != "":
		o.invalid("metadata.namespace", "%s is a cluster-scoped kind: take the namespace out", o.kind)
	}
}

func isSubdomain(s string) bool {
	return !slices.ContainsFunc(strings.Split(s, "."), func(l string) bool { return !isLabel(l) })
}

func isLabel(s string) bool {
	if s == "" || len(s) > v1alpha1.MaxNameLength || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) { // strings.Trim makes a set of the letters each time
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// severity orders the reasons of Accepted: the first that an object has is its
// condition's reason, and the messages come in this order.
func severity(reason string) int {
	return slices.Index([]string{
		v1alpha1.ReasonInvalid, v1alpha1.ReasonNotSupported, v1alpha1.ReasonInvalidExpression, v1alpha1.ReasonNamespaceNotAllowed,
		v1alpha1.ReasonNameNotDelegated, v1alpha1.ReasonConflicted, v1alpha1.ReasonQuotaExceeded, v1alpha1.ReasonExpired,
	}, reason)
}

// maxProblems bounds how many problems one message tells: a person mends a few
// at a time, and a status is kept for every object.
const maxProblems = 8

func joinProblems(list []Problem) string {
	texts := make([]string, 0, len(list))
	for _, p := range list {
		if text := p.String(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	if more := len(texts) - maxProblems; more > 0 {
		texts = append(texts[:maxProblems], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// status writes the object's conditions.
func (o *object) status(serve bool, store StoreKind) ObjectStatus {
	s := ObjectStatus{
		Conditions: make([]metav1.Condition, 0, mostConditions), Kind: o.kind, Namespace: o.namespace, Name: o.name, Generation: o.generation,
		Unmatched: sortedSet(o.unmatched), Warnings: sortedSet(o.warnings), ClientID: o.clientID, Examples: o.examples,
		OneTime: o.oneTime, InputDigest: o.inputDigest(),
	}
	s.Unmatched = s.Unmatched[:min(len(s.Unmatched), maxUnmatched)]
	s.Warnings = s.Warnings[:min(len(s.Warnings), maxWarnings)]
	if o.absent == "" {
		s.Problems = append(slices.Clone(o.problems), o.refs...)
	}
	add := func(kind string, status metav1.ConditionStatus, reason, message string) {
		s.Conditions = append(s.Conditions, condition(kind, status, reason, message, o.generation))
	}
	o.acceptance(add)
	switch {
	case o.absent == "" && len(o.refs) > 0:
		add(v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, o.refs[0].Reason, joinProblems(o.refs)+"; "+o.without()+" until then")
	default:
		add(v1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs, "everything that it refers to is there")
	}
	for _, c := range []*metav1.Condition{o.verified, o.passed} {
		if c != nil && o.absent == "" {
			s.Conditions = append(s.Conditions, *c)
		}
	}
	o.running(add, serve, store)
	s.Conditions = append(s.Conditions, Summarize(s.Conditions, o.generation))
	return s
}

// mostConditions is how many an object has, so that the list need not grow: a policy
// has Accepted, ResolvedRefs, ExamplesPassed, Programmed and Ready.
const mostConditions = 5

// without is what an object is good for whose references do not resolve.
func (o *object) without() string {
	if o.kind == kindRevocation {
		return "nothing is revoked by it"
	}
	return "it grants nothing"
}

// maxUnmatched is how many entries status.unmatched has room for.
const maxUnmatched = 64

// maxWarnings is as many: nobody reads more.
const maxWarnings = 64

func (o *object) acceptance(add func(kind string, status metav1.ConditionStatus, reason, message string)) {
	switch {
	case o.absent != "":
		add(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSuspended, o.absent)
	case len(o.problems) > 0:
		list := slices.Clone(o.problems)
		slices.SortStableFunc(list, func(a, b Problem) int { return severity(a.Reason) - severity(b.Reason) })
		add(v1alpha1.ConditionAccepted, metav1.ConditionFalse, list[0].Reason, joinProblems(list))
	case o.audit:
		add(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAudit, "mode is Audit: it decides and records, and grants nothing")
	default:
		add(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "valid and part of the policy")
	}
}

// running writes the conditions that are about the processes that serve. Where
// they are not this one, they are for whoever watches them to say.
func (o *object) running(add func(kind string, status metav1.ConditionStatus, reason, message string), serve bool, store StoreKind) {
	if !serve {
		if o.kind == kindService {
			add(v1alpha1.ConditionStoreReady, metav1.ConditionUnknown, v1alpha1.ReasonPending, "not known here")
		}
		add(v1alpha1.ConditionProgrammed, metav1.ConditionUnknown, v1alpha1.ReasonPending, "not known here")
		return
	}
	switch {
	case o.kind != kindService:
	case store == StoreNone:
		add(v1alpha1.ConditionStoreReady, metav1.ConditionFalse, v1alpha1.ReasonNoSharedStore, "this process keeps no one-time state (--store=none): what needs it is refused")
	case store == StoreShared:
		add(v1alpha1.ConditionStoreReady, metav1.ConditionTrue, v1alpha1.ReasonStoreReady, "one-time state is kept where every replica that serves sees it")
	default:
		add(v1alpha1.ConditionStoreReady, metav1.ConditionTrue, v1alpha1.ReasonStoreReady, "one process serves, and keeps one-time state in its memory")
	}
	add(v1alpha1.ConditionProgrammed, metav1.ConditionTrue, v1alpha1.ReasonProgrammed, "this process serves this generation")
}

func sortedSet(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// notInForce says why an object of the same namespace, or of the cluster, that
// something refers to is of no use: it is not there, or it is and does not count.
func (w *world) notInForce(kind, namespace, name string) string {
	if w.byName == nil {
		w.byName = make(map[[3]string]*object, len(w.objects))
		for _, o := range w.objects {
			w.byName[[3]string{o.kind, o.namespace, o.name}] = o
		}
	}
	o, found := w.byName[[3]string{kind, namespace, name}]
	switch {
	case found && o.absent != "":
		return fmt.Sprintf("%s %q is there, but %s", kind, name, o.absent)
	case found && o.inForce():
		return fmt.Sprintf("%s %q belongs to another TokenService", kind, name)
	case found:
		return fmt.Sprintf("%s %q is there, but not in force: mend that first", kind, name)
	case namespace == "":
		return fmt.Sprintf("there is no %s %q", kind, name)
	}
	return fmt.Sprintf("there is no %s %q in this namespace", kind, name)
}
