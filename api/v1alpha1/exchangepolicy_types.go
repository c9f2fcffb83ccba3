// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExchangePolicy says who may exchange what for a token to the targets of its
// namespace. It only ever allows; what no policy allows is refused, and halves
// of two policies never combine.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=xp,categories=exchequer,path=exchangepolicies
type ExchangePolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the policy allows.
	//
	// +required
	Spec ExchangePolicySpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status ExchangePolicyStatus `json:"status,omitempty"`
}

// PolicyMode is whether a policy is in force.
//
// +kubebuilder:validation:Enum=Enforce;Audit
type PolicyMode string

// Whether a policy is in force.
const (
	// PolicyModeEnforce grants.
	PolicyModeEnforce PolicyMode = "Enforce"
	// PolicyModeAudit decides and records, and grants nothing.
	PolicyModeAudit PolicyMode = "Audit"
)

// ImpersonationMode is whether tokens made by impersonation may reach a target.
//
// +kubebuilder:validation:Enum=Forbidden;Allowed
type ImpersonationMode string

// Whether tokens made by impersonation may reach a target.
const (
	// ImpersonationForbidden refuses them.
	ImpersonationForbidden ImpersonationMode = "Forbidden"
	// ImpersonationAllowed admits them, under an ImpersonationGrant.
	ImpersonationAllowed ImpersonationMode = "Allowed"
)

// ExchangePolicySpec is what a policy allows.
type ExchangePolicySpec struct {
	// suspend, when true, makes the object count as absent, at once.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// tokenServiceRef names the TokenService that this object belongs to. It
	// cannot be changed.
	//
	// +optional
	// +kubebuilder:default={name: default}
	TokenServiceRef *TokenServiceReference `json:"tokenServiceRef,omitempty"`

	// mode is Enforce, or Audit, which decides and records and grants nothing.
	//
	// +optional
	// +kubebuilder:default=Enforce
	Mode PolicyMode `json:"mode,omitempty"`

	// clients are who may ask.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []PolicyClient `json:"clients"`

	// subject is whose tokens may be exchanged.
	//
	// +required
	Subject PolicySubject `json:"subject"`

	// actor is who may act for the subject.
	//
	// +optional
	// +kubebuilder:default={}
	Actor PolicyActor `json:"actor,omitempty"`

	// impersonation says whether tokens made under an ImpersonationGrant may
	// reach the targets.
	//
	// +optional
	// +kubebuilder:default=Forbidden
	Impersonation ImpersonationMode `json:"impersonation,omitempty"`

	// target is what may be asked for.
	//
	// +required
	Target PolicyTarget `json:"target"`

	// token is what the token may be.
	//
	// +optional
	// +kubebuilder:default={}
	Token PolicyToken `json:"token,omitempty"`

	// rules must hold, over request, client, subject, actor and target.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []Rule `json:"rules,omitempty"`

	// examples are tests that travel with the policy and gate it: a policy
	// with an example that gives something else than it expects is not in
	// force. They are never published.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Examples []Example `json:"examples,omitempty"`
}

// PolicyClient is who may ask: exactly one of name, selector and all.
type PolicyClient struct {
	// namespace is the namespace of the client that name names. Absent, it is
	// the policy's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is the name of an ExchangeClient.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	Name string `json:"name,omitempty"`

	// public, when true, admits the named client although it is public.
	//
	// +optional
	Public bool `json:"public,omitempty"`

	// selector selects ExchangeClients by their labels. Labels are what the
	// clients' owners say of themselves.
	//
	// +optional
	Selector *Selector `json:"selector,omitempty"`

	// namespaceSelector says in which namespaces selector selects. Absent, it
	// is the policy's.
	//
	// +optional
	NamespaceSelector *Selector `json:"namespaceSelector,omitempty"`

	// all, when true, is every client of the TokenService but the public ones.
	//
	// +optional
	All bool `json:"all,omitempty"`
}

// PolicyIssuer is an issuer of subject or actor tokens: exactly one of name and self.
type PolicyIssuer struct {
	// name is the name of a TrustedIssuer.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	Name string `json:"name,omitempty"`

	// self, when true, is the TokenService itself: tokens that it issued.
	//
	// +optional
	Self bool `json:"self,omitempty"`

	// origins are the TrustedIssuers of which one must have issued the first
	// subject token in the chain of exchanges. They are required with self.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=189
	Origins []string `json:"origins,omitempty"`
}

// TokenClass is the class of a subject token.
//
// +kubebuilder:validation:Enum=AccessToken;IDToken;JWT;SAML2;RefreshToken;Opaque;Handover;JWTBearer;IDJAG
type TokenClass string

