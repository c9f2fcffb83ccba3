// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
)

// mutualTLS reads what a client's certificate must say. Its names are the platform's
// to give; a hash names one certificate and needs nobody's leave.
func (w *world) mutualTLS(c *client, field string, in *v1alpha1.MutualTLSAuthentication) {
	var set members
	set.add("sanDNS", in.SANDNS != "")
	set.add("sanURI", in.SANURI != "")
	set.add("subjectDN", in.SubjectDN != "")
	set.add("thumbprints", len(in.Thumbprints) > 0)
	if !c.exactlyOne(field, set, "sanDNS, sanURI, subjectDN and thumbprints") {
		return
	}
	field += "." + set[0]
	switch {
	case in.SANDNS != "":
		if len(in.SANDNS) > 253 || !isSubdomain(in.SANDNS) {
			c.invalid(field, "expected a DNS name in lower case, without *")
			return
		}
		w.certificate(c, field, policy.Certificate{DNS: in.SANDNS})
	case in.SANURI != "":
		scheme, _, ok := strings.Cut(in.SANURI, ":")
		if !ok || !isScheme(scheme) || !c.exactName(field, in.SANURI) {
			c.invalid(field, "expected an absolute URI")
			return
		}
		w.certificate(c, field, policy.Certificate{URI: in.SANURI})
	case in.SubjectDN != "":
		dn, err := certname.DN(in.SubjectDN)
		if err != nil {
			c.invalid(field, "%s", err)
			return
		}
		w.certificate(c, field, policy.Certificate{DN: strings.TrimPrefix(dn, "dn:")})
	default:
		c.thumbprints(field, in.Thumbprints)
	}
}

// certificate takes a name that an authority vouches for.
func (w *world) certificate(c *client, field string, cert policy.Certificate) {
	if c.service != nil {
		w.owned(c.object, field, []string{cert.Identity()}, delegatedIdentities)
		if len(c.service.api.Spec.ClientCertificateAuthorities) == 0 {
			c.warn("%s: TokenService %s has no clientCertificateAuthorities, so that nobody vouches for a name in a certificate", field, c.service.name)
		}
	}
	c.spec.Certificates = append(c.spec.Certificates, cert)
}

func (c *client) thumbprints(field string, list []string) {
	c.atMost(field, len(list), 8)
	for n, text := range list {
		identity, err := certname.Hash(text)
		if err != nil {
			c.invalid(fmt.Sprintf("%s[%d]", field, n), "%s", err)
			continue
		}
		c.spec.Certificates = append(c.spec.Certificates, policy.Certificate{Thumbprint: strings.TrimPrefix(identity, "x5t#S256:")})
	}
}

// spiffe ties a SPIFFE ID to a client, in the trust domain of the issuer that is
// named or whose trust domain the ID has.
func (w *world) spiffe(c *client, field string, in *v1alpha1.SPIFFEAuthentication) {
	domain, ok := trustDomainOf(in.ID)
	if !ok {
		c.invalid(field+".id", "expected a SPIFFE ID of a workload: spiffe://, the trust domain in lower case and a path")
		return
	}
	if c.service == nil {
		return
	}
	i := w.issuerByName[in.Issuer]
	if in.Issuer == "" {
		i = w.issuerOfDomain(c.service, domain)
	}
	c.hangsOn(kindIssuer, "", in.Issuer, i.objectOf())
	switch {
	case i == nil && in.Issuer == "":
		c.unresolved(v1alpha1.ReasonRefNotFound, field+".issuer", "there is no TrustedIssuer of the member spiffe that is accepted and has the trust domain %s", domain)
	case i == nil || i.service != c.service:
		c.unresolved(v1alpha1.ReasonRefNotFound, field+".issuer", "there is no TrustedIssuer %q that is accepted, for TokenService %s", in.Issuer, c.service.name)
	case i.spec.Kind != policy.IssuerSPIFFE || !i.spec.ForClient:
		c.unresolved(v1alpha1.ReasonRefNotPermitted, field+".issuer", "TrustedIssuer %q does not authenticate clients by SVIDs: expected one of the member spiffe whose use has Client", i.name)
	case i.spec.TrustDomain != domain:
		c.invalid(field+".id", "it is of trust domain %s, and TrustedIssuer %s of %s", domain, i.name, i.spec.TrustDomain)
	default:
		w.owned(c.object, field+".id", []string{in.ID}, delegatedIdentities)
		c.spec.SPIFFE = append(c.spec.SPIFFE, policy.SPIFFE{Issuer: i.name, ID: in.ID})
	}
}

func (w *world) issuerOfDomain(s *service, domain string) *issuer {
	for _, i := range w.issuers {
		if i.service == s && i.inForce() && i.spec.Kind == policy.IssuerSPIFFE && i.spec.TrustDomain == domain {
			return i
		}
	}
	return nil
}

// trustDomainOf reads a SPIFFE ID of a workload as the exchanger reads those that it
// is shown; a bound of 512 bytes goes with every declared name.
func trustDomainOf(id string) (string, bool) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	domain, path, hasPath := strings.Cut(rest, "/")
	if !ok || !hasPath || len(id) > 512 || !isTrustDomain(domain) {
		return "", false
	}
	const visible = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.Trim(segment, visible) != "" {
			return "", false
		}
	}
	return domain, true
}

func isTrustDomain(s string) bool {
	return s != "" && len(s) <= 255 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// delegatedIdentities are the identities of a delegation; subjects of certificates
// are written in one way, as those of clients are.
func delegatedIdentities(d *v1alpha1.NameDelegation) []v1alpha1.NamePattern {
	out := slices.Clone(d.Identities)
	for n, p := range out {
		if dn, ok := strings.CutPrefix(string(p), "dn:"); ok && !strings.HasSuffix(dn, "*") {
			if canonical, err := certname.DN(dn); err == nil {
				out[n] = v1alpha1.NamePattern(canonical)
			}
		}
	}
	return out
}

// identityConflicts gives every identity to one namespace: the first by (namespace,
// name) of those to which it is delegated. Within a namespace several clients may
// have it, and client_id chooses. A hash is no name: it counts beside client_id only.
func (w *world) identityConflicts() {
	type key struct{ service, issuer, identity string }
	first := map[key]*client{}
	for _, c := range w.clients {
		if c.service == nil || c.absent != "" {
			continue
		}
		var all []key
		for _, cert := range c.spec.Certificates {
			if cert.Thumbprint == "" {
				all = append(all, key{c.service.name, "", cert.Identity()})
			}
		}
		for _, id := range c.spec.SPIFFE {
			all = append(all, key{c.service.name, id.Issuer, id.ID})
		}
		for _, k := range all {
			switch holder := first[k]; {
			case holder == nil:
				if w.notOwned(c.object, k.identity, delegatedIdentities) == "" {
					first[k] = c
				}
			case holder.namespace != c.namespace:
				c.problem(v1alpha1.ReasonConflicted, "spec.authentication", "%s authenticates an ExchangeClient of another namespace, which comes first by namespace and name", k.identity)
			}
		}
	}
}

func (c *client) sortIdentities() {
	slices.SortFunc(c.spec.Certificates, func(a, b policy.Certificate) int { return compare(a.Identity(), b.Identity()) })
	c.spec.Certificates = slices.Compact(c.spec.Certificates)
	slices.SortFunc(c.spec.SPIFFE, func(a, b policy.SPIFFE) int { return cmp.Or(compare(a.Issuer, b.Issuer), compare(a.ID, b.ID)) })
	c.spec.SPIFFE = slices.Compact(c.spec.SPIFFE)
}
