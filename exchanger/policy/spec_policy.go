// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Scope is a scope of one namespace's targets.
type Scope struct {
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	TokenService string `json:"tokenService"`
	Scope        string `json:"scope"`
	// Targets are client IDs; AllTargets means every target of the namespace.
	Targets    []string `json:"targets,omitempty"`
	AllTargets bool     `json:"allTargets,omitempty"`
	// InToken puts the scope into the token's scope claim.
	InToken bool `json:"inToken,omitempty"`
	// Parameter makes the scope parametric, "<scope>:<value>"; the expression
	// must be true for the value.
	Parameter string  `json:"parameter,omitempty"`
	Claims    []Claim `json:"claims,omitempty"`
	Rules     []Rule  `json:"rules,omitempty"`
}

// Claim is a claim that goes into the token; a null value leaves it out.
type Claim struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
}

// Policy says who may exchange what for a token to one namespace's targets.
type Policy struct {
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	TokenService string `json:"tokenService"`
	// AuditOnly decides and records, and grants nothing.
	AuditOnly  bool     `json:"auditOnly,omitempty"`
	Clients    []string `json:"clients,omitempty"`
	AllClients bool     `json:"allClients,omitempty"`

	SubjectIssuers []string `json:"subjectIssuers,omitempty"`
	// SelfOrigins admit tokens of this token service whose first subject token
	// came from one of these issuers.
	SelfOrigins     []string     `json:"selfOrigins,omitempty"`
	SubjectClasses  []Class      `json:"subjectClasses"`
	SubjectAudience AudienceRule `json:"subjectAudience"`
	SubjectRules    []Rule       `json:"subjectRules,omitempty"`

	// BoundSubject wants the subject token to be bound to a key: its audience rule
	// would let any of many clients use it.
	BoundSubject bool `json:"boundSubject,omitempty"`

	// PublicClients are those of Clients that may be public ones.
	PublicClients []string    `json:"publicClients,omitempty"`
	Actor         ActorPolicy `json:"actor,omitzero"`
	// Impersonation lets tokens reach the targets that were made under a grant.
	Impersonation bool `json:"impersonation,omitempty"`

	Targets []string `json:"targets"`
	// Scopes are the most that is granted; of a parametric scope its bare name.
	Scopes []string `json:"scopes,omitempty"`
	// DefaultScopes are granted when none are asked; DefaultScopesSet tells an
	// empty list, which means a token without scope, from an absent one.
	DefaultScopes    []string `json:"defaultScopes,omitempty"`
	DefaultScopesSet bool     `json:"defaultScopesSet,omitempty"`
	// AddScopes (scopeMode Grant) lets the policy grant what the subject lacks.
	AddScopes bool `json:"addScopes,omitempty"`
	// NarrowExcess (excess Narrow) grants less instead of refusing.
	NarrowExcess bool `json:"narrowExcess,omitempty"`

	TokenTypes []TokenType   `json:"tokenTypes"`
	Lifetime   time.Duration `json:"lifetime,omitempty"`
	Claims     []Claim       `json:"claims,omitempty"`
	Rules      []Rule        `json:"rules,omitempty"`
	// Binding and Refresh are empty for Preserve and None.
	Binding Binding `json:"binding,omitempty"`
	Refresh Refresh `json:"refresh,omitempty"`
}

// Binding says to what key a token is bound. Nothing is ever unbound.
type Binding string

// The bindings; the zero value keeps a bound token bound to its key.
const (
	BindingPreserve Binding = ""
	BindingRebind   Binding = "Rebind"
	BindingRequire  Binding = "Require"
)

// Refresh says whether there are refresh tokens; the zero value says that there
// are none.
type Refresh string

// The kinds of refresh.
const (
	RefreshNone    Refresh = ""
	RefreshBounded Refresh = "Bounded"
	RefreshOffline Refresh = "Offline"
)

// ActorUse says whether there may be an actor.
type ActorUse string

// The uses; the zero value forbids.
const (
	ActorsForbidden ActorUse = ""
	ActorsOptional  ActorUse = "Optional"
	ActorsRequired  ActorUse = "Required"
)

// ActorPolicy says who may act for the subject.
type ActorPolicy struct {
	Use         ActorUse     `json:"use,omitempty"`
	Issuers     []string     `json:"issuers,omitempty"`
	SelfOrigins []string     `json:"selfOrigins,omitempty"`
	Audience    AudienceRule `json:"audience,omitzero"`
	Rules       []Rule       `json:"rules,omitempty"`
	// HonorMayAct lets a may_act that names the actor stand in for Rules.
	HonorMayAct bool `json:"honorMayAct,omitempty"`
	MaxDepth    int  `json:"maxDepth,omitempty"`
}

// AudienceMatch says whom a subject token must have been meant for.
type AudienceMatch string

// The audience rules; none switches the check off.
const (
	// AudienceClient wants the token to be for, or issued to, the asking client.
	AudienceClient AudienceMatch = "Client"
	// AudienceIssuer wants one of the trusted issuer's audiences.
	AudienceIssuer AudienceMatch = "Issuer"
	// AudienceAnyOf wants one of a list.
	AudienceAnyOf AudienceMatch = "AnyOf"
)

// AudienceRule says whom a subject token must have been meant for.
type AudienceRule struct {
	Match AudienceMatch `json:"match"`
	AnyOf []string      `json:"anyOf,omitempty"`
	// AuthorizedParties, where there are any, must also hold azp or client_id.
	AuthorizedParties []string `json:"authorizedParties,omitempty"`
}

// Class is what a presented token is, told by the token itself.
type Class string

// The classes that a presented token can have.
const (
	ClassAccessToken Class = "AccessToken"
	ClassIDToken     Class = "IDToken"
	ClassJWT         Class = "JWT"
	// These are never accepted by default.
	ClassSAML2        Class = "SAML2"
	ClassRefreshToken Class = "RefreshToken"
	ClassOpaque       Class = "Opaque"
	ClassHandover     Class = "Handover"
	ClassJWTBearer    Class = "JWTBearer"
	ClassIDJAG        Class = "IDJAG"
	// ClassTransaction is a transaction token of ours.
	ClassTransaction Class = "TransactionToken"
)

// TokenType is what an exchange can give.
type TokenType string

// The token types that an exchange can give.
const (
	TypeAccessToken TokenType = "AccessToken"
	TypeJWT         TokenType = "JWT"
	TypeIDToken     TokenType = "IDToken"
	TypeSAML2       TokenType = "SAML2"
	TypeTransaction TokenType = "TransactionToken"
	TypeHandover    TokenType = "Handover"
	// TypeRefreshToken asks for an access token with a refresh token beside it; what
	// a policy says of that is its refresh.
	TypeRefreshToken TokenType = "RefreshToken"
	// TypeIDJAG is what an ExternalTarget may mint, no policy.
	TypeIDJAG TokenType = "IDJAG"
)
