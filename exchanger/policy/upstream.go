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
