// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/feed"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/schema"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// testReport is how all examples went.
type testReport struct {
	OK     bool `json:"ok"`
	Passed int  `json:"passed"`
	Failed int  `json:"failed"`
	// Problems are files that cannot be read; what they would have tested is not
	// known.
	Problems []feed.Problem `json:"problems,omitempty"`
	// Notes are about manifests that could be better, and do not fail a run.
	Notes  []string    `json:"notes,omitempty"`
	Suites []testSuite `json:"suites"`
}

// testSuite are the examples of one policy or one test file.
type testSuite struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// OutOfForce says why a policy is not in force.
	OutOfForce string     `json:"outOfForce,omitempty"`
	Cases      []testCase `json:"cases"`
}

type testCase struct {
	Name     string                   `json:"name"`
	Line     int                      `json:"line,omitempty"`
	Verdict  translate.ExampleVerdict `json:"verdict"`
	Message  string                   `json:"message,omitempty"`
	Expected string                   `json:"expected,omitempty"`
	Found    string                   `json:"found,omitempty"`
	// Trace is that of a failure.
	Trace []policy.TargetTrace `json:"trace,omitempty"`
}

func (c *testCase) passed() bool { return c.Verdict == translate.ExamplePassed }

// tester runs the tests of one invocation.
type tester struct {
	namespace string
	now       func() time.Time
	report    *testReport
	// sets are manifests that were read already, by their paths.
	sets map[string]*manifests
	// validator is made when the first test file needs it.
	validator *schema.Validator
}

// runTests runs all examples among the arguments.
func runTests(roots []string, namespace string, now func() time.Time) (*testReport, error) {
	x := &tester{namespace: namespace, now: now, report: &testReport{Suites: []testSuite{}}, sets: map[string]*manifests{}}
	var plain, tests []string
	for _, root := range roots {
		if feed.IsTestFile(root) {
			tests = append(tests, root)
			continue
		}
		plain = append(plain, root)
		found, err := testFiles(root)
		if err != nil {
			return nil, usage("%w", err)
		}
		tests = append(tests, found...)
	}
	sets, err := setsIn(plain)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		if paths, err := feed.Files(s.paths...); err != nil || len(paths) == 0 {
			if err != nil {
				return nil, usage("%w", err)
			}
			continue
		}
		m, err := x.load(s.name, s.paths)
		if err != nil {
			return nil, err
		}
		x.policies(m)
	}
	slices.Sort(tests)
	for _, path := range slices.Compact(tests) {
		if err := x.file(path); err != nil {
			return nil, err
		}
	}
	x.sum()
	return x.report, nil
}

// testFiles are the test files below a directory; names that start with a dot are
// passed over, as they are where manifests are read.
func testFiles(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look for tests in %s: %w", root, err)
		case path != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case !d.IsDir() && feed.IsTestFile(path):
			out = append(out, path)
		}
		return nil
	})
	return out, err
}

func (x *tester) load(called string, roots []string) (*manifests, error) {
	key := strings.Join(roots, "\x00")
	if m, ok := x.sets[key]; ok {
		return m, nil
	}
	m, err := loadManifests(roots, x.namespace, x.now)
	if err != nil {
		return nil, err
	}
	x.sets[key] = m
	x.report.Problems = append(x.report.Problems, m.unread...)
	if n := len(m.Problems) - len(m.unread); n > 0 {
		x.report.Notes = append(x.report.Notes, fmt.Sprintf("%s has %s, which `exchequer check` shows", called, count(n, "problem")))
	}
	return m, nil
}

// policies runs the examples of every policy: translation has done so already.
func (x *tester) policies(m *manifests) {
	for i := range m.Statuses {
		s := &m.Statuses[i]
		o, ok := m.Find(s)
		if !ok || s.Kind != "ExchangePolicy" {
			continue
		}
		spec, _ := o.Content["spec"].(map[string]any)
		given, _ := spec["examples"].([]any)
		if len(given) == 0 {
			continue
		}
		suite := testSuite{Name: s.Kind + "/" + name(s), File: o.File, Line: o.Line, OutOfForce: outOfForce(s)}
		for n, g := range given {
			at := fmt.Sprintf("spec.examples[%d]", n)
			c := testCase{Line: o.LineOf(at), Verdict: translate.ExampleUnknown, Message: "the policy is not in force"}
			e := exampleOf(g)
			c.Name, c.Expected = e.Name, expectation(&e.Expect)
			if n < len(s.Examples) {
				c.judged(&s.Examples[n])
			}
			suite.Cases = append(suite.Cases, c)
		}
		x.report.Suites = append(x.report.Suites, suite)
	}
}

// outOfForce says why a policy decides nothing; empty when it is in force.
func outOfForce(s *translate.ObjectStatus) string {
	for _, kind := range [...]string{v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs, v1alpha1.ConditionExamplesPassed} {
		c := s.Condition(kind)
		switch {
		case c == nil || c.Status != "False":
			continue
		case kind == v1alpha1.ConditionExamplesPassed:
			return "its own examples keep it out"
		}
		return c.Reason + ": " + c.Message
	}
	if c := s.Condition(v1alpha1.ConditionAccepted); c != nil && c.Reason != v1alpha1.ReasonAccepted {
		return c.Message
	}
	return ""
}

