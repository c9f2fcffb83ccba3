// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Format is the version of the Spec document that this build writes.
const Format = 1

// Spec is everything that decides an exchange, in canonical form: translated
// from API objects, references resolved, selectors expanded, lists sorted. It is
// what a snapshot carries on the wire. An absent or empty list permits nothing.
type Spec struct {
	Format   int       `json:"format"`
	Services []Service `json:"services,omitempty"`
	Issuers  []Issuer  `json:"issuers,omitempty"`
	Clients  []Client  `json:"clients,omitempty"`
	Scopes   []Scope   `json:"scopes,omitempty"`
	Policies []Policy  `json:"policies,omitempty"`
	// Grants say who may be, or act for, whom.
	Grants []ImpersonationGrantSpec `json:"grants,omitempty"`
	// Externals are targets whose tokens another server mints.
	Externals []External `json:"externals,omitempty"`
	// Revocations are what is not accepted any more.
	Revocations []Revocation `json:"revocations,omitempty"`
}

// Service is one token service: an issuer that this installation is.
type Service struct {
	Name   string   `json:"name"`
	Issuer string   `json:"issuer"`
	Hosts  []string `json:"hosts,omitempty"`
	// Algorithm signs what this service mints: ES256 ES384 EdDSA RS256 PS256.
	Algorithm string   `json:"algorithm"`
	Rotation  Rotation `json:"rotation"`
	// RevokedKeyIDs are signing keys that are never trusted again.
	RevokedKeyIDs []string `json:"revokedKeyIDs,omitempty"`
	// DefaultLifetime stands in where a policy or a target names none.
	DefaultLifetime time.Duration `json:"defaultLifetime"`
	MaxLifetime     time.Duration `json:"maxLifetime"`
	// IDToken and SAML2 bound those tokens as DefaultLifetime and MaxLifetime bound
	// access tokens; zero is the access token's.
	IDToken Lifetimes `json:"idToken,omitzero"`
	SAML2   Lifetimes `json:"saml2,omitzero"`
	// RefreshIdle is how long a refresh token may lie unused, RefreshMax how long its
	// family lives, OfflineMax the same for offline tokens. Zero: there are none.
	RefreshIdle time.Duration `json:"refreshIdle,omitempty"`
	RefreshMax  time.Duration `json:"refreshMax,omitempty"`
	OfflineMax  time.Duration `json:"offlineMax,omitempty"`
	// LinkIdle is how long a linked token may lie unused; zero: there are none.
	LinkIdle        time.Duration `json:"linkIdle,omitempty"`
	DelegationDepth int           `json:"delegationDepth"`
	// TokenBytes bounds a minted token.
	TokenBytes int `json:"tokenBytes"`
	// ClientRate and ClientBurst bound one client's requests per second on one
	// replica; 0 is no bound.
	ClientRate  int `json:"clientRate,omitempty"`
	ClientBurst int `json:"clientBurst,omitempty"`
	// AssertionAudiences are the aud values of client credentials: the issuer
	// first, then what the platform added.
	AssertionAudiences []string `json:"assertionAudiences"`
	// ClientCAs are PEM bundles of the authorities of client certificates.
	ClientCAs []string `json:"clientCAs,omitempty"`
	// ScopeOwners name the namespaces whose scopes may be asked for without an
	// audience, sorted by scope. Several namespaces make the request ambiguous.
	ScopeOwners []ScopeOwner `json:"scopeOwners,omitempty"`
	// RevokeIssuedBefore refuses own tokens with an earlier iat; zero is none.
	RevokeIssuedBefore time.Time `json:"revokeIssuedBefore,omitzero"`
}

// Lifetimes are what a kind of token lives when nobody says otherwise, and at most.
type Lifetimes struct {
	Default time.Duration `json:"default,omitempty"`
	Max     time.Duration `json:"max,omitempty"`
}

// Rotation says when signing keys change. PrePublish is the time that a key is
// published before it signs; a RotateAfter in the past asks for a new key now.
type Rotation struct {
	Period      time.Duration `json:"period"`
	PrePublish  time.Duration `json:"prePublish"`
	RotateAfter time.Time     `json:"rotateAfter,omitzero"`
}

// ScopeOwner delegates a scope, or with a trailing "*" a family of scopes, to a
// namespace, so that the scope alone names its targets.
type ScopeOwner struct {
	Scope     string `json:"scope"`
	Namespace string `json:"namespace"`
}
