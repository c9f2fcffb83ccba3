// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// samlTarget reads what assertions for the client look like.
func (w *world) samlTarget(c *client, in *v1alpha1.SAMLTarget) {
	const field = "spec.saml"
	t := &policy.SAMLTarget{EntityID: in.EntityID, Recipient: in.Recipient}
	c.exactName(field+".entityID", in.EntityID)
	if in.Recipient == "" {
		// The subject is confirmed to somebody: without an address, to the entity.
		t.Recipient = in.EntityID
	} else {
		c.exactName(field+".recipient", in.Recipient)
	}
	t.NameIDFormat = string(oneOf(c.object, field+".nameIDFormat", in.NameIDFormat, "Unspecified", "EmailAddress", "Persistent", "Transient"))
	c.atMost(field+".attributes", len(in.Attributes), 32)
	seen := map[string]bool{}
	for n, a := range in.Attributes {
		at := fmt.Sprintf("%s.attributes[%d]", field, n)
		switch {
		case !c.text(at+".name", a.Name, 1, 512):
		case policy.IsReservedClaim(a.Name):
			c.invalid(at+".name", "%s is reserved: the token service sets it, or nobody does", a.Name)
		case !isVisible(a.Name, ""):
			c.invalid(at+".name", "expected printable ASCII without spaces")
		case seen[a.Name]:
			c.invalid(at+".name", "the attribute %s is there twice", a.Name)
		}
		seen[a.Name] = true
		t.Attributes = append(t.Attributes, policy.Claim{Name: a.Name, Expression: w.expression(c.object, at+".expression", policy.EnvPolicy, policy.WantAny, a.Expression)})
	}
	slices.SortFunc(t.Attributes, func(a, b policy.Claim) int { return compare(a.Name, b.Name) })
	c.spec.SAML = t
	if c.service != nil {
		w.owned(c.object, field+".entityID", []string{t.EntityID}, delegatedAudiences)
	}
}

// audienceNames are the names by which the client can be asked for as an audience,
// beside its client ID.
func (c *client) audienceNames() []string {
	if c.spec.SAML == nil || contains(c.spec.Audiences, c.spec.SAML.EntityID) {
		return c.spec.Audiences
	}
	return append(slices.Clone(c.spec.Audiences), c.spec.SAML.EntityID)
}