// exampleOf reads one example as far as it can be read; what is wrong with it,
// the policy's status says.
func exampleOf(v any) v1alpha1.Example {
	var e v1alpha1.Example
	b, err := json.Marshal(v)
	if err == nil {
		_ = json.Unmarshal(b, &e)
	}
	return e
}

func (c *testCase) judged(r *translate.ExampleResult) {
	c.Name, c.Verdict, c.Message = r.Name, r.Verdict, r.Message
	c.Found = found(&r.Decision)
	if !c.passed() {
		c.Trace = r.Decision.Trace
	}
}

// expectation says what an example expects.
func expectation(e *v1alpha1.ExampleResult) string {
	if !e.Allowed {
		if e.Reason == "" {
			return "refused"
		}
		return "refused, reason " + e.Reason
	}
	out := "allowed"
	if e.Scope != nil {
		out += fmt.Sprintf(", scope %q", *e.Scope)
	}
	if e.Audience != nil {
		out += ", audience " + strings.Join(e.Audience, " ")
	}
	return out
}

// found says what came of it; nothing for an example that was never decided.
func found(d *policy.Decision) string {
	g, allowed := d.Grant()
	switch {
	case allowed:
		return fmt.Sprintf("allowed, scope %q, audience %s", strings.Join(g.Scopes, " "), strings.Join(g.Audiences, " "))
	case d.Reason == policy.ReasonNone:
		return ""
	}
	out := "refused, reason " + string(d.Reason)
	if d.Check != "" {
		out += ", check " + d.Check
	}
	if d.Detail != "" {
		out += ": " + d.Detail
	}
	return out
}

// file runs the tests of one file.
func (x *tester) file(path string) error {
	if _, err := os.Stat(path); err != nil {
		return usage("%w", err)
	}
	objects, problems := feed.ReadFile(path)
	x.report.Problems = append(x.report.Problems, problems...)
	for _, o := range objects {
		group, _, _ := strings.Cut(o.APIVersion(), "/")
		if group != v1alpha1.Group {
			continue // another tool's test
		}
		if err := x.policyTest(o); err != nil {
			return err
		}
	}
	return nil
}

func (x *tester) policyTest(o *feed.Object) error {
	bad := func(field, message string) {
		x.report.Problems = append(x.report.Problems, feed.Problem{File: o.File, Line: o.LineOf(field), Object: o.Kind(), Field: field, Message: message})
	}
	if o.APIVersion() != v1alpha1.GroupVersion.String() || o.Kind() != v1alpha1.PolicyTestKind {
		bad("kind", fmt.Sprintf("expected %s of %s in a file whose name ends in _test.yaml", v1alpha1.PolicyTestKind, v1alpha1.GroupVersion))
		return nil
	}
	t, problems, err := x.readPolicyTest(o)
	if err != nil {
		return err
	}
	for _, p := range problems {
		bad(p.Path, p.Message)
	}
	if len(problems) > 0 {
		return nil
	}
	roots := make([]string, len(t.Manifests))
	for i, p := range t.Manifests {
		roots[i] = filepath.Join(filepath.Dir(o.File), p)
		if !exists(roots[i]) {
			bad(fmt.Sprintf("manifests[%d]", i), fmt.Sprintf("%s: no such file or directory; paths are relative to this file", p))
			return nil
		}
	}
	m, err := x.load(strings.Join(roots, ", "), roots)
	if err != nil {
		return err
	}
	suite := testSuite{Name: o.File, File: o.File, Line: o.Line}
	for n := range t.Examples {
		e := &t.Examples[n]
		c := testCase{Line: o.LineOf(fmt.Sprintf("examples[%d]", n)), Expected: expectation(&e.Expect)}
		r := translate.RunExamples(m.Snapshot, serviceOf(m.Snapshot, e.Given.Client), []v1alpha1.Example{*e})
		c.judged(&r[0])
		suite.Cases = append(suite.Cases, c)
	}
	x.report.Suites = append(x.report.Suites, suite)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readPolicyTest judges a test as the schema judges the examples of a policy: a
// misspelt expectation would pass for ever.
func (x *tester) readPolicyTest(o *feed.Object) (*v1alpha1.PolicyTest, []schema.Problem, error) {
	if x.validator == nil {
		v, err := schema.New()
		if err != nil {
			return nil, nil, fmt.Errorf("read the embedded CRDs: %w", err)
		}
		x.validator = v
	}
	content, problems := x.validator.AdmitPolicyTest(o.Content)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	b, err := json.Marshal(content)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", o.File, err)
	}
	t := new(v1alpha1.PolicyTest)
	if err := json.Unmarshal(b, t); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", o.File, err)
	}
	return t, nil, nil
}

// serviceOf is the only TokenService that has the client; empty when that leaves
// it open.
func serviceOf(snapshot *policy.Snapshot, client string) string {
	found := ""
	for _, svc := range snapshot.Services() {
		if _, ok := svc.Client(client); !ok {
			continue
		}
		if found != "" {
			return ""
		}
		found = svc.Name()
	}
	return found
}

// sum counts.
func (x *tester) sum() {
	r := x.report
	for i := range r.Suites {
		for n := range r.Suites[i].Cases {
			if r.Suites[i].Cases[n].passed() {
				r.Passed++
			} else {
				r.Failed++
			}
		}
	}
	r.OK = r.Failed == 0 && len(r.Problems) == 0 && r.Passed > 0
}
