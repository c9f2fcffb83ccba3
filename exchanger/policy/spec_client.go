// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Client is a workload that asks, or a service that is asked for, or both.
type Client struct {
	// ID is the client_id, by default "<namespace>/<name>".
	ID           string            `json:"id"`
	Namespace    string            `json:"namespace"`
	Name         string            `json:"name"`
	TokenService string            `json:"tokenService"`
	Labels       map[string]string `json:"labels,omitempty"`
	Suspended    bool              `json:"suspended,omitempty"`
	// TokenExchange says that the client may use the token-exchange grant.
	TokenExchange bool `json:"tokenExchange,omitempty"`
	// JWTBearer says that the client may use the grant of RFC 7523.
	JWTBearer bool `json:"jwtBearer,omitempty"`
	// Public says that the client has no credential.
	Public          bool             `json:"public,omitempty"`
	ServiceAccounts []ServiceAccount `json:"serviceAccounts,omitempty"`
	// AssertionKeys are JWK Sets whose keys sign private_key_jwt assertions.
	AssertionKeys []string `json:"assertionKeys,omitempty"`
	// SecretDigests are lower-case hex SHA-256 digests of client secrets.
	SecretDigests []string `json:"secretDigests,omitempty"`
	// Certificates and SPIFFE are further identities that authenticate the client.
	Certificates []Certificate `json:"certificates,omitempty"`
	SPIFFE       []SPIFFE      `json:"spiffe,omitempty"`
	// Audiences and Resources are further names of this client as a target.
	Audiences []string      `json:"audiences,omitempty"`
	Resources []string      `json:"resources,omitempty"`
	Lifetime  time.Duration `json:"lifetime,omitempty"`
	// Opaque says that access tokens for this target are handles.
	Opaque bool `json:"opaque,omitempty"`
	// SAML is for a target of SAML 2.0 assertions, nil for none.
	SAML               *SAMLTarget `json:"saml,omitempty"`
	RevokeIssuedBefore time.Time   `json:"revokeIssuedBefore,omitzero"`
}

// ServiceAccount is a Kubernetes identity, of the cluster that Issuer names,
// that authenticates a client. An empty UID matches any.
type ServiceAccount struct {
	Issuer    string `json:"issuer"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// Certificate is what a client certificate must say: exactly one of its members.
type Certificate struct {
	DNS string `json:"dns,omitempty"`
	URI string `json:"uri,omitempty"`
	// DN is the subject as RFC 4514 writes it.
	DN string `json:"dn,omitempty"`
	// Thumbprint is x5t#S256 in base64url; the certificate needs no authority then.
	Thumbprint string `json:"thumbprint,omitempty"`
}

// SPIFFE is a SPIFFE ID of the trust domain that Issuer names.
type SPIFFE struct {
	Issuer string `json:"issuer"`
	ID     string `json:"id"`
}

// SAMLTarget is what a target wants of assertions for it.
type SAMLTarget struct {
	EntityID     string `json:"entityID"`
	Recipient    string `json:"recipient"`
	NameIDFormat string `json:"nameIDFormat,omitempty"`
	// Attributes are what the assertion says of the subject.
	Attributes []Claim `json:"attributes,omitempty"`
}
