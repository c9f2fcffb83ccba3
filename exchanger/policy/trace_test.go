// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
	"testing"
)

func TestATraceStaysSmallHoweverManyAndLongAnOwnersPoliciesAre(t *testing.T) {
	t.Parallel()
	spec := world()
	like := *policyNamed(spec, "images")
	spec.Policies = nil
	r := ask()
	r.Audiences, r.ScopesGiven, r.Scopes = nil, false, nil
	for n := range 16 {
		id := fmt.Sprintf("media/t%d", n)
		spec.Clients = append(spec.Clients, Client{ID: id, Namespace: "media", Name: fmt.Sprintf("t%d", n), TokenService: "default"})
		r.Audiences = append(r.Audiences, id)
	}
	for i := range 200 {
		p := like
		p.Name, p.Targets = fmt.Sprintf("p%d", i), r.Audiences
		p.SubjectRules = []Rule{{Expression: "false " + strings.Repeat("x", 4000), Message: strings.Repeat("m", 512)}}
		spec.Policies = append(spec.Policies, p)
	}
	d := mustCompile(t, spec).Decide(r)
	size, lines, omitted := len(d.Detail), 0, 0
	for _, target := range d.Trace {
		lines, omitted = lines+len(target.Policies), omitted+target.Omitted
		for _, p := range target.Policies {
			size += len(p.Detail) + len(p.Policy) + 64
		}
	}
	if size > 128<<10 {
		t.Errorf("a trace of %d bytes in %d lines goes into one audit record", size, lines)
	}
	if lines == 0 || lines+omitted != 16*200 {
		t.Errorf("%d lines and %d omitted, of %d that were judged", lines, omitted, 16*200)
	}
	if d.Reason != SubjectRule || !strings.Contains(d.Detail, "subject.rules") {
		t.Errorf("%s: %s", d.Reason, d.Detail)
	}
}
