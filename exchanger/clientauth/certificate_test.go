// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/clientauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof"
	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
	"github.com/exchequer-dev/exchequer/test/fakes/spiffe"
	"github.com/exchequer-dev/exchequer/test/fakes/world"
)

const frontendID = "spiffe://example.org/ns/shop/sa/frontend"

// certified is a world with an authority of client certificates, a trust domain, and
// clients that each authenticate by one of them.
type certified struct {
	*world.World
	a *clientauth.Authenticator
	// authority issues what clientCertificateAuthorities vouch for; domain is the
	// trust domain example.org; stranger is another authority that says the same names.
	authority, domain, stranger *spiffe.Domain
	known                       tls.Certificate
}

func newCertified(t *testing.T, changes ...func(*policy.Spec)) *certified {
	t.Helper()
	w := world.New(t)
	c := &certified{World: w}
	for _, d := range []struct {
		to   **spiffe.Domain
		name string
	}{{&c.authority, "ca.example"}, {&c.domain, "example.org"}, {&c.stranger, "example.org"}} {
		var err error
		if *d.to, err = spiffe.New(d.name, w.Now); err != nil {
			t.Fatal(err)
		}
	}
	c.known = c.issue(t, c.stranger, &x509.Certificate{Subject: pkix.Name{CommonName: "known"}})
	add := func(s *policy.Spec) {
		for i := range s.Services {
			s.Services[i].ClientCAs = []string{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.authority.CA.Raw}))}
		}
		s.Issuers = append(s.Issuers, policy.Issuer{
			Name: "mesh", TokenService: world.Service, Kind: policy.IssuerSPIFFE, URL: "spiffe://example.org", TrustDomain: "example.org", ForClient: true,
			Algorithms: []string{"ES256"}, Classes: []policy.Class{policy.ClassJWT}, Prefix: "mesh:", MaxTokenAge: 24 * time.Hour, ClockSkew: 30 * time.Second,
			Keys: policy.Keys{Inline: string(c.domain.Bundle())}, Mappings: policy.Mappings{Subject: policy.Value{Claim: "sub"}},
		})
		client := func(name string, edit func(*policy.Client)) {
			n := policy.Client{ID: "mesh/" + name, Namespace: "mesh", Name: name, TokenService: world.Service, TokenExchange: true}
			edit(&n)
			s.Clients = append(s.Clients, n)
		}
		client("dns", func(n *policy.Client) { n.Certificates = []policy.Certificate{{DNS: "dns.mesh.svc"}} })
		client("twin-a", func(n *policy.Client) { n.Certificates = []policy.Certificate{{DNS: "twin.mesh.svc"}} })
		client("twin-b", func(n *policy.Client) { n.Certificates = []policy.Certificate{{DNS: "twin.mesh.svc"}} })
		client("subject", func(n *policy.Client) { n.Certificates = []policy.Certificate{{DN: "CN=subject,O=Example"}} })
		client("known", func(n *policy.Client) {
			n.Certificates = []policy.Certificate{{Thumbprint: certname.Thumbprint(c.known.Leaf)}}
		})
		client("svid", func(n *policy.Client) { n.SPIFFE = []policy.SPIFFE{{Issuer: "mesh", ID: frontendID}} })
		client("app", func(n *policy.Client) { n.Public = true })
		client("gone", func(n *policy.Client) {
			n.Public, n.Suspended = true, true
			n.Certificates = []policy.Certificate{{DNS: "gone.mesh.svc"}}
		})
	}
	w.Change(append([]func(*policy.Spec){add}, changes...)...)
	c.a = newAuthenticator(w)
	return c
}

