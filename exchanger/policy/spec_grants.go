// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// ImpersonationGrantSpec says who may be, or act for, whom, until when. Its name
// is Grant's in the API, which here is what an exchange allows.
type ImpersonationGrantSpec struct {
	Name         string `json:"name"`
	TokenService string `json:"tokenService"`
	// Clients are client IDs: the asking client must be one of them, and the person
	// must be in Subjects or Groups, and the expression, if there is one, must hold.
	Clients    []string `json:"clients"`
	Groups     []string `json:"groups,omitempty"`
	Subjects   []string `json:"subjects,omitempty"`
	Expression string   `json:"expression,omitempty"`
	// SubjectGroups, SubjectSubjects, SubjectExpression and ExcludeGroups say who may
	// be impersonated.
	SubjectGroups     []string `json:"subjectGroups,omitempty"`
	SubjectSubjects   []string `json:"subjectSubjects,omitempty"`
	SubjectExpression string   `json:"subjectExpression,omitempty"`
	ExcludeGroups     []string `json:"excludeGroups,omitempty"`
	// Delegation makes act name the impersonator; else impersonator does.
	Delegation bool `json:"delegation,omitempty"`
	// FromSubjectToken and FromRequest are where the subject may come from.
	FromSubjectToken bool `json:"fromSubjectToken,omitempty"`
	FromRequest      bool `json:"fromRequest,omitempty"`
	// Known are subjects of which the grant itself knows something.
	Known []KnownSubject `json:"known,omitempty"`
	// Targets are client IDs, Scopes the most that is granted.
	Targets   []string  `json:"targets"`
	Scopes    []string  `json:"scopes,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter"`
	// MaxLifetime bounds tokens made under the grant; zero is no further bound.
	MaxLifetime    time.Duration `json:"maxLifetime,omitempty"`
	ReasonRequired bool          `json:"reasonRequired,omitempty"`
}

// KnownSubject is a subject that can be requested, and what is known of it.
type KnownSubject struct {
	Subject  string `json:"subject"`
	Username string `json:"username,omitempty"`
	// Groups is nil when they are not known: such a subject is impersonated by nobody.
	Groups []string       `json:"groups"`
	Extra  map[string]any `json:"extra,omitempty"`
}

// Revocation is what is not accepted any more, nor anything derived from it. Set
// members are all meant.
type Revocation struct {
	Name         string `json:"name"`
	TokenService string `json:"tokenService"`
	// Issuer is the TrustedIssuer whose token TokenID names, empty for ours.
	Issuer  string `json:"issuer,omitempty"`
	TokenID string `json:"tokenID,omitempty"`
	// Subject also matches every actor and the impersonator.
	Subject string `json:"subject,omitempty"`
	// Client is the client ID that the token was issued to.
	Client       string    `json:"client,omitempty"`
	IssuedBefore time.Time `json:"issuedBefore,omitzero"`
	ExpiresAt    time.Time `json:"expiresAt"`
}

// ExternalKind says which server gives the tokens of an external target.
type ExternalKind string

// The kinds of external target.
const (
	ExternalTokenExchange     ExternalKind = "tokenExchange"
	ExternalJWTBearer         ExternalKind = "jwtBearer"
	ExternalIDJAG             ExternalKind = "idJAG"
	ExternalClientCredentials ExternalKind = "clientCredentials"
	ExternalLinkedToken       ExternalKind = "linkedToken"
	ExternalWebhook           ExternalKind = "webhook"
)

// External is a target whose tokens another server mints. It is its own policy,
// and it is asked for alone.
type External struct {
	Name         string       `json:"name"`
	TokenService string       `json:"tokenService"`
	Generation   int64        `json:"generation,omitempty"`
	Kind         ExternalKind `json:"kind"`
	Audiences    []string     `json:"audiences"`
	Clients      []string     `json:"clients"`

	SubjectIssuers  []string     `json:"subjectIssuers,omitempty"`
	SelfOrigins     []string     `json:"selfOrigins,omitempty"`
	SubjectClasses  []Class      `json:"subjectClasses"`
	SubjectAudience AudienceRule `json:"subjectAudience"`
	SubjectRules    []Rule       `json:"subjectRules,omitempty"`
	Actor           ActorPolicy  `json:"actor,omitzero"`
	Rules           []Rule       `json:"rules,omitempty"`
	Scopes          []string     `json:"scopes,omitempty"`
	// Lifetime bounds what is minted here for the other server.
	Lifetime time.Duration `json:"lifetime,omitempty"`

	// Remote is the other server; nil for idJAG and linkedToken.
	Remote *Upstream `json:"remote,omitempty"`
	// UpstreamAudience, UpstreamResource and UpstreamScope are asked for there.
	UpstreamAudience string `json:"upstreamAudience,omitempty"`
	UpstreamResource string `json:"upstreamResource,omitempty"`
	UpstreamScope    string `json:"upstreamScope,omitempty"`
	// Names are what our clients are called there, by client ID.
	Names []Alias `json:"names,omitempty"`
	// Provider names the links that users stored.
	Provider string `json:"provider,omitempty"`
	Forward  bool   `json:"forward,omitempty"`
	NoCache  bool   `json:"noCache,omitempty"`
}
