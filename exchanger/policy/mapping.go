// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
)

// mapClaims applies the issuer's claimMappings and its prefix.
func (i *TrustedIssuer) mapClaims(t *Token, facts *Facts, _ Presented) *Refusal {
	if i.spec.Kind == IssuerKubernetes {
		if ref := i.mapServiceAccount(t); ref != nil {
			return ref
		}
	}
	names := []func(*Token, *Facts) *Refusal{i.mapSubject, i.mapUsername, i.mapGroups}
	if i.spec.Keys.Local {
		// Its names are Kubernetes' own, which no other issuer may yield; nothing that
		// a token says besides may change them.
		t.Subject, names = t.RawSubject, nil
	}
	for _, step := range append(names, i.mapScopes, i.mapExtra, i.mapAuthentication) {
		if ref := step(t, facts); ref != nil {
			return ref
		}
	}
	return nil
}

// get returns a mapped value; absent when the claim is missing or the expression
// gives null.
func (v *compiledValue) get(facts *Facts, field string) (value any, present bool, ref *Refusal) {
	if v.program != nil {
		value, err := v.program.Eval(facts)
		if err != nil {
			return nil, false, unable(SubjectMapping, "claimMappings."+field+": the expression gives no value for this token: "+err.Error())
		}
		return value, value != nil, nil
	}
	if v.claim == "" {
		return nil, false, nil
	}
	value, present = facts.Claims[v.claim]
	return value, present, nil
}

// identity returns a mapped string that names somebody. An e-mail address names
// nobody unless its issuer verified it.
func (v *compiledValue) identity(facts *Facts, field string) (string, bool, *Refusal) {
	value, present, ref := v.get(facts, field)
	if ref != nil || !present {
		return "", false, ref
	}
	s, ok := value.(string)
	if !ok || s == "" || len(s) > maxIdentity || hasControl(s) {
		return "", false, deny(SubjectMapping, "claimMappings."+field+" is not a string of 1 to 255 bytes without control characters")
	}
	if v.claim == "email" && facts.Claims["email_verified"] != true {
		return "", false, deny(SubjectMapping, "claimMappings."+field+": the e-mail address is not verified (email_verified is not true)")
	}
	return s, true, nil
}

func (i *TrustedIssuer) mapSubject(t *Token, facts *Facts) *Refusal {
	s, present, ref := i.subject.identity(facts, "subject")
	if ref != nil {
		return ref
	}
	if !present {
		return deny(SubjectMapping, "claimMappings.subject: the claim is missing")
	}
	t.Subject = i.spec.Prefix + s
	return i.ownName(t.Subject, "subject")
}

// ownName refuses an identity that belongs to somebody else: the system's, or,
// for the one issuer without prefix, another issuer's.
func (i *TrustedIssuer) ownName(name, field string) *Refusal {
	if strings.HasPrefix(name, "system:") {
		return deny(SubjectMapping, "claimMappings."+field+": system: is reserved for the local cluster")
	}
	if i.spec.Prefix == "" && slices.ContainsFunc(i.spec.ForeignPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return deny(SubjectMapping, "claimMappings."+field+" starts with another issuer's prefix")
	}
	return nil
}

func (i *TrustedIssuer) mapUsername(t *Token, facts *Facts) *Refusal {
	s, present, ref := i.username.identity(facts, "username")
	if ref != nil {
		return ref
	}
	if present {
		t.Username = s
	}
	return nil
}

func (i *TrustedIssuer) mapGroups(t *Token, facts *Facts) *Refusal {
	value, present, ref := i.groups.get(facts, "groups")
	if ref != nil || !present {
		return ref
	}
	list, ok := stringList(value)
	if !ok {
		return deny(SubjectMapping, "claimMappings.groups is not a string or a list of at most 1000 strings")
	}
	groups := make([]string, 0, len(list))
	for _, g := range list {
		if g == "" || len(g) > maxIdentity || hasControl(g) {
			return deny(SubjectMapping, "claimMappings.groups: a group is empty, longer than 255 bytes or has control characters")
		}
		g = i.spec.Prefix + g
		if ref := i.ownName(g, "groups"); ref != nil {
			return ref
		}
		groups = append(groups, g)
	}
	t.Groups = groups
	return nil
}

// mapScopes reads the scopes. `scope` and `scp` that differ leave it open which
// is meant, whatever the mapping says: refused.
func (i *TrustedIssuer) mapScopes(t *Token, facts *Facts) *Refusal {
	scope, hasScope := facts.Claims["scope"]
	scp, hasScp := facts.Claims["scp"]
	if hasScope && hasScp {
		a, ok := scopeList(scope)
		b, ok2 := scopeList(scp)
		if !ok || !ok2 || !sameSet(a, b) {
			return deny(SubjectMapping, "scope and scp differ")
		}
	}
	value, present, ref := i.scopes.get(facts, "scopes")
	if ref != nil {
		return ref
	}
	if !present && i.scopes.claim == "scope" && hasScp {
		value, present = scp, true
	}
	if !present {
		return nil
	}
	list, ok := scopeList(value)
	if !ok {
		return deny(SubjectMapping, "claimMappings.scopes is not a space-separated string or a list of scopes")
	}
	for _, s := range list {
		s, ok := strings.CutPrefix(s, i.spec.Mappings.ScopePrefix)
		if !ok || s == "" {
			// What lacks the prefix is another API's scope, and means nothing here.
			continue
		}
		if to, mapped := i.scopeMap[s]; mapped {
			s = to
		}
		if !slices.Contains(t.Scopes, s) {
			t.Scopes = append(t.Scopes, s)
		}
	}
	return nil
}