func (c *certified) issue(t *testing.T, by *spiffe.Domain, names *x509.Certificate) tls.Certificate {
	t.Helper()
	cert, err := by.Issue(names)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (c *certified) svid(t *testing.T, by *spiffe.Domain, id string) tls.Certificate {
	t.Helper()
	cert, err := by.X509SVID(id)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func withDNS(dns string) *x509.Certificate { return &x509.Certificate{DNSNames: []string{dns}} }

func presented(cert tls.Certificate) clientauth.Credentials {
	return clientauth.Credentials{Certificate: &proof.Certificate{Leaf: cert.Leaf}}
}

func TestACertificateAuthenticatesTheClientThatDeclaresIt(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	for name, tc := range map[string]struct {
		given  clientauth.Credentials
		client string
		method string
	}{
		"by a DNS name":                       {presented(c.issue(t, c.authority, withDNS("dns.mesh.svc"))), "mesh/dns", "tls_client_auth"},
		"by one of several names":             {presented(c.issue(t, c.authority, &x509.Certificate{DNSNames: []string{"other", "dns.mesh.svc"}})), "mesh/dns", "tls_client_auth"},
		"by its subject":                      {presented(c.issue(t, c.authority, &x509.Certificate{Subject: pkix.Name{CommonName: "subject", Organization: []string{"Example"}}})), "mesh/subject", "tls_client_auth"},
		"by itself, whoever signed it":        {named("mesh/known", presented(c.known)), "mesh/known", "self_signed_tls_client_auth"},
		"by an X.509-SVID":                    {presented(c.svid(t, c.domain, frontendID)), "mesh/svid", "spiffe_x509"},
		"with a client_id that says the same": {named("mesh/dns", presented(c.issue(t, c.authority, withDNS("dns.mesh.svc")))), "mesh/dns", "tls_client_auth"},
		"with a client_id that chooses":       {named("mesh/twin-b", presented(c.issue(t, c.authority, withDNS("twin.mesh.svc")))), "mesh/twin-b", "tls_client_auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := accept(t, c.World, c.a, tc.given)
			if auth.ID != tc.client || auth.Method != tc.method || auth.Consume != nil || auth.Public {
				t.Errorf("found %+v", auth.ClientAuth)
			}
			if tc.method == "spiffe_x509" && (auth.Issuer != "spiffe://example.org" || auth.Subject != frontendID) {
				t.Errorf("found %s %s", auth.Issuer, auth.Subject)
			}
		})
	}
}

func TestACertificateThatProvesNothingAuthenticatesNobody(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	frontend := c.svid(t, c.domain, frontendID)
	for name, tc := range map[string]struct {
		given  clientauth.Credentials
		reason policy.Reason
	}{
		"F69: of another authority, with the name of a client": {presented(c.issue(t, c.stranger, withDNS("dns.mesh.svc"))), policy.ClientCredentials},
		"F69: with a name that no client declares":             {presented(c.issue(t, c.authority, withDNS("nobody.mesh.svc"))), policy.ClientUnknown},
		"F69: with a wildcard over a client's name":            {presented(c.issue(t, c.authority, withDNS("*.mesh.svc"))), policy.ClientUnknown},
		"F69: another one with the subject of a declared one":  {presented(c.issue(t, c.stranger, &x509.Certificate{Subject: pkix.Name{CommonName: "known"}})), policy.ClientCredentials},
		"F69: with a part of a client's subject":               {presented(c.issue(t, c.authority, &x509.Certificate{Subject: pkix.Name{CommonName: "subject"}})), policy.ClientUnknown},
		"F69: of another client than client_id says":           {named("mesh/subject", presented(c.issue(t, c.authority, withDNS("dns.mesh.svc")))), policy.ClientCredentials},
		"F69: by its hash, without client_id":                  {presented(c.known), policy.ClientCredentials},
		"F69: by its hash, as a client that declares another":  {named("mesh/dns", presented(c.known)), policy.ClientCredentials},
		"a name that two clients declare, without client_id":   {presented(c.issue(t, c.authority, withDNS("twin.mesh.svc"))), policy.FormInvalid},
		"F69: an SVID of another domain by the same name":      {presented(c.svid(t, c.stranger, frontendID)), policy.ClientCredentials},
		"F69: an SVID that the platform's authority issued":    {presented(c.svid(t, c.authority, frontendID)), policy.ClientCredentials},
		"an SVID that no client declares":                      {presented(c.svid(t, c.domain, "spiffe://example.org/other")), policy.ClientUnknown},
		"an SVID of a domain that nobody declares":             {presented(c.svid(t, c.domain, "spiffe://elsewhere.example/x")), policy.ClientCredentials},
		"an SVID and a client_id that declares no SPIFFE ID":   {named("mesh/dns", presented(frontend)), policy.ClientCredentials},
		"a suspended client's certificate":                     {presented(c.issue(t, c.authority, withDNS("gone.mesh.svc"))), policy.ClientUnknown},
		"F54: a secret that is wrong beside a certificate": {func() clientauth.Credentials {
			g := presented(c.known)
			g.ClientID, g.ClientSecret = "mesh/known", "x"
			return g
		}(), policy.ClientCredentials},
		"a client that sends nothing at all":                     {clientauth.Credentials{}, policy.ClientCredentials},
		"a client_id alone of a client that has a credential":    {named("mesh/dns", clientauth.Credentials{}), policy.ClientCredentials},
		"a client_id alone of a public client that is suspended": {named("mesh/gone", clientauth.Credentials{}), policy.ClientCredentials},
		"a client_id alone of nobody":                            {named("mesh/nobody", clientauth.Credentials{}), policy.ClientCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reject(t, c.World, c.a, tc.given, tc.reason)
		})
	}
}

