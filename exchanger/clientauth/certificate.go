// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/proof/certname"
	"github.com/exchequer-dev/exchequer/exchanger/subject/trust"
)

// authorities are the X.509 authorities of trust domains; [issuer.Manager] has them.
type authorities interface {
	Authorities(name, digest string) (*x509.CertPool, error)
}

// certificate finds the client that a TLS certificate authenticates (RFC 8705,
// section 2). What a certificate is decides how it is verified, and never the other
// way round: one with a SPIFFE ID of a declared trust domain is that domain's SVID,
// one whose very bytes are declared needs no authority, and every other one needs
// an authority of the platform.
func (a *Authenticator) certificate(svc *policy.TokenService, c Credentials, now time.Time) (Authenticated, *policy.Refusal) {
	cert := c.Certificate
	// A hash is not delegated to anybody: whoever has seen the certificate can declare
	// it. So it counts for the client that client_id names (RFC 8705, section 2), and
	// stands in nobody else's way.
	known := svc.ClientsByCertificate(certname.OfItself(cert.Leaf))
	if slices.ContainsFunc(known, func(k *policy.AskingClient) bool { return k.ID() == c.ClientID }) {
		if ref := cert.Alone(now); ref != nil {
			return Authenticated{}, ref
		}
		return authenticated(svc, known, c.ClientID, "the certificate", MethodSelfSigned)
	}
	if id, domain, ok := cert.SPIFFEID(); ok {
		if ti, declared := svc.TrustDomain(domain); declared {
			return a.x509SVID(svc, ti, id, c, now)
		}
	}
	pool, ref := a.pool(svc)
	if ref == nil {
		ref = cert.Chain(pool, now)
	}
	if ref != nil {
		return Authenticated{}, ref
	}
	var found []*policy.AskingClient
	for _, name := range certname.Of(cert.Leaf) {
		for _, client := range svc.ClientsByCertificate(name) {
			if !slices.Contains(found, client) {
				found = append(found, client)
			}
		}
	}
	return authenticated(svc, found, c.ClientID, "a name in the certificate", MethodTLS)
}

// x509SVID verifies a certificate of a trust domain with that domain's authorities.
func (a *Authenticator) x509SVID(svc *policy.TokenService, ti *policy.TrustedIssuer, id string, c Credentials, now time.Time) (Authenticated, *policy.Refusal) {
	switch s := ti.Spec(); {
	case s.Suspended:
		return refuse(policy.ClientCredentials, "client certificate: TrustedIssuer "+ti.Name()+" is suspended")
	case !s.ForClient:
		return refuse(policy.ClientCredentials, "client certificate: use of TrustedIssuer "+ti.Name()+" does not include Client")
	}
	source, ok := a.issuers.(authorities)
	if !ok {
		return Authenticated{}, unknownAuthorities(ti)
	}
	pool, err := source.Authorities(ti.Name(), ti.KeysDigest())
	switch {
	case errors.Is(err, issuer.ErrKeyUnknown):
		return refuse(policy.ClientCredentials, "client certificate: the bundle of TrustedIssuer "+ti.Name()+" has no X.509 authority")
	case err != nil:
		return Authenticated{}, unknownAuthorities(ti)
	}
	if ref := c.Certificate.SVID(pool, now); ref != nil {
		return Authenticated{}, ref
	}
	if before := ti.Spec().RevokeIssuedBefore; !before.IsZero() && c.Certificate.Leaf.NotBefore.Before(before) {
		return refuse(policy.ClientCredentials, "client certificate: revokeIssuedBefore of TrustedIssuer "+ti.Name())
	}
	auth, ref := authenticated(svc, svc.ClientsBySPIFFE(ti.Name(), id), c.ClientID, "the SPIFFE ID, in the trust domain of TrustedIssuer "+ti.Name(), MethodX509SVID)
	auth.Issuer, auth.Subject = ti.Spec().URL, id
	return auth, ref
}

func unknownAuthorities(ti *policy.TrustedIssuer) *policy.Refusal {
	return &policy.Refusal{
		Outcome: policy.Unable, Reason: policy.KeysUnavailable,
		Detail: "client certificate: the authorities of TrustedIssuer " + ti.Name() + " cannot be told now",
	}
}

// pool parses the authorities of a token service once for all snapshots that carry
// the same text.
func (a *Authenticator) pool(svc *policy.TokenService) (*x509.CertPool, *policy.Refusal) {
	text := strings.Join(svc.Spec().ClientCAs, "\n")
	if text == "" {
		return nil, trust.Deny(policy.ClientCredentials, "client certificate: TokenService "+svc.Name()+" has no clientCertificateAuthorities")
	}
	key := trust.Key{Digest: sha256.Sum256([]byte(text))}
	if pool, ok := a.pools.Get(&key, time.Unix(0, 0)); ok {
		return pool, nil
	}
	pool, err := issuer.ParseBundle([]byte(text))
	if err != nil {
		return nil, trust.Deny(policy.ClientCredentials, "client certificate: clientCertificateAuthorities of TokenService "+svc.Name()+" cannot be read")
	}
	a.pools.Put(key, pool, keySetCost(len(text)), endOfTime)
	return pool, nil
}

func authenticated(svc *policy.TokenService, found []*policy.AskingClient, clientID, what, method string) (Authenticated, *policy.Refusal) {
	c, ref := oneOf(svc, found, clientID, what)
	if ref != nil {
		return Authenticated{}, ref
	}
	return Authenticated{ClientAuth: policy.ClientAuth{ID: c.ID(), Method: method}}, nil
}

// oneOf picks the client that an identity authenticates: the one that client_id
// names, or the only one.
func oneOf(svc *policy.TokenService, found []*policy.AskingClient, clientID, what string) (*policy.AskingClient, *policy.Refusal) {
	switch {
	case clientID != "":
		if slices.ContainsFunc(found, func(c *policy.AskingClient) bool { return c.ID() == clientID }) {
			return client(svc, clientID)
		}
		return nil, trust.Deny(policy.ClientCredentials, what+" does not authenticate the client that client_id names")
	case len(found) == 0:
		return nil, trust.Deny(policy.ClientUnknown, "no ExchangeClient in force has "+what)
	case len(found) > 1:
		return nil, trust.Deny(policy.FormInvalid, what+" authenticates several clients: client_id must choose")
	}
	return found[0], nil
}
