// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"time"
)

// SelfIssuer is what [Token.Issuer] says of a token that this service issued.
const SelfIssuer = "self"

// Token is a presented token after its signature was verified and its claims
// were mapped: facts, nothing that is merely asserted. It is immutable.
type Token struct {
	// Issuer is the TrustedIssuer's name, or "self" for a token of ours.
	Issuer string
	// Origin is the TrustedIssuer that the first token of the chain came from.
	Origin string
	// RawIssuer and RawSubject are the token's own iss and sub.
	RawIssuer  string
	RawSubject string
	// Subject is the mapped, prefixed subject.
	Subject string
	// Username is empty when it is not known.
	Username string
	// Groups is nil when they are not known, empty when there are none.
	Groups []string
	// Scopes are in the order of the token, without duplicates.
	Scopes    []string
	Audiences []string
	// ClientID is azp or client_id: whom the token was issued to.
	ClientID string
	Class    Class
	TokenID  string
	// Extra values are strings or []string; what is absent is not in the map.
	Extra map[string]any
	// Claims are the raw claims.
	Claims map[string]any

	IssuedAt  time.Time
	NotBefore time.Time
	ExpiresAt time.Time

	// Digest is the SHA-256 of the token as it was presented.
	Digest [sha256.Size]byte

	// Act, MayAct and Impersonator are the token's claims of that name, nil when
	// absent; Confirmed says that it carries cnf, and Confirmation what cnf says.
	Act          map[string]any
	MayAct       map[string]any
	Impersonator map[string]any
	Confirmed    bool
	Confirmation Confirmation
	// Actors are the identities of act, outermost first, as they were verified: for
	// tokens of ours, which carry them sealed. A foreign token has none.
	Actors []Actor
	// Under is the ImpersonationGrant that a token of ours was made under, and By who
	// asked for it then; empty and nil for every other token.
	Under string
	By    *Actor
	// Partial says that there is no token behind the facts: lists and maps that are
	// nil are not known, rather than empty.
	Partial bool

	// ACR, AMR and AuthTime travel only where the issuer maps them.
	ACR      string
	AMR      []string
	AuthTime int64

	// Transaction is the txn claim of one of our own tokens.
	Transaction string
	// OriginIssuedAt is the iat of the first token of the chain, for tokens of ours.
	OriginIssuedAt time.Time
	// OriginURL is the iss of the first token of the chain, for tokens of ours.
	OriginURL string
	// Added are the scopes that policies added on the way.
	Added []AddedScope
	// Lineage are the tokens that this one was derived from, oldest first.
	Lineage []Ancestor
}

// Confirmation is the key that a token is bound to (RFC 7800): a DPoP key, a client
// certificate, or both. Unknown says that cnf has a member which is neither, so
// that nobody can prove possession.
type Confirmation struct {
	// JKT is the RFC 7638 thumbprint of a DPoP key (RFC 9449 section 6), X5T the
	// x5t#S256 of a certificate (RFC 8705 section 3); both base64url.
	JKT     string `json:"jkt,omitempty"`
	X5T     string `json:"x5t#S256,omitempty"`
	Unknown bool   `json:"-"`
}

// Proof is what a request proved to possess: every proof was verified, and one that
// was sent and did not verify has refused the request already.
type Proof struct {
	// JKT is the key of the DPoP header, X5T the TLS client certificate.
	JKT string
	X5T string
	// SubjectJKT is the key of the subject_token_proof.
	SubjectJKT string
	// HandoverJKT is the key that a hand-over token is to be bound to (handover_jkt).
	HandoverJKT string
}

// Actor is one party of a chain of actors: what its token said (iss, sub), and, where
// it was verified here, what that means.
type Actor struct {
	// Issuer and Origin are as in a Token, OriginURL too where Issuer is "self"; they
	// are empty for an actor that was never verified here.
	Issuer     string `json:"i,omitempty"`
	Origin     string `json:"o,omitempty"`
	OriginURL  string `json:"l,omitempty"`
	RawIssuer  string `json:"r"`
	RawSubject string `json:"s"`
	// Subject is the mapped, prefixed subject; empty where Issuer is.
	Subject string `json:"m,omitempty"`
	// ClientID is the client that asked when the actor came into the chain.
	ClientID string `json:"c,omitempty"`
	// Username, Groups and Extra are the facts that rules over an actor may ask for.
	// Only the current actor has them: those before it are history (RFC 8693 section
	// 4.1).
	Username string         `json:"u,omitempty"`
	Groups   []string       `json:"g"`
	Extra    map[string]any `json:"e,omitempty"`
}

// ClientAuth is what client authentication found out.
type ClientAuth struct {
	// ID is the client's ID in the snapshot.
	ID string
	// Method is the client authentication method, as metadata names it.
	Method string
	// CredentialDigest is the SHA-256 of the assertion, zero for a secret.
	CredentialDigest [sha256.Size]byte
	// Issuer and Subject are the raw iss and sub of a foreign credential (a
	// service-account token), empty otherwise.
	Issuer  string
	Subject string
	// Public says that the client has shown no credential, because it can have none.
	Public bool
}

