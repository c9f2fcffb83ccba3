// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

// Source says where the keys of one trusted issuer come from: Inline, JWKSURL, the
// local cluster or, when none is set, discovery; and what they were when somebody
// last looked for us (Carried).
type Source struct {
	// Name is the TrustedIssuer's.
	Name string
	// Digest identifies the configuration; keys fetched under one digest are
	// never served for another.
	Digest string
	// URL is the issuer identifier, the `iss` of its tokens. With discovery the
	// document must repeat it byte for byte.
	URL string
	// DiscoveryURL is where the discovery document is, when that is not below
	// URL.
	DiscoveryURL string
	// JWKSURL is where the keys are; there is no discovery then.
	JWKSURL string
	// Inline is a JWKS document; nothing is fetched then.
	Inline []byte
	// Local says that the keys are those of the cluster that this process runs in.
	// They are carried; nothing is ever dialled for them, whatever URL says.
	Local bool
	// SPIFFE says that what is read is the trust bundle of a trust domain: its keys
	// verify JWT-SVIDs, its authorities X.509-SVIDs.
	SPIFFE bool
	// SAML says that URL is the entity ID of an identity provider, and that what is
	// at JWKSURL is its metadata. Inline and Carried are JWK Sets as everywhere.
	SAML bool
	// Carried is a JWK Set that was fetched for us, empty when there is none. Its
	// keys are in force without a fetch. Where Options.CarrierFresh is set, a changed
	// set replaces the one before it at once; where it is not, this process is the
	// one that fetches, and Carried only says where it begins.
	Carried []byte
	// CABundle is PEM: who may sign this issuer's certificates, instead of the
	// system's roots.
	CABundle []byte
	// AllowedCIDRs are ranges beyond the public Internet that may be dialled.
	AllowedCIDRs []netip.Prefix
	// AllowLoopbackHTTP says that loopback may be dialled, over http too, if
	// AllowedCIDRs has it. Only `serve` sets it.
	AllowLoopbackHTTP bool

	warnings []string // found while configuring
}

// equal says whether both are asked in the same way; what is carried is not asked.
func (s Source) equal(o Source) bool {
	return s.Name == o.Name && s.Digest == o.Digest && s.URL == o.URL && s.DiscoveryURL == o.DiscoveryURL && s.JWKSURL == o.JWKSURL &&
		bytes.Equal(s.Inline, o.Inline) && bytes.Equal(s.CABundle, o.CABundle) &&
		slices.Equal(s.AllowedCIDRs, o.AllowedCIDRs) && s.AllowLoopbackHTTP == o.AllowLoopbackHTTP && s.Local == o.Local && s.SPIFFE == o.SPIFFE && s.SAML == o.SAML
}

// target is a Source that was checked: what the worker asks.
type target struct {
	issuer    string
	discovery *url.URL // nil when jwks is declared
	jwks      *url.URL // nil when it is to be discovered
	declared  []*url.URL
	rules     egress.Rules
	pool      *x509.CertPool // nil for the system's roots
	saml      bool
}

const wellKnown = "/.well-known/openid-configuration"

// newTarget checks a source that dials. The pool is made by the caller.
func newTarget(s Source, pool *x509.CertPool) (*target, error) {
	t := &target{issuer: s.URL, pool: pool, saml: s.SAML, rules: egress.Rules{AllowedCIDRs: s.AllowedCIDRs, Loopback: s.AllowLoopbackHTTP}}
	if s.JWKSURL != "" {
		if s.DiscoveryURL != "" {
			return nil, errors.New("jwksURL and discoveryURL are both set: expected one")
		}
		u, err := t.rules.ParseURL(s.JWKSURL)
		if err != nil {
			return nil, fmt.Errorf("jwksURL: %w", err)
		}
		t.jwks = u
		return t, nil
	}
	if s.SAML {
		return nil, errors.New("metadataURL is missing: an entity ID is a name, and nothing is looked for there")
	}
	u, err := t.rules.ParseIssuer(s.URL)
	if err != nil {
		return nil, fmt.Errorf("issuer url: %w", err)
	}
	t.declared = append(t.declared, u)
	raw := strings.TrimSuffix(s.URL, "/") + wellKnown // OpenID Connect Discovery 1.0, section 4
	if s.DiscoveryURL != "" {
		raw = s.DiscoveryURL
	}
	if t.discovery, err = t.rules.ParseURL(raw); err != nil {
		return nil, fmt.Errorf("discoveryURL: %w", err)
	}
	t.declared = append(t.declared, t.discovery)
	return t, nil
}

// checkJWKS holds a jwks_uri, which the network gave us, to the hosts that a
// person declared, and to their ports or 443.
func (t *target) checkJWKS(raw string) (*url.URL, error) {
	u, err := t.rules.ParseURL(raw)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri: %w", err)
	}
	sameHost := false
	for _, d := range t.declared {
		if !strings.EqualFold(u.Hostname(), d.Hostname()) {
			continue
		}
		sameHost = true
		if d.Scheme == "https" && u.Scheme != "https" {
			return nil, errors.New("jwks_uri: expected the scheme https, as the issuer has")
		}
		if p := port(u); p == port(d) || p == "443" {
			return u, nil
		}
	}
	if sameHost {
		return nil, errors.New("jwks_uri: expected port 443 or the issuer's own port; if that is meant, declare the address as keys.jwksURL")
	}
	return nil, fmt.Errorf("jwks_uri: host %q is not the issuer's; if that is meant, declare the address as keys.jwksURL", u.Hostname())
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}
