// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "testing"

func TestADelegatedScopeGivesItsValuesAndNoOtherScopeThatIsSpeltSo(t *testing.T) {
	t.Parallel()
	ask := func(parameter string) Decision {
		spec := world()
		spec.Services[0].ScopeOwners = []ScopeOwner{{"contacts", "media"}}
		contacts := scopeNamed(spec, "contacts")
		granted := "contacts"
		if contacts.Parameter = parameter; parameter == "" {
			granted = "contacts:acme"
			spec.Scopes = append(spec.Scopes, Scope{Namespace: "media", Name: "acme", TokenService: "default", Scope: granted, Targets: contacts.Targets, InToken: true})
		}
		p := policyNamed(spec, "contacts")
		p.Scopes, p.AddScopes = []string{granted}, true
		r := ask()
		r.Audiences, r.Scopes = nil, []string{"contacts:acme"}
		return mustCompile(t, spec).Decide(r)
	}
	if d := ask("parameter acme"); d.Outcome != Allowed {
		t.Errorf("a value of the delegated scope: %s, %s", d.Reason, d.Detail)
	}
	if d := ask(""); d.Reason != TargetUnknown {
		t.Errorf("a scope that was not delegated: %s %s, expected %s", d.Outcome, d.Reason, TargetUnknown)
	}
}
