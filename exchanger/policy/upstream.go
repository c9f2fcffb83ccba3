// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"
)

// Upstream is another server that is asked while a request waits: where it is, how
// it may be reached, and how this installation says who it is. It holds no secret:
// those are named, and travel beside the Spec.
type Upstream struct {
	URL string `json:"url"`
	// CABundle verifies its certificate, instead of the system's authorities.
	CABundle     string   `json:"caBundle,omitempty"`
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
	// Timeout bounds one question; 0 is the most that there is, 5 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Auth is nil where nobody authenticates.
	Auth *UpstreamAuth `json:"auth,omitempty"`
}

// UpstreamAuth is how this installation authenticates itself at an Upstream.
type UpstreamAuth struct {
	ClientID string             `json:"clientID"`
	Method   UpstreamAuthMethod `json:"method"`
	// Credential names the secret, the private key, or the certificate with its key.
	// It is empty for a private_key_jwt by the token service's own signing key.
	Credential string `json:"credential,omitempty"`
}

// UpstreamAuthMethod is a client authentication method, as metadata names it.
type UpstreamAuthMethod string

// The methods by which this installation authenticates itself.
const (
	UpstreamBasic         UpstreamAuthMethod = "client_secret_basic"
	UpstreamPost          UpstreamAuthMethod = "client_secret_post"
	UpstreamPrivateKeyJWT UpstreamAuthMethod = "private_key_jwt"
	UpstreamMutualTLS     UpstreamAuthMethod = "tls_client_auth"
)

// Equal says whether both are asked in the same way.
func (u *Upstream) Equal(o *Upstream) bool {
	same := u.URL == o.URL && u.CABundle == o.CABundle && u.Timeout == o.Timeout && slices.Equal(u.AllowedCIDRs, o.AllowedCIDRs)
	if !same || u.Auth == nil || o.Auth == nil {
		return same && u.Auth == o.Auth
	}
	return *u.Auth == *o.Auth
}

// The names of what is asked for an object: metric labels, and one connection each.

// IssuerUpstream names the server that is asked about an issuer's opaque tokens.
func IssuerUpstream(issuer string) string { return "TrustedIssuer/" + issuer }

// DirectoryUpstream names the directory of an issuer.
func DirectoryUpstream(issuer string) string { return "TrustedIssuer/" + issuer + "/directory" }

// ExternalUpstream names the server of an external target.
func ExternalUpstream(target string) string { return "ExternalTarget/" + target }

// Upstreams are the names of all servers that a Spec has somebody asked.
func (s *Spec) Upstreams() map[string]bool {
	names := map[string]bool{}
	for i := range s.Issuers {
		if s.Issuers[i].Remote != nil {
			names[IssuerUpstream(s.Issuers[i].Name)] = true
		}
		if s.Issuers[i].Directory != nil {
			names[DirectoryUpstream(s.Issuers[i].Name)] = true
		}
	}
	for i := range s.Externals {
		if s.Externals[i].Remote != nil {
			names[ExternalUpstream(s.Externals[i].Name)] = true
		}
	}
	return names
}