// The classes of subject tokens.
const (
	// TokenClassAccessToken is an access token.
	TokenClassAccessToken TokenClass = "AccessToken"
	// TokenClassIDToken is an ID token.
	TokenClassIDToken TokenClass = "IDToken"
	// TokenClassJWT is a JSON Web Token that is neither.
	TokenClassJWT TokenClass = "JWT"
	// TokenClassSAML2 is a SAML 2.0 assertion.
	TokenClassSAML2 TokenClass = "SAML2"
	// TokenClassRefreshToken is a legacy provider's refresh token.
	TokenClassRefreshToken TokenClass = "RefreshToken"
	// TokenClassOpaque is a token that only its issuer can read.
	TokenClassOpaque TokenClass = "Opaque"
	// TokenClassHandover is a one-time token of ours, for another client.
	TokenClassHandover TokenClass = "Handover"
	// TokenClassJWTBearer is the assertion of RFC 7523.
	TokenClassJWTBearer TokenClass = "JWTBearer"
	// TokenClassIDJAG is an identity assertion authorization grant.
	TokenClassIDJAG TokenClass = "IDJAG"
)

// PolicySubject is whose tokens may be exchanged.
type PolicySubject struct {
	// issuers are who may have issued the subject token.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Issuers []PolicyIssuer `json:"issuers"`

	// tokenTypes are the classes of tokens that may be exchanged.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={AccessToken,IDToken,JWT}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=9
	TokenTypes []TokenClass `json:"tokenTypes,omitempty"`

	// audience is whom the subject token must have been for.
	//
	// +optional
	// +kubebuilder:default={}
	Audience AudienceRule `json:"audience,omitempty"`

	// rules must hold for the subject.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []Rule `json:"rules,omitempty"`
}

// AudienceMatch is whom a token must have been for.
//
// +kubebuilder:validation:Enum=Client;Issuer;AnyOf
type AudienceMatch string

// Whom a token must have been for.
const (
	// AudienceClient asks for a token that was for the asking client.
	AudienceClient AudienceMatch = "Client"
	// AudienceIssuer asks for one of the TrustedIssuer's audiences.
	AudienceIssuer AudienceMatch = "Issuer"
	// AudienceAnyOf asks for one of listed audiences.
	AudienceAnyOf AudienceMatch = "AnyOf"
)

// AudienceRule is whom a token must have been for, so that a token that leaked
// to one service is worth nothing at another. Nothing switches the check off.
type AudienceRule struct {
	// match is Client (the asking client), Issuer (one of the TrustedIssuer's
	// audiences) or AnyOf. Issuer and AnyOf need clients by name, or tokens
	// that stay bound.
	//
	// +optional
	// +kubebuilder:default=Client
	Match AudienceMatch `json:"match,omitempty"`

	// anyOf are the audiences of AnyOf: the TrustedIssuer's audiences or client
	// IDs, for our own tokens names of this namespace's or the listed clients.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	AnyOf []string `json:"anyOf,omitempty"`

	// authorizedParties are the values of azp or client_id that a token under
	// AnyOf may have. Empty, it may have any.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	AuthorizedParties []string `json:"authorizedParties,omitempty"`
}

// ActorUse is whether an exchange has an actor.
//
// +kubebuilder:validation:Enum=Forbidden;Optional;Required
type ActorUse string

// Whether an exchange has an actor.
const (
	// ActorForbidden refuses actors.
	ActorForbidden ActorUse = "Forbidden"
	// ActorOptional admits actors.
	ActorOptional ActorUse = "Optional"
	// ActorRequired asks for an actor.
	ActorRequired ActorUse = "Required"
)

// PolicyActor is who may act for the subject.
type PolicyActor struct {
	// use is Forbidden, Optional or Required.
	//
	// +optional
	// +kubebuilder:default=Forbidden
	Use ActorUse `json:"use,omitempty"`

	// issuers are who may have issued the actor token. Empty: nobody.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Issuers []PolicyIssuer `json:"issuers,omitempty"`

	// audience is whom the actor token must have been for.
	//
	// +optional
	// +kubebuilder:default={}
	Audience AudienceRule `json:"audience,omitempty"`

	// rules must hold for the actor.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []Rule `json:"rules,omitempty"`

	// honorMayAct lets a may_act claim that names the actor stand in for
	// rules. Such a claim restricts whatever is said here.
	//
	// +optional
	// +kubebuilder:default=true
	HonorMayAct *bool `json:"honorMayAct,omitempty"`

	// maxDepth is the most actors that the token may name.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8
	MaxDepth int32 `json:"maxDepth,omitempty"`
}

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
type ScopeName string

// TargetClient names a target.
type TargetClient struct {
	// namespace, if set, must be the policy's own: nobody grants access to the
	// targets of another namespace.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is the name of an ExchangeClient.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
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

// ExchangePolicyStatus is what was made of an ExchangePolicy.
type ExchangePolicyStatus struct {
	ObjectStatus `json:",inline"`
}

// ExchangePolicyList is a list of ExchangePolicies.
//
// +kubebuilder:object:root=true
type ExchangePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ExchangePolicies.
	Items []ExchangePolicy `json:"items"`
}