func (i *TrustedIssuer) mapExtra(t *Token, facts *Facts) *Refusal {
	for n := range i.extra {
		e := &i.extra[n]
		value, present, ref := e.get(facts, "extra."+e.key)
		if ref != nil {
			return ref
		}
		if !present {
			continue
		}
		if _, isString := value.(string); !isString {
			if _, isList := value.([]any); !isList {
				return deny(SubjectMapping, "claimMappings.extra."+e.key+" is not a string or a list of strings")
			}
		}
		list, ok := stringList(value)
		if !ok || slices.ContainsFunc(list, hasControl) {
			return deny(SubjectMapping, "claimMappings.extra."+e.key+" is not a string or a list of strings of at most 1024 bytes")
		}
		if t.Extra == nil {
			t.Extra = make(map[string]any, len(i.extra))
		}
		if s, isString := value.(string); isString {
			t.Extra[e.key] = s
		} else {
			t.Extra[e.key] = list
		}
	}
	return nil
}

func (i *TrustedIssuer) mapAuthentication(t *Token, facts *Facts) *Refusal {
	acr, present, ref := i.acr.get(facts, "authentication.acr")
	if ref != nil {
		return ref
	}
	if present {
		s, ok := acr.(string)
		if !ok || len(s) > maxIdentity {
			return deny(SubjectMapping, "claimMappings.authentication.acr is not a string")
		}
		t.ACR = s
	}
	amr, present, ref := i.amr.get(facts, "authentication.amr")
	if ref != nil {
		return ref
	}
	if present {
		list, ok := stringList(amr)
		if !ok {
			return deny(SubjectMapping, "claimMappings.authentication.amr is not a list of strings")
		}
		t.AMR = list
	}
	at, present, ref := i.authTime.get(facts, "authentication.authTime")
	if ref != nil || !present {
		return ref
	}
	when, ok := numericDate(at)
	if !ok {
		return deny(SubjectMapping, "claimMappings.authentication.authTime is not a NumericDate")
	}
	t.AuthTime = when.Unix()
	return nil
}

// mapServiceAccount reads a Kubernetes service-account token: the private claim
// kubernetes.io must name the account that sub names.
func (i *TrustedIssuer) mapServiceAccount(t *Token) *Refusal {
	namespace, name, uid, ok := ServiceAccountOf(t.Claims)
	if !ok {
		return deny(TokenMalformed, "not a service-account token: sub and kubernetes.io do not name the same service account")
	}
	k8s, _ := t.Claims["kubernetes.io"].(map[string]any)
	t.Extra = map[string]any{"namespace": namespace, "name": name}
	uids := make([]string, 0, 3)
	if uid != "" {
		uids = append(uids, uid)
	}
	for _, bound := range [...]string{"pod", "node"} {
		ref, _ := k8s[bound].(map[string]any)
		if n, ok := ref["name"].(string); ok && n != "" {
			t.Extra[bound] = n
		}
		if u, ok := ref["uid"].(string); ok && u != "" {
			uids = append(uids, u)
		}
	}
	t.Extra["uids"] = uids
	t.Username = i.spec.Prefix + t.RawSubject
	t.Groups = []string{i.spec.Prefix + "system:serviceaccounts", i.spec.Prefix + "system:serviceaccounts:" + namespace}
	return nil
}

// ServiceAccountOf reads the account that a Kubernetes service-account token
// names: sub "system:serviceaccount:<namespace>:<name>". The private claim
// kubernetes.io, where there is one, must name the same; without it there is no
// UID. (Legacy tokens lack it, and are refused for want of exp and aud.)
func ServiceAccountOf(claims map[string]any) (namespace, name, uid string, ok bool) {
	sub, _ := claims["sub"].(string)
	rest, isAccount := strings.CutPrefix(sub, "system:serviceaccount:")
	namespace, name, two := strings.Cut(rest, ":")
	if !isAccount || !two || namespace == "" || name == "" || strings.Contains(name, ":") {
		return "", "", "", false
	}
	private, present := claims["kubernetes.io"]
	if !present {
		return namespace, name, "", true
	}
	k8s, _ := private.(map[string]any)
	account, _ := k8s["serviceaccount"].(map[string]any)
	if k8s["namespace"] != namespace || account["name"] != name {
		return "", "", "", false
	}
	uid, _ = account["uid"].(string)
	return namespace, name, uid, true
}
