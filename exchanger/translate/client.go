// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func (w *world) translateClients() {
	for _, c := range w.clients {
		w.serviceOf(c.object, c.api.Spec.TokenServiceRef)
		c.spec = policy.Client{Namespace: c.namespace, Name: c.name, ID: c.api.Spec.ClientID}
		if c.spec.ID == "" {
			c.spec.ID = c.ref()
		}
		if c.service != nil {
			c.spec.TokenService = c.service.name
		}
		if c.absent == "" {
			w.guard(c.object, func() { w.translateClient(c) })
		}
	}
}

func (w *world) translateClient(c *client) {
	spec := &c.api.Spec
	c.checkID()
	c.grants(spec.Grants)
	c.atMost("spec.authentication", len(spec.Authentication), 8)
	for n := range spec.Authentication {
		w.authentication(c, fmt.Sprintf("spec.authentication[%d]", n), &spec.Authentication[n])
	}
	if len(c.spec.SecretDigests) > 2 {
		c.invalid("spec.authentication", "expected at most two client secrets, the old one and the new one")
	}
	c.sortCredentials()
	c.spec.Audiences = c.names("spec.audiences", spec.Audiences, 32)
	c.resources(spec.Resources)
	if spec.SAML != nil {
		w.samlTarget(c, spec.SAML)
	}
	c.spec.Opaque = oneOf(c.object, "spec.token.format", spec.Token.Format, v1alpha1.TokenFormatJWT, v1alpha1.TokenFormatOpaque) == v1alpha1.TokenFormatOpaque
	c.spec.Lifetime = c.shorterThanMax("spec.token.lifetime", spec.Token.Lifetime)
	c.spec.RevokeIssuedBefore = w.revocation(c.object, spec.RevokeIssuedBefore)
	c.spec.Labels = labels(c.api.Labels)
	if c.service != nil {
		w.owned(c.object, "spec.audiences", c.spec.Audiences, delegatedAudiences)
		w.owned(c.object, "spec.resources", c.spec.Resources, delegatedResources)
	}
}

// labels are what expressions and selectors see. None is nil, so that equal
// objects give equal bytes.
func labels(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = v
	}
	return out
}

func (c *client) checkID() {
	id := c.spec.ID
	switch {
	case !strings.HasPrefix(id, c.namespace+"/") || id == c.namespace+"/":
		c.invalid("spec.clientID", "expected one that begins with %s/, which belongs to this namespace", c.namespace)
	case len(id) > 253 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-") != "":
		c.invalid("spec.clientID", "expected at most 253 letters, digits and . _ / -")
	}
}

func (c *client) grants(list []v1alpha1.GrantType) {
	served := []v1alpha1.GrantType{v1alpha1.GrantTokenExchange, v1alpha1.GrantJWTBearer}
	got := manyOf(c.object, "spec.grants", list, served[:1], served, served)
	c.spec.TokenExchange = slices.Contains(got, v1alpha1.GrantTokenExchange)
	c.spec.JWTBearer = slices.Contains(got, v1alpha1.GrantJWTBearer)
}

// resources reads resource URIs: absolute, without fragment (RFC 8707, section 2).
func (c *client) resources(list []v1alpha1.ResourceURI) {
	c.atMost("spec.resources", len(list), 32)
	for n, r := range list {
		at := fmt.Sprintf("spec.resources[%d]", n)
		if !c.exactName(at, string(r)) {
			continue
		}
		scheme, rest, ok := strings.Cut(string(r), ":")
		authority := ""
		if after, has := strings.CutPrefix(rest, "//"); has {
			authority, _, _ = strings.Cut(after, "/")
		}
		switch {
		case !ok || rest == "" || !isScheme(scheme):
			c.invalid(at, "expected an absolute URI, such as https://api.example.com/orders")
		case strings.Contains(rest, "#"):
			c.invalid(at, "expected no fragment (RFC 8707, section 2)")
		case strings.Contains(authority, "@"):
			c.invalid(at, "expected no user name or password")
		default:
			c.spec.Resources = append(c.spec.Resources, string(r))
		}
	}
	c.spec.Resources = sortedSet(c.spec.Resources)
}

func isScheme(s string) bool {
	letter := func(b byte) bool { return (b|0x20) >= 'a' && (b|0x20) <= 'z' }
	if s == "" || !letter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !letter(s[i]) && (s[i] < '0' || s[i] > '9') && s[i] != '+' && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return true
}

// shorterThanMax reads a lifetime that narrows the TokenService's. One beyond its
// max is cut there, and says so: the platform may lower the max at any time.
func (o *object) shorterThanMax(field string, d v1alpha1.Duration) time.Duration {
	out := o.duration(field, d, 0, minLifetime, maxLifetime)
	if o.service != nil && out > o.service.spec.MaxLifetime {
		o.warn("%s: TokenService %s cuts it to its max of %s", field, o.service.name, short(o.service.spec.MaxLifetime))
	}
	return out
}

func (c *client) sortCredentials() {
	c.spec.SecretDigests = sortedSet(c.spec.SecretDigests)
	c.spec.AssertionKeys = sortedSet(c.spec.AssertionKeys)
	c.sortIdentities()
	slices.SortFunc(c.spec.ServiceAccounts, func(a, b policy.ServiceAccount) int {
		return compare(a.Issuer+"\x00"+a.Name+"\x00"+a.UID, b.Issuer+"\x00"+b.Name+"\x00"+b.UID)
	})
	c.spec.ServiceAccounts = slices.Compact(c.spec.ServiceAccounts)
}

// clientSpecs gathers the clients in force, and the names of absent ones, so that
// a refusal can say why. An absent client's ID that somebody else has is his.
func (w *world) clientSpecs() []policy.Client {
	if len(w.clients) == 0 {
		return nil
	}
	taken := make(map[[2]string]bool, len(w.clients))
	out := make([]policy.Client, 0, len(w.clients))
	for _, c := range w.clients {
		if c.inForce() {
			taken[[2]string{c.spec.TokenService, c.spec.ID}] = true
		}
	}
	for _, c := range w.clients {
		key := [2]string{c.spec.TokenService, c.spec.ID}
		switch {
		case c.inForce():
			out = append(out, c.spec)
		case c.absent != "" && c.service != nil && !taken[key] && strings.HasPrefix(c.spec.ID, c.namespace+"/"):
			taken[key] = true
			out = append(out, policy.Client{
				ID: c.spec.ID, Namespace: c.namespace, Name: c.name, TokenService: c.spec.TokenService, Suspended: true,
			})
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
