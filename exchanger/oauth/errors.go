// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"strconv"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// WireError is the public side of a refusal: what is the same for everybody who
// is refused for a reason of one class. It never holds anything of the request.
type WireError struct {
	Status int
	// Code is the OAuth error code.
	Code string
	// Description is constant text.
	Description string
	// RetryAfter is in seconds, 0 for refusals that a retry cannot help.
	RetryAfter int
}

// The HTTP statuses of the endpoint. They are spelt here because this package
// does not know net/http.
const (
	statusBadRequest   = 400
	statusUnauthorized = 401
	statusTooMany      = 429
	statusServerError  = 500
	statusUnavailable  = 503
)

// Seconds that a client should wait. Five is longer than a snapshot takes to
// arrive and shorter than a caller's patience; a bucket refills within a second.
const (
	retryUnavailable = 5
	retryRate        = 1
)

// What is said of tokens and of policies.
const (
	tokenRefused     = "The subject token or the actor token is not acceptable."
	assertionRefused = "The assertion is not acceptable."
	refreshRefused   = "The refresh token is not valid."
	policyRefused    = "Policy does not allow this exchange."
)

// Error is the public side of an answer that is no token. What RFC 8693 section
// 2.2.2 calls an invalid request is an invalid grant where the token is the grant
// itself: an assertion (RFC 7523 section 3.1) or a refresh token (RFC 6749 section
// 5.2), whether it is not acceptable or policy does not accept it.
func (a Answer) Error() WireError {
	if a.Refusal == nil {
		return serverError()
	}
	e := ErrorFor(a.Refusal.Reason)
	if a.Refusal.Reason == policy.ReplayDetected && a.Refusal.Check == policy.SubjectOnce {
		e = badRequest("invalid_request", tokenRefused) // a token like any other, and no credential
	}
	refused := ""
	switch a.Grant {
	case policy.GrantTokenExchange:
		return e
	case policy.GrantJWTBearer:
		refused = assertionRefused
	case policy.GrantRefresh:
		refused = refreshRefused
	}
	used := a.Refusal.Reason == policy.ReplayDetected && a.Refusal.Check == policy.AssertionOnce
	others := a.Refusal.Check == policy.RefreshClient // a stranger learns nothing of it, not even that it is good
	switch {
	case used || others || e == badRequest("invalid_request", tokenRefused):
		return badRequest("invalid_grant", refused)
	case e == badRequest("invalid_request", policyRefused):
		return badRequest("invalid_grant", policyRefused)
	}
	return e
}

// Overloaded is the answer to a request that was shed before it was looked at.
func Overloaded() WireError { return unavailable() }

func badRequest(code, text string) WireError {
	return WireError{Status: statusBadRequest, Code: code, Description: text}
}

func unavailable() WireError {
	return WireError{Status: statusUnavailable, Code: "temporarily_unavailable", Description: "The service cannot answer now; try again later.", RetryAfter: retryUnavailable}
}

func serverError() WireError {
	return WireError{Status: statusServerError, Code: "server_error", Description: "The service failed; its audit record has the correlation_id."}
}

// ErrorFor returns the one public answer for a reason: one per class of reasons.
// Within a class a caller cannot tell reasons apart; the audit record can. RFC 8693 section 2.2.2
// wants invalid_request for every unacceptable subject or actor token and for
// what policy refuses otherwise. A reason that is not known here is a bug, and
// is answered as one.
func ErrorFor(reason policy.Reason) WireError {
	e, known := errorFor(reason)
	if !known {
		return serverError()
	}
	return e
}

