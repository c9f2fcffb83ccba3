// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"encoding/json"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// spiffeIssuer reads a trust domain. Its JWT-SVIDs have no typ that tells and none of
// the claims of ID tokens: their class is JWT.
func (w *world) spiffeIssuer(i *issuer, in *v1alpha1.SPIFFEIssuer) {
	i.spec.Kind = policy.IssuerSPIFFE
	i.spec.Classes = []policy.Class{policy.ClassJWT}
	// JWT-SVID, section 2.1, less those that this build does not know.
	i.spec.Algorithms = strs(sortedValues(usualAlgorithms()))
	if !isTrustDomain(in.TrustDomain) {
		i.invalid("spec.spiffe.trustDomain", "expected the name of a trust domain: lower-case letters, digits, dots, - and _")
		return
	}
	i.spec.TrustDomain = in.TrustDomain
	i.spec.URL = "spiffe://" + in.TrustDomain
	i.spec.Audiences = i.names("spec.spiffe.audiences", in.Audiences, 32)
	rules := w.dialRules(i)
	const field = "spec.spiffe.bundle"
	var set members
	set.add("inline", in.Bundle.Inline != nil)
	set.add("configMapRef", in.Bundle.ConfigMapRef != nil)
	set.add("url", in.Bundle.URL != "")
	if !i.exactlyOne(field, set, "inline, configMapRef and url") {
		return
	}
	switch {
	case in.Bundle.Inline != nil:
		if text, err := json.Marshal(in.Bundle.Inline); err == nil {
			i.spec.Keys.Inline = w.bundle(i, field+".inline", text)
		}
	case in.Bundle.ConfigMapRef != nil:
		at := field + ".configMapRef"
		if text, ok := w.configMapText(i.object, at, w.in.OperatorNamespace, in.Bundle.ConfigMapRef); ok {
			i.spec.Keys.Inline = w.bundle(i, at, []byte(text))
		}
	default:
		w.dialled(i.object, field+".url", in.Bundle.URL, rules)
		i.spec.Keys.JWKSURL = string(in.Bundle.URL)
	}
}

// bundle reads a trust bundle that stands in an object.
func (w *world) bundle(i *issuer, field string, text []byte) string {
	if !i.publicKeys(field, text) {
		return ""
	}
	if w.in.CheckBundle != nil {
		if err := w.in.CheckBundle(text); err != nil {
			i.invalid(field, "%s", err)
			return ""
		}
	}
	return string(text)
}
