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
	// ScopeOwners name the namespaces whose scopes may be asked for without an
	// audience, sorted by scope. Several namespaces make the request ambiguous.
	ScopeOwners []ScopeOwner `json:"scopeOwners,omitempty"`
	// RevokeIssuedBefore refuses own tokens with an earlier iat; zero is none.
	RevokeIssuedBefore time.Time `json:"revokeIssuedBefore,omitzero"`
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

// IssuerKind says how an issuer's tokens are read.
type IssuerKind string

// The kinds of issuer that this build can read.
const (
	IssuerJWT        IssuerKind = "jwt"
	IssuerKubernetes IssuerKind = "kubernetes"
)

// Issuer is a trusted issuer: whose tokens are accepted, and what they mean.
type Issuer struct {
	Name         string     `json:"name"`
	TokenService string     `json:"tokenService"`
	Kind         IssuerKind `json:"kind"`
	// Suspended keeps the name known, so that a refusal can say so; nothing else
	// of a suspended issuer is used.
	Suspended bool   `json:"suspended,omitempty"`
	URL       string `json:"url"`
	// ForSubject, ForActor and ForClient are the uses that its tokens may have.
	ForSubject bool `json:"forSubject,omitempty"`
	ForActor   bool `json:"forActor,omitempty"`
	ForClient  bool `json:"forClient,omitempty"`
	// Audiences are the aud values that mean "for this token service".
	Audiences  []string `json:"audiences,omitempty"`
	Algorithms []string `json:"algorithms"`
	// Classes are the token classes that the issuer may present.
	Classes        []Class `json:"classes"`
	ClassifyAccess string  `json:"classifyAccess,omitempty"`
	ClassifyID     string  `json:"classifyID,omitempty"`
	Keys           Keys    `json:"keys"`
	// TokenReview says that the API server must vouch for a token besides.
	TokenReview   bool    `json:"tokenReview,omitempty"`
	ClientAliases []Alias `json:"clientAliases,omitempty"`
	Prefix        string  `json:"prefix"`
	// ForeignPrefixes are the other issuers' prefixes; an issuer without a prefix
	// of its own must not yield a subject or group that starts with one of them.
	ForeignPrefixes    []string      `json:"foreignPrefixes,omitempty"`
	MaxTokenAge        time.Duration `json:"maxTokenAge"`
	ClockSkew          time.Duration `json:"clockSkew"`
	ClaimRules         []ClaimRule   `json:"claimRules,omitempty"`
	Mappings           Mappings      `json:"mappings"`
	UserRules          []Rule        `json:"userRules,omitempty"`
	RevokeIssuedBefore time.Time     `json:"revokeIssuedBefore,omitzero"`
}

// Keys says where an issuer's verification keys come from: Inline, or a JWKSURL,
// or discovery (neither set); or, of the local cluster, from its API server.
type Keys struct {
	Inline       string   `json:"inline,omitempty"`
	JWKSURL      string   `json:"jwksURL,omitempty"`
	DiscoveryURL string   `json:"discoveryURL,omitempty"`
	CABundle     string   `json:"caBundle,omitempty"`
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
	// Carried is the last good JWK Set that the controller fetched, so that a
	// replica starts while the issuer is down. It says what the keys are, not where
	// they come from: neither KeysDigest nor the issuer's digest hangs on it.
	Carried string `json:"carried,omitempty"`
	// Local keys are the local cluster's: nothing is ever dialled at the URL.
	Local bool `json:"local,omitempty"`
}

// KeysDigest identifies where the issuer's keys come from: keys that were fetched
// under one digest are never served under another.
func (i *Issuer) KeysDigest() string {
	k := i.Keys
	k.Carried = ""
	return digestOf([]any{i.URL, k})
}

// digest identifies everything that the issuer's object says, and nothing of what
// its keys are just now.
func (i *Issuer) digest() string {
	bare := *i
	bare.Keys.Carried = ""
	return digestOf(&bare)
}

// Alias ties one of an issuer's client IDs to one of our clients.
type Alias struct {
	ID     string `json:"id"`
	Client string `json:"client"`
}

// ClaimRule is a rule over an issuer's raw claims: an Expression that must be
// true, or a Claim that must be the string Required.
type ClaimRule struct {
	Expression string `json:"expression,omitempty"`
	Claim      string `json:"claim,omitempty"`
	Required   string `json:"required,omitempty"`
	Message    string `json:"message,omitempty"`
}

// Rule is a CEL expression that must be true; Message says what it means.
type Rule struct {
	Expression string `json:"expression"`
	Message    string `json:"message,omitempty"`
}

// Value is where a mapped fact comes from: a claim, or an expression over claims.
// Neither set: the fact is not mapped.
type Value struct {
	Claim      string `json:"claim,omitempty"`
	Expression string `json:"expression,omitempty"`
}

// Mappings turn an issuer's claims into facts about its subject.
type Mappings struct {
	Subject     Value        `json:"subject"`
	Username    Value        `json:"username"`
	Groups      Value        `json:"groups"`
	Scopes      Value        `json:"scopes"`
	ScopePrefix string       `json:"scopePrefix,omitempty"`
	ScopeMap    []FromTo     `json:"scopeMap,omitempty"`
	Extra       []ExtraValue `json:"extra,omitempty"`
	ACR         Value        `json:"acr"`
	AMR         Value        `json:"amr"`
	AuthTime    Value        `json:"authTime"`
}

// FromTo renames one scope.
type FromTo struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ExtraValue is one extra fact, a string or a list of strings.
type ExtraValue struct {
	Key string `json:"key"`
	Value
}

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
	TokenExchange   bool             `json:"tokenExchange,omitempty"`
	ServiceAccounts []ServiceAccount `json:"serviceAccounts,omitempty"`
	// AssertionKeys are JWK Sets whose keys sign private_key_jwt assertions.
	AssertionKeys []string `json:"assertionKeys,omitempty"`
	// SecretDigests are lower-case hex SHA-256 digests of client secrets.
	SecretDigests []string `json:"secretDigests,omitempty"`
	// Audiences and Resources are further names of this client as a target.
	Audiences          []string      `json:"audiences,omitempty"`
	Resources          []string      `json:"resources,omitempty"`
	Lifetime           time.Duration `json:"lifetime,omitempty"`
	RevokeIssuedBefore time.Time     `json:"revokeIssuedBefore,omitzero"`
}

// ServiceAccount is a Kubernetes identity, of the cluster that Issuer names,
// that authenticates a client. An empty UID matches any.
type ServiceAccount struct {
	Issuer    string `json:"issuer"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

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
)

// TokenType is what an exchange can give.
type TokenType string

// The token types that an exchange can give.
const (
	TypeAccessToken TokenType = "AccessToken"
	TypeJWT         TokenType = "JWT"
)