func TestF69ACertificateEndsWithItsTime(t *testing.T) {
	t.Parallel()
	t.Run("F69: expired", func(t *testing.T) {
		t.Parallel()
		c := newCertified(t)
		all := []clientauth.Credentials{presented(c.issue(t, c.authority, withDNS("dns.mesh.svc"))), named("mesh/known", presented(c.known)), presented(c.svid(t, c.domain, frontendID))}
		for _, given := range all {
			accept(t, c.World, c.a, given)
		}
		c.Advance(61 * time.Minute)
		for _, given := range all {
			reject(t, c.World, c.a, given, policy.ClientCredentials)
		}
	})
}

func TestACertificateIsNoCredentialBesideAnother(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	given := presented(c.known)
	given.BasicPresent, given.BasicID, given.BasicSecret = true, "shop/target", world.Secret
	auth, ref := authenticate(t, c.World, c.a, given)
	if ref == nil && auth.Method != "client_secret_basic" {
		t.Errorf("found %+v", auth.ClientAuth)
	}
	if ref != nil && ref.Reason == policy.FormInvalid {
		t.Errorf("found %v: the certificate is for binding here, not a second credential", ref)
	}
}

func TestWithoutAuthoritiesNoCertificateCounts(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	cert := c.issue(t, c.authority, withDNS("dns.mesh.svc"))
	c.Change(func(s *policy.Spec) {
		for i := range s.Services {
			s.Services[i].ClientCAs = nil
		}
	})
	reject(t, c.World, c.a, presented(cert), policy.ClientCredentials)
	accept(t, c.World, c.a, named("mesh/known", presented(c.known)))
}

func TestATrustDomainMustBeForClients(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*policy.Issuer){
		"not for clients":                  func(i *policy.Issuer) { i.ForClient, i.ForSubject = false, true },
		"suspended":                        func(i *policy.Issuer) { i.Suspended = true },
		"whose SVIDs of then were revoked": func(i *policy.Issuer) { i.RevokeIssuedBefore = world.Start.Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCertified(t, world.EditIssuer("mesh", edit))
			reject(t, c.World, c.a, presented(c.svid(t, c.domain, frontendID)), policy.ClientCredentials)
			reject(t, c.World, c.a, assertion(c.jwt(t, c.domain, frontendID, nil)), policy.ClientCredentials)
		})
	}
	t.Run("whose bundle is not known yet", func(t *testing.T) {
		t.Parallel()
		c := newCertified(t, world.EditIssuer("mesh", func(i *policy.Issuer) {
			i.Keys = policy.Keys{JWKSURL: "https://mesh.example/bundle"}
		}))
		if ref := reject(t, c.World, c.a, presented(c.svid(t, c.domain, frontendID)), policy.KeysUnavailable); ref.Outcome != policy.Unable {
			t.Errorf("found %v: nobody can tell now", ref)
		}
	})
}

