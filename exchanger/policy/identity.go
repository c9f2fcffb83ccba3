// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
)

// identities are what authenticates clients of a token service besides secrets, keys
// of their own and service accounts.
type identities struct {
	byCertificate map[string][]*AskingClient
	bySPIFFE      map[SPIFFE][]*AskingClient
	domains       map[string]*TrustedIssuer
	methods       Methods
}

// Methods says by which kinds of credential the clients of a token service are
// declared to authenticate, for its metadata.
type Methods struct {
	// Certificates are vouched for by an authority, Thumbprints are known one by one.
	Certificates, Thumbprints bool
	// SPIFFE is by SVIDs, Public by none at all.
	SPIFFE, Public bool
}

// Methods says how clients are declared to authenticate.
func (t *TokenService) Methods() Methods { return t.identities.methods }

// ClientsByCertificate returns the clients that a name in a certificate, or the
// certificate itself, authenticates; see [Certificate.Identity].
func (t *TokenService) ClientsByCertificate(identity string) []*AskingClient {
	return t.identities.byCertificate[identity]
}

// ClientsBySPIFFE returns the clients that a SPIFFE ID authenticates, in the trust
// domain that issuer names.
func (t *TokenService) ClientsBySPIFFE(issuer, id string) []*AskingClient {
	return t.identities.bySPIFFE[SPIFFE{Issuer: issuer, ID: id}]
}

// TrustDomain returns the trusted issuer of a trust domain's SVIDs, suspended ones
// included.
func (t *TokenService) TrustDomain(name string) (*TrustedIssuer, bool) {
	i, ok := t.identities.domains[name]
	return i, ok
}

// Identity is the one spelling of what a certificate must say, as package certname
// has it.
func (c Certificate) Identity() string {
	switch {
	case c.DNS != "":
		return "dns:" + c.DNS
	case c.URI != "":
		return "uri:" + c.URI
	case c.DN != "":
		return "dn:" + c.DN
	case c.Thumbprint != "":
		return "x5t#S256:" + c.Thumbprint
	}
	return ""
}

// add notes a client's identities.
func (i *identities) add(c *AskingClient) {
	for _, cert := range c.spec.Certificates {
		identity := cert.Identity()
		if identity == "" {
			continue
		}
		i.methods.Thumbprints = i.methods.Thumbprints || cert.Thumbprint != ""
		i.methods.Certificates = i.methods.Certificates || cert.Thumbprint == ""
		if i.byCertificate == nil {
			i.byCertificate = map[string][]*AskingClient{}
		}
		i.byCertificate[identity] = appendClient(i.byCertificate[identity], c)
	}
	for _, id := range c.spec.SPIFFE {
		if i.bySPIFFE == nil {
			i.bySPIFFE = map[SPIFFE][]*AskingClient{}
		}
		i.bySPIFFE[id] = appendClient(i.bySPIFFE[id], c)
		i.methods.SPIFFE = true
	}
	i.methods.Public = i.methods.Public || c.spec.Public
}

func appendClient(list []*AskingClient, c *AskingClient) []*AskingClient {
	if slices.Contains(list, c) {
		return list
	}
	return append(list, c)
}

// trust notes an issuer of SVIDs. One that is suspended hides no other.
func (i *identities) trust(t *TrustedIssuer) {
	domain := t.spec.TrustDomain
	if t.spec.Kind != IssuerSPIFFE || domain == "" {
		return
	}
	if have := i.domains[domain]; have != nil && t.spec.Suspended {
		return
	}
	if i.domains == nil {
		i.domains = map[string]*TrustedIssuer{}
	}
	i.domains[domain] = t
}

// trustDomainURL is how the URL of an issuer of SVIDs begins; no other issuer's does.
const trustDomainURL = "spiffe://"

// issuedBy is the `iss` that a token of the issuer has. A JWT-SVID tells by the trust
// domain in its sub who vouches for it; its iss, where it has one, is for other
// readers (JWT-SVID, section 3).
func issuedBy(claims map[string]any, issuer string) (iss string, ok bool) {
	if !strings.HasPrefix(issuer, trustDomainURL) {
		iss, ok = claims["iss"].(string)
		return iss, ok && iss == issuer
	}
	sub, _ := claims["sub"].(string)
	return issuer, strings.HasPrefix(sub, issuer+"/")
}
