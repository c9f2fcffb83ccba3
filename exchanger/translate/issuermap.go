// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) claimRules(i *issuer) {
	list := i.api.Spec.ClaimValidationRules
	i.atMost("spec.claimValidationRules", len(list), 32)
	for n, r := range list {
		at := fmt.Sprintf("spec.claimValidationRules[%d]", n)
		var set members
		set.add("expression", r.Expression != "")
		set.add("claim", r.Claim != "")
		if !i.exactlyOne(at, set, "expression and claim") {
			continue
		}
		i.text(at+".message", r.Message, 0, 512)
		out := policy.ClaimRule{Claim: r.Claim, Required: r.RequiredValue, Message: r.Message}
		switch {
		case r.Claim == "" && r.RequiredValue != "":
			i.invalid(at+".requiredValue", "it belongs to claim, not to expression")
		case r.Claim == "":
			out.Expression = w.expression(i.object, at+".expression", policy.EnvClaims, policy.WantBool, r.Expression)
		case r.RequiredValue == "":
			i.invalid(at+".requiredValue", "expected the value that claim %q must have", r.Claim)
		default:
			i.text(at+".claim", r.Claim, 1, 256)
			i.text(at+".requiredValue", r.RequiredValue, 1, 1024)
		}
		i.spec.ClaimRules = append(i.spec.ClaimRules, out)
	}
}

func (w *world) mappings(i *issuer) {
	in := &i.api.Spec.ClaimMappings
	m := &i.spec.Mappings
	subject := in.Subject
	if subject == (v1alpha1.ClaimOrExpression{}) {
		subject.Claim = "sub"
	}
	m.Subject = w.value(i, "spec.claimMappings.subject", &subject)
	// The schema's defaults, for objects that never went through it.
	m.Username = w.value(i, "spec.claimMappings.username", cmp.Or(in.Username, &v1alpha1.ClaimOrExpression{Claim: "preferred_username"}))
	m.Groups = w.value(i, "spec.claimMappings.groups", cmp.Or(in.Groups, &v1alpha1.ClaimOrExpression{Claim: "groups"}))
	w.scopeMapping(i, cmp.Or(in.Scopes, &v1alpha1.ScopeMapping{}))
	w.extraMapping(i, in.Extra)
	if a := in.Authentication; a != nil {
		m.ACR = w.value(i, "spec.claimMappings.authentication.acr", a.ACR)
		m.AMR = w.value(i, "spec.claimMappings.authentication.amr", a.AMR)
		m.AuthTime = w.value(i, "spec.claimMappings.authentication.authTime", a.AuthTime)
	}
}

func (w *world) value(i *issuer, field string, in *v1alpha1.ClaimOrExpression) policy.Value {
	if in == nil {
		return policy.Value{}
	}
	var set members
	set.add("claim", in.Claim != "")
	set.add("expression", in.Expression != "")
	if !i.exactlyOne(field, set, "claim and expression") {
		return policy.Value{}
	}
	if in.Claim != "" {
		i.text(field+".claim", in.Claim, 1, 256)
		return policy.Value{Claim: in.Claim}
	}
	return policy.Value{Expression: w.expression(i.object, field+".expression", policy.EnvClaims, policy.WantAny, in.Expression)}
}

func (w *world) scopeMapping(i *issuer, in *v1alpha1.ScopeMapping) {
	const field = "spec.claimMappings.scopes"
	m := &i.spec.Mappings
	from := v1alpha1.ClaimOrExpression{Claim: in.Claim, Expression: in.Expression}
	if from == (v1alpha1.ClaimOrExpression{}) {
		// prefix and map alone say how to read what everybody reads.
		from.Claim = "scope"
	}
	m.Scopes = w.value(i, field, &from)
	i.text(field+".prefix", in.Prefix, 0, 256)
	m.ScopePrefix = in.Prefix
	i.atMost(field+".map", len(in.Map), 64)
	for n, t := range in.Map {
		at := fmt.Sprintf("%s.map[%d]", field, n)
		if !isScope(t.From) || !isScope(t.To) {
			i.invalid(at, "expected two scopes, from and to: printable ASCII without spaces, quotes, backslashes or *")
		}
		if slices.ContainsFunc(m.ScopeMap, func(o policy.FromTo) bool { return o.From == t.From }) {
			i.invalid(at+".from", "scope %q is there twice", t.From)
		}
		m.ScopeMap = append(m.ScopeMap, policy.FromTo{From: t.From, To: t.To})
	}
	slices.SortFunc(m.ScopeMap, func(a, b policy.FromTo) int { return compare(a.From, b.From) })
}

func (w *world) extraMapping(i *issuer, list []v1alpha1.ExtraMapping) {
	const field = "spec.claimMappings.extra"
	m := &i.spec.Mappings
	i.atMost(field, len(list), 32)
	for n := range list {
		e := &list[n]
		at := fmt.Sprintf("%s[%d]", field, n)
		i.text(at+".key", e.Key, 1, 128)
		if slices.ContainsFunc(m.Extra, func(o policy.ExtraValue) bool { return o.Key == e.Key }) {
			i.invalid(at+".key", "key %q is there twice", e.Key)
		}
		if i.spec.Kind == policy.IssuerKubernetes && slices.Contains([]string{"namespace", "name", "uids", "pod", "node"}, e.Key) {
			i.invalid(at+".key", "%s is what the service-account token itself says: choose another key", e.Key)
		}
		m.Extra = append(m.Extra, policy.ExtraValue{Key: e.Key, Value: w.value(i, at, &e.ClaimOrExpression)})
	}
	slices.SortFunc(m.Extra, func(a, b policy.ExtraValue) int { return compare(a.Key, b.Key) })
}
