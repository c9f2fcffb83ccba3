// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// checkExamples reads the examples as far as that needs no snapshot.
func (p *grant) checkExamples() {
	list := p.api.Spec.Examples
	p.atMost("spec.examples", len(list), 64)
	seen := map[string]bool{}
	for n := range list {
		at := fmt.Sprintf("spec.examples[%d]", n)
		e := &list[n]
		p.text(at+".name", e.Name, 1, 256)
		if seen[e.Name] {
			p.invalid(at+".name", "example %q is there twice", e.Name)
		}
		seen[e.Name] = true
		if field := unservedExample(&e.Given); field != "" {
			p.notSupported(at+".given."+field, "it is not served, so that the example cannot be judged: take the example out")
		}
		if _, err := newExample(e, p.selfOrigins, p.actorOrigins); err != nil {
			p.invalid(at, "%s", err)
		}
		if r := e.Expect.Reason; r != "" && !slices.Contains(policy.Reasons(), policy.Reason(r)) {
			p.invalid(at+".expect.reason", "%q is none of the reasons that there are", r)
		}
	}
}

// judgeExamples runs the examples of every policy and gates those with an example
// that fails. They are judged against everything that is accepted, gated policies
// included; those of Audit policies as if all Audit policies were in force.
func (w *world) judgeExamples(spec *policy.Spec) {
	var enforce, audit lazySnapshot
	var seer *seer
	next := map[string]remembered{}
	for namespace, list := range w.withExamples() {
		var seen [sha256.Size]byte
		if w.in.Verdicts != nil {
			if seer == nil {
				seer = newSeer(w, spec)
			}
			seen = seer.sees(list)
		}
		known := w.in.Verdicts.of(namespace, seen)
		all := remembered{seen: seen, byPolicy: map[string][]ExampleResult{}}
		for _, p := range list {
			if was, ok := known[p.name]; ok {
				p.examples = was
				w.conclude(p)
				all.byPolicy[p.name] = was
				continue
			}
			snapshot := &enforce
			if p.audit {
				snapshot = &audit
			}
			w.guard(p.object, func() { w.judge(p, snapshot.of(spec, p.audit, w.in.Compiler)) })
			if p.valid() && p.examples != nil {
				all.byPolicy[p.name] = slim(p.examples)
			}
		}
		next[namespace] = all
	}
	w.in.Verdicts.keep(next)
	for _, p := range w.policies {
		if p.absent == "" && !p.valid() {
			w.gated[p.ref()] = true
		}
	}
}

// slim is the results without what is for reports.
func slim(results []ExampleResult) []ExampleResult {
	out := make([]ExampleResult, len(results))
	for i, r := range results {
		out[i] = ExampleResult{Name: r.Name, Verdict: r.Verdict, Message: r.Message}
	}
	return out
}

// withExamples yields the policies in force that have examples, by namespace, and
// says of the others why none of theirs was run.
func (w *world) withExamples() iter.Seq2[string, []*grant] {
	var list []*grant
	for _, p := range w.policies {
		switch {
		case p.absent != "":
		case len(p.api.Spec.Examples) == 0:
			p.setPassed(metav1.ConditionTrue, v1alpha1.ReasonNoExamples, "there are no examples")
		case !p.inForce():
			p.setPassed(metav1.ConditionUnknown, v1alpha1.ReasonExampleUnknown, "examples are not run before the policy is accepted and its references are resolved")
		default:
			list = append(list, p)
		}
	}
	return func(yield func(string, []*grant) bool) {
		for from := 0; from < len(list); {
			to := from
			for to < len(list) && list[to].namespace == list[from].namespace {
				to++
			}
			if !yield(list[from].namespace, list[from:to]) {
				return
			}
			from = to
		}
	}
}

// lazySnapshot compiles a snapshot when the first example needs it.
type lazySnapshot struct {
	snapshot *policy.Snapshot
	done     bool
}

func (l *lazySnapshot) of(spec *policy.Spec, enforceAudit bool, compiler policy.Compiler) *policy.Snapshot {
	if l.done {
		return l.snapshot
	}
	l.done = true
	all := *spec
	all.Policies = slices.Clone(spec.Policies)
	for i := range all.Policies {
		if enforceAudit {
			all.Policies[i].AuditOnly = false
		}
	}
	snapshot, err := policy.Compile(&all, 0, compiler)
	if err != nil {
		return nil
	}
	l.snapshot = snapshot
	return snapshot
}

func (w *world) judge(p *grant, snapshot *policy.Snapshot) {
	if snapshot == nil {
		// What cannot be compiled cannot be published either.
		p.setPassed(metav1.ConditionFalse, v1alpha1.ReasonExampleFailed, "the examples could not be judged: the policy as a whole does not compile")
		w.gated[p.ref()] = true
		return
	}
	p.examples = runExamples(snapshot, p.service.name, w.sightOf(p), p.api.Spec.Examples)
	w.conclude(p)
}

// conclude says what the examples' verdicts mean for their policy.
func (w *world) conclude(p *grant) {
	var failed, unknown []string
	for _, r := range p.examples {
		switch r.Verdict {
		case ExampleFailed:
			failed = append(failed, fmt.Sprintf("%q: %s", r.Name, r.Message))
		case ExampleUnknown:
			unknown = append(unknown, fmt.Sprintf("%q: %s", r.Name, r.Message))
		case ExamplePassed:
		}
	}
	switch {
	case len(failed) > 0:
		w.gated[p.ref()] = true
		p.setPassed(metav1.ConditionFalse, v1alpha1.ReasonExampleFailed, strings.Join(failed, "; ")+": the policy is not in force")
	case len(unknown) > 0:
		p.setPassed(metav1.ConditionUnknown, v1alpha1.ReasonExampleUnknown, strings.Join(unknown, "; "))
	default:
		p.setPassed(metav1.ConditionTrue, v1alpha1.ReasonExamplesPassed, fmt.Sprintf("%d of %d examples give what they expect", len(p.examples), len(p.examples)))
	}
}

// sightOf limits what the examples of a policy can tell its owners.
func (w *world) sightOf(p *grant) *sight {
	return &sight{
		effort:  w.effortOf(p.namespace),
		targets: p.spec.Targets,
		origins: p.selfOrigins, actors: p.actorOrigins,
		target: func(name string) bool {
			c, ok := w.holders[[2]string{p.service.name, name}]
			return ok && c.namespace == p.namespace
		},
		issuer: func(name string) bool {
			n, ok := slices.BinarySearchFunc(w.issuers, name, func(i *issuer, name string) int { return compare(i.name, name) })
			return ok && w.issuers[n].service == p.service && w.mayName(w.issuers[n], p.namespace)
		},
	}
}

// selfOrigins are the origins that the policy admits of our own tokens, as it
// names them.
func (p *grant) selfOrigins() []string {
	var out []string
	for _, i := range p.api.Spec.Subject.Issuers {
		if i.Self {
			out = append(out, i.Origins...)
		}
	}
	return sortedSet(out)
}

// actorOrigins are the same of actors.
func (p *grant) actorOrigins() []string { return actorOrigins(&p.api.Spec.Actor) }

func (p *grant) setPassed(status metav1.ConditionStatus, reason, message string) {
	c := condition(v1alpha1.ConditionExamplesPassed, status, reason, message, p.generation)
	p.passed = &c
}
