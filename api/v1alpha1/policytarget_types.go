// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ScopeMode is where the scopes of a token come from.
//
// +kubebuilder:validation:Enum=Narrow;Grant
type ScopeMode string

// Where the scopes of a token come from.
const (
	// ScopeModeNarrow takes them from the subject token.
	ScopeModeNarrow ScopeMode = "Narrow"
	// ScopeModeGrant lets the policy add to them.
	ScopeModeGrant ScopeMode = "Grant"
)

// ScopeExcess is what happens to a request for more scopes than are granted.
//
// +kubebuilder:validation:Enum=Reject;Narrow
type ScopeExcess string

// What happens to a request for more scopes than are granted.
const (
	// ScopeExcessReject refuses it.
	ScopeExcessReject ScopeExcess = "Reject"
	// ScopeExcessNarrow grants less, and says so.
	ScopeExcessNarrow ScopeExcess = "Narrow"
)

// PolicyTarget is what may be asked for.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.defaultScopes) || self.defaultScopes.all(d, has(self.scopes) && self.scopes.exists(s, d == s || d.startsWith(s + ':')))`,message=`defaultScopes must be among scopes`
type PolicyTarget struct {
	// clients are the targets: ExchangeClients of the policy's namespace.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []TargetClient `json:"clients"`

	// scopes are the most that is granted. Empty, tokens have no scope.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeName `json:"scopes,omitempty"`

	// defaultScopes are granted when none are asked for. An empty list is
	// none; absent, they are those that the subject token has among scopes
	// when scopeMode is Narrow, and none when it is Grant.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	DefaultScopes []ScopeName `json:"defaultScopes,omitzero"`

	// scopeMode is Narrow, where no scope is granted that the subject token
	// does not have, or Grant, where this policy may add.
	//
	// +optional
	// +kubebuilder:default=Narrow
	ScopeMode ScopeMode `json:"scopeMode,omitempty"`

	// excess says what happens when more is asked for than is granted: Reject
	// with invalid_scope, or Narrow, which grants less and says so.
	//
	// +optional
	// +kubebuilder:default=Reject
	Excess ScopeExcess `json:"excess,omitempty"`
}

// ScopeName is a scope (RFC 6749, section 3.3). A parametric one is named
// without its value.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule=`self.matches('^[!#-)+-\\[\\]-~]+$')`,message=`must be printable ASCII without spaces, quotes, backslashes or *: scopes are compared exactly`
type ScopeName string

// TargetClient names a target.
type TargetClient struct {
	// namespace, if set, must be the policy's own: nobody grants access to the
	// targets of another namespace.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	Namespace string `json:"namespace,omitempty"`

	// name is the name of an ExchangeClient.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// IssuedTokenType is a type of token that an exchange may give.
//
// +kubebuilder:validation:Enum=AccessToken;JWT;IDToken;SAML2;TransactionToken;Handover
type IssuedTokenType string

// The types of tokens that an exchange may give.
const (
	// IssuedAccessToken is an access token.
	IssuedAccessToken IssuedTokenType = "AccessToken"
	// IssuedJWT is an access token that was asked for as a JWT.
	IssuedJWT IssuedTokenType = "JWT"
	// IssuedIDToken is an ID token.
	IssuedIDToken IssuedTokenType = "IDToken"
	// IssuedSAML2 is a SAML 2.0 assertion.
	IssuedSAML2 IssuedTokenType = "SAML2"
	// IssuedTransactionToken is a transaction token.
	IssuedTransactionToken IssuedTokenType = "TransactionToken"
	// IssuedHandover is a one-time token for another client.
	IssuedHandover IssuedTokenType = "Handover"
)

// TokenBinding is what happens to the key that a token is bound to.
//
// +kubebuilder:validation:Enum=Preserve;Rebind;Require
type TokenBinding string

// What happens to the key that a token is bound to.
const (
	// BindingPreserve keeps a bound token bound to the same key.
	BindingPreserve TokenBinding = "Preserve"
	// BindingRebind lets a client bind the token to a key of its own.
	BindingRebind TokenBinding = "Rebind"
	// BindingRequire gives bound tokens only.
	BindingRequire TokenBinding = "Require"
)

// RefreshMode is whether refresh tokens are given.
//
// +kubebuilder:validation:Enum=None;Bounded;Offline
type RefreshMode string

// Whether refresh tokens are given.
const (
	// RefreshNone gives none.
	RefreshNone RefreshMode = "None"
	// RefreshBounded gives ones that end with the subject token.
	RefreshBounded RefreshMode = "Bounded"
	// RefreshOffline gives ones that outlive it.
	RefreshOffline RefreshMode = "Offline"
)

// PolicyToken is what the token may be.
type PolicyToken struct {
	// types are the types of tokens that may be asked for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={AccessToken}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	Types []IssuedTokenType `json:"types,omitempty"`

	// lifetime is how long the token lives, never past the end of the subject
	// token. Absent, it is the default of the TokenService, which is 5m unless
	// that says otherwise.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('24h')`,message=`must be between 60s and 24h`
	Lifetime Duration `json:"lifetime,omitempty"`

	// claims are put into the token.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Claims []TokenClaim `json:"claims,omitempty"`

	// binding is Preserve (a bound token stays bound, and proof is needed),
	// Rebind, or Require (only bound tokens are given).
	//
	// +optional
	// +kubebuilder:default=Preserve
	Binding TokenBinding `json:"binding,omitempty"`

	// refresh is None, Bounded (the family ends with the subject token), or
	// Offline, the one case in which access outlives it.
	//
	// +optional
	// +kubebuilder:default=None
	Refresh RefreshMode `json:"refresh,omitempty"`
}