func (c *certified) jwt(t *testing.T, by *spiffe.Domain, id string, claims map[string]any) string {
	t.Helper()
	token, err := by.JWTSVID(id, world.Issuer, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAJWTSVIDAuthenticatesTheClientThatDeclaresItsID(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	spiffeType := func(token string) clientauth.Credentials {
		given := assertion(token)
		given.AssertionType = clientauth.AssertionTypeSVID
		return given
	}
	for name, given := range map[string]clientauth.Credentials{
		"without iss":                                 assertion(c.jwt(t, c.domain, frontendID, nil)),
		"under the assertion type of SVIDs":           spiffeType(c.jwt(t, c.domain, frontendID, nil)),
		"with iss of an OpenID provider":              assertion(c.jwt(t, c.domain, frontendID, map[string]any{"iss": world.CorpURL})),
		"KC-49: with a client_id that says the same":  named("mesh/svid", assertion(c.jwt(t, c.domain, frontendID, nil))),
		"KC-49: with one of clientAssertionAudiences": assertion(c.jwt(t, c.domain, frontendID, map[string]any{"aud": world.Audience})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // it is good until it expires
				auth := accept(t, c.World, c.a, given)
				if auth.ID != "mesh/svid" || auth.Method != "spiffe_jwt" || auth.Subject != frontendID || auth.Issuer != "spiffe://example.org" || auth.Consume != nil {
					t.Errorf("found %+v", auth.ClientAuth)
				}
			}
		})
	}
	for name, tc := range map[string]struct {
		given  clientauth.Credentials
		reason policy.Reason
	}{
		"KC-49: of another domain by the same name":     {assertion(c.jwt(t, c.stranger, frontendID, nil)), policy.ClientCredentials},
		"KC-49: of an ID that no client declares":       {assertion(c.jwt(t, c.domain, "spiffe://example.org/other", nil)), policy.ClientUnknown},
		"of a domain that nobody declares":              {assertion(c.jwt(t, c.domain, "spiffe://elsewhere.example/x", nil)), policy.ClientCredentials},
		"that claims another domain's ID":               {spiffeType(c.jwt(t, c.domain, "spiffe://elsewhere.example/x", nil)), policy.ClientCredentials},
		"of the trust domain itself":                    {assertion(c.jwt(t, c.domain, "spiffe://example.org", nil)), policy.ClientCredentials},
		"of an ID with a dot segment":                   {assertion(c.jwt(t, c.domain, "spiffe://example.org/a/../b", nil)), policy.ClientCredentials},
		"KC-49: for two audiences":                      {assertion(c.jwt(t, c.domain, frontendID, map[string]any{"aud": []any{world.Issuer, "https://other.example"}})), policy.ClientCredentials},
		"KC-49: for somebody else":                      {assertion(c.jwt(t, c.domain, frontendID, map[string]any{"aud": "https://other.example"})), policy.ClientCredentials},
		"KC-49: that has expired":                       {assertion(c.jwt(t, c.domain, frontendID, map[string]any{"exp": world.Start.Add(-time.Minute).Unix()})), policy.ClientCredentials},
		"KC-49: without exp":                            {assertion(c.jwt(t, c.domain, frontendID, map[string]any{"exp": nil})), policy.ClientCredentials},
		"KC-49: for another client than client_id says": {named("mesh/dns", assertion(c.jwt(t, c.domain, frontendID, nil))), policy.ClientCredentials},
		"a service account as an SVID by its type":      {spiffeType(c.Sign(c.Frontend, nil, c.AssertionClaims("shop/frontend"))), policy.ClientCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reject(t, c.World, c.a, tc.given, tc.reason)
		})
	}
}

func TestAPublicClientSaysWhoItIsAndNoMore(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	auth := accept(t, c.World, c.a, named("mesh/app", clientauth.Credentials{}))
	if !auth.Public || auth.Method != "none" || auth.ID != "mesh/app" {
		t.Errorf("found %+v", auth.ClientAuth)
	}
	withCertificate := presented(c.known)
	withCertificate.ClientID = "mesh/app"
	if auth := accept(t, c.World, c.a, withCertificate); !auth.Public {
		t.Errorf("found %+v: a certificate makes no public client another one", auth.ClientAuth)
	}
	secret := named("mesh/app", clientauth.Credentials{ClientSecret: "anything"})
	reject(t, c.World, c.a, secret, policy.ClientCredentials)
}

func TestTheServiceSaysHowItsClientsAuthenticate(t *testing.T) {
	t.Parallel()
	c := newCertified(t)
	if got := c.Service().Methods(); got != (policy.Methods{Certificates: true, Thumbprints: true, SPIFFE: true, Public: true}) {
		t.Errorf("found %+v", got)
	}
	if got := world.New(t).Service().Methods(); got != (policy.Methods{}) {
		t.Errorf("where nobody declares any: %+v", got)
	}
}
