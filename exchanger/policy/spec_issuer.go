// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// IssuerKind says how an issuer's tokens are read.
type IssuerKind string

// The kinds of issuer that this build can read.
const (
	IssuerJWT        IssuerKind = "jwt"
	IssuerKubernetes IssuerKind = "kubernetes"
	IssuerSPIFFE     IssuerKind = "spiffe"
	IssuerSAML       IssuerKind = "saml"
	// The opaque kinds: their tokens carry no issuer; the token type URI names it.
	IssuerIntrospection IssuerKind = "introspection"
	IssuerUserInfo      IssuerKind = "userInfo"
	IssuerRefreshToken  IssuerKind = "refreshToken"
	IssuerWebhook       IssuerKind = "webhook"
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
	TokenReview bool `json:"tokenReview,omitempty"`
	// TokenTypeURI selects an issuer of opaque tokens.
	TokenTypeURI string `json:"tokenTypeURI,omitempty"`
	// TrustDomain is the trust domain of an issuer of SVIDs.
	TrustDomain string `json:"trustDomain,omitempty"`
	// SAML is for an issuer of SAML 2.0 assertions, Remote for one of opaque tokens.
	SAML   *SAMLIssuer `json:"saml,omitempty"`
	Remote *Upstream   `json:"remote,omitempty"`
	// Directory is asked about every subject of this issuer, nil for none.
	Directory     *Upstream `json:"directory,omitempty"`
	ClientAliases []Alias   `json:"clientAliases,omitempty"`
	Prefix        string    `json:"prefix"`
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

// SAMLIssuer is what only an issuer of SAML 2.0 assertions has. Its entityID is the
// issuer's URL, its audience restrictions are the issuer's audiences; its keys are
// those of Keys, whose JWKSURL is that of its metadata.
type SAMLIssuer struct {
	// Recipient is what the subject confirmation must name.
	Recipient string `json:"recipient"`
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