func errorFor(reason policy.Reason) (WireError, bool) {
	switch reason {
	case policy.ClientUnknown, policy.ClientSuspended, policy.ClientCredentials, policy.ReplayDetected:
		// A replayed client assertion is a wrong credential like any other.
		return WireError{Status: statusUnauthorized, Code: "invalid_client", Description: "Client authentication failed."}, true
	case policy.ClientGrant:
		return badRequest("unauthorized_client", "The client may not use this grant type, or this token."), true
	case policy.FormInvalid:
		return badRequest("invalid_request", "The request is not well-formed."), true
	case policy.ParameterUnsupported:
		return badRequest("invalid_request", "The request uses a parameter that this service does not support."), true
	case policy.GrantUnsupported:
		return badRequest("unsupported_grant_type", "The grant type is not supported."), true
	case policy.TokenMalformed, policy.TokenSignature, policy.TokenExpired, policy.TokenNotYetValid,
		policy.TokenTooOld, policy.TokenRevoked, policy.TokenClass,
		policy.IssuerUnknown, policy.IssuerSuspended, policy.IssuerRule,
		policy.SubjectMapping, policy.UserRule, policy.DirectoryRefused, policy.HandoverUsed:
		return badRequest("invalid_request", tokenRefused), true
	case policy.TargetUnknown, policy.TargetNotGranted, policy.TargetsMixed, policy.UpstreamRefused:
		return badRequest("invalid_target", "A target is unknown, not granted, or cannot be combined with the others."), true
	case policy.ScopeUnknown, policy.ScopeNotGranted, policy.ScopeNotHeld, policy.ScopeRule:
		return badRequest("invalid_scope", "A scope is unknown or not granted."), true
	case policy.SubjectIssuer, policy.SubjectTokenType, policy.SubjectAudience, policy.SubjectRule, policy.SubjectBinding,
		policy.ActorForbidden, policy.ActorRequired, policy.ActorIssuer, policy.ActorAudience, policy.ActorRule,
		policy.ActorLoop, policy.ActorDepth, policy.MayAct,
		policy.ImpersonationForbidden, policy.ImpersonationGrant, policy.ImpersonationReason,
		policy.TokenTypeNotGranted, policy.LifetimeTooShort, policy.PolicyRule,
		policy.ClaimConflict, policy.ClaimInvalid, policy.TokenTooLarge:
		return badRequest("invalid_request", policyRefused), true
	case policy.RefreshReuse, policy.RefreshExpired:
		return badRequest("invalid_grant", refreshRefused), true
	case policy.ProofInvalid:
		return badRequest("invalid_dpop_proof", "The DPoP proof is not acceptable."), true
	case policy.ProofNonce:
		return badRequest("use_dpop_nonce", "The DPoP proof needs the nonce of the DPoP-Nonce header."), true
	case policy.KeysUnavailable, policy.StoreUnavailable, policy.UpstreamUnavailable,
		policy.SnapshotStale, policy.SignerUnavailable, policy.AuditUnavailable:
		return unavailable(), true
	case policy.RequestAborted:
		// Nobody is there to read it.
		return unavailable(), true
	case policy.RateLimited:
		return WireError{Status: statusTooMany, Code: "temporarily_unavailable", Description: "Too many requests; try again later.", RetryAfter: retryRate}, true
	case policy.Internal:
		return serverError(), true
	case policy.ReasonNone:
		// A refusal without a reason is a bug of the caller.
		return WireError{}, false
	}
	return WireError{}, false
}

// AppendJSON appends the error's body to dst. correlationID is ours, never the
// caller's; an empty one, of an answer without a record, is left out.
func (e WireError) AppendJSON(dst []byte, correlationID string) []byte {
	dst = appendString(append(dst, `{"error":`...), e.Code)
	dst = appendString(append(dst, `,"error_description":`...), e.Description)
	if correlationID != "" {
		dst = appendString(append(dst, `,"correlation_id":`...), correlationID)
	}
	return append(dst, '}')
}

// RetryAfterHeader is the Retry-After value, empty where there is none.
func (e WireError) RetryAfterHeader() string {
	if e.RetryAfter <= 0 {
		return ""
	}
	return strconv.Itoa(e.RetryAfter)
}
