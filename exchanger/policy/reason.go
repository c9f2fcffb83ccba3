// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

// Reason says why a request ended as it did. The list is closed and versioned:
// examples, metrics, audit records and explanations use these words.
type Reason string

// ReasonNone is the reason of a request that was allowed.
const ReasonNone Reason = ""

// Reasons about the client.
const (
	ClientUnknown     Reason = "ClientUnknown"
	ClientSuspended   Reason = "ClientSuspended"
	ClientCredentials Reason = "ClientCredentials"
	ClientGrant       Reason = "ClientGrant"
)

// Reasons about the form of a request.
const (
	FormInvalid          Reason = "FormInvalid"
	ParameterUnsupported Reason = "ParameterUnsupported"
	// GrantUnsupported is for a grant_type that the endpoint does not serve.
	GrantUnsupported Reason = "GrantUnsupported"
)

// Reasons about a presented token and its issuer.
const (
	TokenMalformed   Reason = "TokenMalformed"
	TokenSignature   Reason = "TokenSignature"
	TokenExpired     Reason = "TokenExpired"
	TokenNotYetValid Reason = "TokenNotYetValid"
	TokenTooOld      Reason = "TokenTooOld"
	TokenRevoked     Reason = "TokenRevoked"
	TokenClass       Reason = "TokenClass"
	IssuerUnknown    Reason = "IssuerUnknown"
	IssuerSuspended  Reason = "IssuerSuspended"
	IssuerRule       Reason = "IssuerRule"
	SubjectMapping   Reason = "SubjectMapping"
	UserRule         Reason = "UserRule"
	DirectoryRefused Reason = "DirectoryRefused"
)

// Reasons about targets.
const (
	TargetUnknown    Reason = "TargetUnknown"
	TargetNotGranted Reason = "TargetNotGranted"
	TargetsMixed     Reason = "TargetsMixed"
	// UpstreamRefused is for an external target whose server says no.
	UpstreamRefused Reason = "UpstreamRefused"
)

// Reasons about the subject, as a policy sees it.
const (
	SubjectIssuer    Reason = "SubjectIssuer"
	SubjectTokenType Reason = "SubjectTokenType"
	SubjectAudience  Reason = "SubjectAudience"
	SubjectRule      Reason = "SubjectRule"
	SubjectBinding   Reason = "SubjectBinding"
)

// Reasons about actors and impersonation.
const (
	ActorForbidden         Reason = "ActorForbidden"
	ActorRequired          Reason = "ActorRequired"
	ActorIssuer            Reason = "ActorIssuer"
	ActorAudience          Reason = "ActorAudience"
	ActorRule              Reason = "ActorRule"
	ActorLoop              Reason = "ActorLoop"
	ActorDepth             Reason = "ActorDepth"
	MayAct                 Reason = "MayAct"
	ImpersonationForbidden Reason = "ImpersonationForbidden"
	ImpersonationGrant     Reason = "ImpersonationGrant"
	ImpersonationReason    Reason = "ImpersonationReason"
)

// Reasons about scopes.
const (
	ScopeUnknown    Reason = "ScopeUnknown"
	ScopeNotGranted Reason = "ScopeNotGranted"
	ScopeNotHeld    Reason = "ScopeNotHeld"
	ScopeRule       Reason = "ScopeRule"
)

// Reasons about the token that is asked for.
const (
	TokenTypeNotGranted Reason = "TokenTypeNotGranted"
	LifetimeTooShort    Reason = "LifetimeTooShort"
	PolicyRule          Reason = "PolicyRule"
	ClaimConflict       Reason = "ClaimConflict"
	ClaimInvalid        Reason = "ClaimInvalid"
	TokenTooLarge       Reason = "TokenTooLarge"
)

// Reasons about one-time state.
const (
	RefreshReuse   Reason = "RefreshReuse"
	RefreshExpired Reason = "RefreshExpired"
	HandoverUsed   Reason = "HandoverUsed"
	ReplayDetected Reason = "ReplayDetected"
)

// Reasons about proofs of possession (RFC 9449).
const (
	ProofInvalid Reason = "ProofInvalid"
	// ProofNonce is for a proof that needs a nonce of ours, or a younger one.
	ProofNonce Reason = "ProofNonce"
)

// Reasons for which nobody can tell now.
const (
	KeysUnavailable     Reason = "KeysUnavailable"
	StoreUnavailable    Reason = "StoreUnavailable"
	UpstreamUnavailable Reason = "UpstreamUnavailable"
	SnapshotStale       Reason = "SnapshotStale"
	SignerUnavailable   Reason = "SignerUnavailable"
	AuditUnavailable    Reason = "AuditUnavailable"
	RateLimited         Reason = "RateLimited"
	// RequestAborted is for a caller that went away before anything was signed.
	RequestAborted Reason = "RequestAborted"
	Internal       Reason = "Internal"
)

// Reasons returns every reason but [ReasonNone], in the order of this file.
func Reasons() []Reason {
	return []Reason{
		ClientUnknown, ClientSuspended, ClientCredentials, ClientGrant,
		FormInvalid, ParameterUnsupported, GrantUnsupported,
		TokenMalformed, TokenSignature, TokenExpired, TokenNotYetValid, TokenTooOld, TokenRevoked, TokenClass,
		IssuerUnknown, IssuerSuspended, IssuerRule, SubjectMapping, UserRule, DirectoryRefused,
		TargetUnknown, TargetNotGranted, TargetsMixed, UpstreamRefused,
		SubjectIssuer, SubjectTokenType, SubjectAudience, SubjectRule, SubjectBinding,
		ActorForbidden, ActorRequired, ActorIssuer, ActorAudience, ActorRule, ActorLoop, ActorDepth, MayAct,
		ImpersonationForbidden, ImpersonationGrant, ImpersonationReason,
		ScopeUnknown, ScopeNotGranted, ScopeNotHeld, ScopeRule,
		TokenTypeNotGranted, LifetimeTooShort, PolicyRule, ClaimConflict, ClaimInvalid, TokenTooLarge,
		RefreshReuse, RefreshExpired, HandoverUsed, ReplayDetected, ProofInvalid, ProofNonce,
		KeysUnavailable, StoreUnavailable, UpstreamUnavailable, SnapshotStale, SignerUnavailable, AuditUnavailable,
		RateLimited, RequestAborted, Internal,
	}
}

// Outcome is how a check, or a request, ended. Denied and Unable are different
// things: what is unable is not allowed, and it is not a verdict either.
type Outcome uint8

// The outcomes. The zero value is Denied, so that nothing is allowed by default.
const (
	Denied Outcome = iota
	Unable
	Allowed
)

// String returns the word that metrics and audit records use.
func (o Outcome) String() string {
	switch o {
	case Allowed:
		return "allowed"
	case Unable:
		return "unable"
	case Denied:
		return "denied"
	}
	return "denied"
}

// Refusal is why something was not allowed. Detail is for the audit record and
// for explanations: it names objects and rules, never a claim's value.
type Refusal struct {
	Outcome Outcome
	Reason  Reason
	// Check is the name of the check that refused.
	Check  string
	Detail string
}

// Error makes a Refusal usable as an error where one is wanted.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return string(r.Reason)
	}
	return string(r.Reason) + ": " + r.Detail
}

func deny(reason Reason, detail string) *Refusal {
	return &Refusal{Outcome: Denied, Reason: reason, Detail: detail}
}

// unable is for an expression that erred: it cannot tell, a retry cannot help.
func unable(reason Reason, detail string) *Refusal {
	return &Refusal{Outcome: Unable, Reason: reason, Detail: detail}
}
