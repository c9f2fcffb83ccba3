// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package translate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func compare(a, b string) int { return strings.Compare(a, b) }

// issuerConflicts finds TrustedIssuers of one TokenService that claim the same
// thing. Both are out: a stranger must not become somebody by an object's removal.
func (w *world) issuerConflicts() {
	var list []*issuer
	for _, i := range w.issuers {
		if i.valid() {
			w.ownIssuer(i)
			w.credentialAudiences(i)
		}
		if i.valid() {
			list = append(list, i)
		}
	}
	for n, a := range list {
		for _, b := range list[n+1:] {
			if a.service != nil && a.service == b.service {
				issuersConflict(a, b)
			}
		}
	}
	for _, i := range w.issuers {
		if i.inForce() {
			w.foreignPrefixes(i)
		}
		if i.inForce() {
			w.issuerByName[i.name] = i
		}
	}
}

// ownIssuer keeps our own tokens from being read as a stranger's, which would go
// past the sealed facts of their first verification.
func (w *world) ownIssuer(i *issuer) {
	for _, s := range w.services {
		if s.valid() && s.spec.Issuer == i.spec.URL {
			i.problem(v1alpha1.ReasonConflicted, "spec", "its URL is the issuer of TokenService %s: policies admit its tokens with subject.issuers {self: true}", s.name)
		}
	}
}

// credentialAudiences keeps what marks a client credential from marking a subject.
func (w *world) credentialAudiences(i *issuer) {
	if i.service == nil || !i.spec.ForClient {
		return
	}
	for _, a := range i.spec.Audiences {
		switch {
		case a == i.service.spec.Issuer:
			i.warn("audience %s is the issuer, so that a token for it is a client credential: as a subject it serves only the client that it authenticates in the same request", a)
		case contains(i.service.spec.AssertionAudiences, a):
			i.problem(v1alpha1.ReasonConflicted, "spec", "audience %s is one of clientAssertionAudiences of TokenService %s: a token for it is a credential, never a subject", a, i.service.name)
		}
	}
}

func issuersConflict(a, b *issuer) {
	shared := a.spec.Kind == policy.IssuerKubernetes && b.spec.Kind == policy.IssuerKubernetes
	switch {
	case a.spec.URL != b.spec.URL || shared:
	case (a.spec.Kind == policy.IssuerSAML) != (b.spec.Kind == policy.IssuerSAML):
		// An entity ID: many a provider's is the URL that it issues tokens under.
	case a.spec.Kind.Opaque() && b.spec.Kind.Opaque():
		both(a.object, b.object, "spec", "they have the same tokenTypeURI, which must select one of them")
	case a.spec.Kind == policy.IssuerSAML:
		both(a.object, b.object, "spec.saml.entityID", "they have the same entity ID")
	default:
		both(a.object, b.object, "spec", "they have the same URL, which only issuers of the member kubernetes may")
	}
	if isLocal(a.api) && isLocal(b.api) {
		both(a.object, b.object, "spec.kubernetes.cluster.local", "a TokenService has one TrustedIssuer for the local cluster at most")
	}
	p, q := a.spec.Prefix, b.spec.Prefix
	switch {
	case isLocal(a.api) || isLocal(b.api): // has names of its own
	case p == "" && q == "":
		both(a.object, b.object, "spec.identityPrefix", "one issuer at most may have the empty identityPrefix")
	case p != "" && q != "" && (strings.HasPrefix(p, q) || strings.HasPrefix(q, p)):
		both(a.object, b.object, "spec.identityPrefix", "%q is %q or begins with it: they could name each other's people", longer(p, q), shorter(p, q))
	}
}

func longer(p, q string) string {
	if len(p) < len(q) {
		return q
	}
	return p
}

func shorter(p, q string) string {
	if len(p) < len(q) {
		return p
	}
	return q
}

// foreignPrefixes tells the one issuer without a prefix what its subjects must not
// begin with: the prefix of every other issuer that is declared, in force or not,
// decodable or not. Whoever breaks the object of a strict issuer must not hand its
// people to a lax one; where nobody knows the prefix, there is no lax one.
func (w *world) foreignPrefixes(i *issuer) {
	if i.spec.Prefix != "" || isLocal(i.api) {
		return
	}
	for _, u := range w.in.Objects.Undecodable {
		switch {
		case u.Kind != kindIssuer:
		case u.IdentityPrefix != "":
			i.spec.ForeignPrefixes = append(i.spec.ForeignPrefixes, u.IdentityPrefix)
		default:
			i.problem(v1alpha1.ReasonConflicted, "spec.identityPrefix",
				"TrustedIssuer %s cannot be read, so that nobody knows which names are its own: an issuer with an empty identityPrefix could take them; mend that object, or choose a prefix", u.Name)
		}
	}
	for _, o := range w.issuers {
		if o == i || serviceName(o.api.Spec.TokenServiceRef) != i.service.name {
			continue
		}
		if p := prefixOf(o.api); p != "" {
			i.spec.ForeignPrefixes = append(i.spec.ForeignPrefixes, p)
		}
	}
	i.spec.ForeignPrefixes = sortedSet(i.spec.ForeignPrefixes)
}

func serviceName(ref *v1alpha1.TokenServiceReference) string {
	if ref == nil {
		return v1alpha1.DefaultTokenService
	}
	return ref.Name
}

// checkAliases reads the foreign client IDs, before anything is known of clients.
func (i *issuer) checkAliases() {
	list := i.api.Spec.Clients
	seen := map[string]bool{}
	i.atMost("spec.clients", len(list), 256)
	for n, c := range list {
		at := fmt.Sprintf("spec.clients[%d]", n)
		i.text(at+".id", c.ID, 1, maxNameBytes)
		i.named(at+".client", c.Client.Namespace, c.Client.Name)
		if c.Client.Namespace == "" {
			i.invalid(at+".client.namespace", "expected the name of a namespace")
		}
		if seen[c.ID] {
			i.invalid(at+".id", "client ID %q is there twice", c.ID)
		}
		seen[c.ID] = true
	}
}

// aliases ties foreign client IDs to clients. A client that is missing, or that
// is another TokenService's, is unmatched.
func (w *world) aliases() {
	for _, i := range w.issuers {
		if !i.inForce() {
			continue
		}
		for _, c := range i.api.Spec.Clients {
			ref := c.Client.Namespace + "/" + c.Client.Name
			found, ok := w.clientByRef[ref]
			if !ok || found.service != i.service {
				i.miss(kindClient, ref)
				continue
			}
			i.spec.ClientAliases = append(i.spec.ClientAliases, policy.Alias{ID: c.ID, Client: found.spec.ID})
		}
		slices.SortFunc(i.spec.ClientAliases, func(a, b policy.Alias) int { return compare(a.ID, b.ID) })
	}
}