// GrantType is the grant that a request uses.
type GrantType uint8

// The grants. The zero value is RFC 8693's.
const (
	GrantTokenExchange GrantType = iota
	// GrantJWTBearer is RFC 7523's: the assertion is the subject.
	GrantJWTBearer
	// GrantRefresh renews what an exchange gave: the subject are the facts of then.
	GrantRefresh
)

// PresentedAs is the family of token type URNs that a request may declare.
type PresentedAs string

// What a subject token can be presented as.
const (
	AsAccessToken PresentedAs = "access_token"
	AsIDToken     PresentedAs = "id_token"
	AsJWT         PresentedAs = "jwt"
	AsSAML2       PresentedAs = "saml2"
	AsHandover    PresentedAs = "handover"
	// AsOpaque is what an issuer's tokenTypeURI says.
	AsOpaque PresentedAs = "opaque"
	// AsTransaction is a transaction token of ours, to be replaced.
	AsTransaction PresentedAs = "txn_token"
	// AsAssertion is the assertion of the jwt-bearer grant.
	AsAssertion PresentedAs = "assertion"
)

// Request is everything that [Snapshot.Decide] looks at.
type Request struct {
	// Now is the time of the request, in UTC.
	Now          time.Time
	TokenService string
	Grant        GrantType
	Client       ClientAuth
	Subject      *Token
	SubjectAs    PresentedAs
	// Actor is the actor token, nil when none was sent.
	Actor   *Token
	ActorAs PresentedAs
	// RequestedSubject is who is to be impersonated, as the request names them.
	RequestedSubject string
	// Directory is what the directory of an issuer said of RequestedSubject, nil when
	// it was not asked or knows nobody of that name.
	Directory *KnownSubject
	Proof     Proof
	// Family is what a refresh token renews, nil for every other grant.
	Family *Family
	// Audiences and Resources are as they were asked, in that order.
	Audiences []string
	Resources []string
	// OfflineAccess says that scope offline_access was asked for, which never stands in
	// Scopes.
	OfflineAccess bool
	// Scopes are as asked, without duplicates; ScopesGiven tells none from absent.
	Scopes      []string
	ScopesGiven bool
	// TokenType is what is asked for.
	TokenType TokenType
	// Details and Context are request_details and request_context, nil when absent.
	Details, Context map[string]any
	// Reason is the form parameter of that name.
	Reason string
	// Effort is what the decision may cost, in units of at most 50 ns; it goes
	// down by what it did cost. Nil is the usual bound, which is the most in any
	// case.
	Effort *int64
}

// Facts are what an expression can see. A nil member is absent: reading it is an
// error, and an error never counts as true.
type Facts struct {
	Claims    map[string]any
	Header    map[string]any
	Subject   *Token
	Actor     *Token
	Client    *Party
	Target    *Party
	Request   *RequestFacts
	Parameter string
	// Effort is what this evaluation and those after it may still cost together,
	// beyond the bound of each; nil is no common bound. A program takes from it
	// what it costs, and gives an error when that is more than there is.
	Effort *int64
}

// Party is a client or a target as expressions see it. Labels are what its owner
// says of it.
type Party struct {
	ID        string
	Namespace string
	Name      string
	Labels    map[string]string
}

// RequestFacts are what expressions see of the request.
type RequestFacts struct {
	Audiences          []string
	Resources          []string
	Scopes             []string
	RequestedTokenType string
	Reason             string
	// Details and Context are request_details and request_context, nil when absent.
	Details, Context map[string]any
	Time             time.Time
}

// Environment names the variables that an expression may use.
type Environment uint8

// The environments.
const (
	// EnvClaims: claims, header. Issuer rules, classification, mappings.
	EnvClaims Environment = iota
	// EnvUser: subject. userValidationRules.
	EnvUser
	// EnvPolicy: request, client, subject, actor, target. Policy rules and claims.
	EnvPolicy
	// EnvScope: parameter, subject, client, and the rest of EnvPolicy.
	EnvScope
)

// ResultType is what an expression must give.
type ResultType uint8

// The result types.
const (
	// WantBool must be a boolean, by type check.
	WantBool ResultType = iota
	// WantAny may be anything that JSON can say.
	WantAny
)

// Program is a compiled expression. It is safe for concurrent use.
type Program interface {
	// Eval gives a Go value as JSON decoding would: bool, string, int64, float64,
	// nil, []any, map[string]any. An error is deterministic: the expression read
	// what is absent, divided by zero, or cost too much.
	Eval(facts *Facts) (any, error)
}

// Compiler compiles and type-checks expressions; package expr provides one.
type Compiler interface {
	Compile(env Environment, want ResultType, expression string) (Program, error)
}
