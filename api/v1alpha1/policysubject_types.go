// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PolicyClient is who may ask: exactly one of name, selector and all.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.name) && self.name != "", has(self.selector), has(self.all) && self.all].filter(x, x).size() == 1`,message=`exactly one of name, selector and all: true must be set`
// +kubebuilder:validation:XValidation:rule=`!has(self.__namespace__) || self.__namespace__ == "" || (has(self.name) && self.name != "")`,message=`namespace belongs to name; use namespaceSelector beside selector`
// +kubebuilder:validation:XValidation:rule=`!has(self.namespaceSelector) || has(self.selector)`,message=`namespaceSelector belongs to selector`
// +kubebuilder:validation:XValidation:rule=`!has(self.public) || !self.public || (has(self.name) && self.name != "")`,message=`public clients are admitted by name only`
type PolicyClient struct {
	// namespace is the namespace of the client that name names. Absent, it is
	// the policy's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	Namespace string `json:"namespace,omitempty"`

	// name is the name of an ExchangeClient.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
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
//
// +kubebuilder:validation:XValidation:rule=`(has(self.name) && self.name != "") != (has(self.self) && self.self)`,message=`exactly one of name and self: true must be set`
// +kubebuilder:validation:XValidation:rule=`(has(self.self) && self.self) == (has(self.origins) && size(self.origins) > 0)`,message=`origins belong to self: true, which needs at least one`
type PolicyIssuer struct {
	// name is the name of a TrustedIssuer.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
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
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Origins []string `json:"origins,omitempty"`
}

// TokenClass is the class of a subject token.
//
// +kubebuilder:validation:Enum=AccessToken;IDToken;JWT;SAML2;RefreshToken;Opaque;Handover;JWTBearer;IDJAG;TransactionToken
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
	// TokenClassTransaction is a transaction token of ours, which another one replaces.
	TokenClassTransaction TokenClass = "TransactionToken"
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
	// +kubebuilder:default={match: Client}
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
//
// +kubebuilder:validation:XValidation:rule=`(self.match == 'AnyOf') == (has(self.anyOf) && size(self.anyOf) > 0)`,message=`anyOf belongs to match: AnyOf, which needs at least one`
// +kubebuilder:validation:XValidation:rule=`!has(self.authorizedParties) || size(self.authorizedParties) == 0 || self.match == 'AnyOf'`,message=`authorizedParties belong to match: AnyOf`
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
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	AnyOf []string `json:"anyOf,omitempty"`

	// authorizedParties are the values of azp or client_id that a token under
	// AnyOf may have, for a narrower choice than anyOf alone. Absent or empty,
	// they restrict nothing: it may have any.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
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
	// +kubebuilder:default={match: Client}
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
