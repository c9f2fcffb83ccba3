// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// The grant types whose names are known here.
const (
	// GrantTokenExchange is RFC 8693's.
	GrantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	// GrantJWTBearer is RFC 7523's.
	GrantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	// GrantRefreshToken is RFC 6749's (section 6).
	GrantRefreshToken = "refresh_token"
	// GrantProfileIDJAG is the profile of GrantJWTBearer whose assertions are ID-JAGs.
	GrantProfileIDJAG = "urn:ietf:params:oauth:grant-profile:id-jag"
	// AssertionTypeJWT is the client_assertion_type of RFC 7523.
	AssertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// Token type identifiers (RFC 8693 section 3, drafts, and our own).
const (
	URNAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	URNIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	URNJWT          = "urn:ietf:params:oauth:token-type:jwt"
	URNRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	URNSAML2        = "urn:ietf:params:oauth:token-type:saml2"
	URNTransaction  = "urn:ietf:params:oauth:token-type:txn_token"
	URNIDJAG        = "urn:ietf:params:oauth:token-type:id-jag"
	URIHandover     = "https://exchequer.dev/token-type/handover"
)

// TokenTypeURN is the issued_token_type of what was minted; empty for a type
// that this build does not mint.
func TokenTypeURN(t policy.TokenType) string {
	switch t {
	case policy.TypeAccessToken:
		return URNAccessToken
	case policy.TypeJWT:
		return URNJWT
	case policy.TypeIDToken:
		return URNIDToken
	case policy.TypeRefreshToken:
		return URNRefreshToken
	case policy.TypeHandover:
		return URIHandover
	case policy.TypeTransaction:
		return URNTransaction
	case policy.TypeIDJAG:
		return URNIDJAG
	case policy.TypeSAML2:
		return URNSAML2
	}
	return ""
}

// ParseTokenType turns requested_token_type into what is asked for; absent is an
// access token (RFC 8693 section 2.1 leaves the choice to us).
func ParseTokenType(urn string) (policy.TokenType, *policy.Refusal) {
	switch urn {
	case "", URNAccessToken:
		return policy.TypeAccessToken, nil
	case URNJWT:
		return policy.TypeJWT, nil
	case URNIDToken:
		return policy.TypeIDToken, nil
	case URNRefreshToken:
		return policy.TypeRefreshToken, nil
	case URNSAML2:
		return policy.TypeSAML2, nil
	case URNTransaction:
		return policy.TypeTransaction, nil
	case URNIDJAG:
		return policy.TypeIDJAG, nil
	case URIHandover:
		return policy.TypeHandover, nil
	}
	return "", invalid("requested_token_type is none that this service knows")
}

// ParsePresentedAs turns subject_token_type or actor_token_type, which param
// names, into what the token is presented as. The class of a token comes from
// the token itself; this only says what the caller takes it for.
func ParsePresentedAs(param, urn string) (policy.PresentedAs, *policy.Refusal) {
	switch urn {
	case URNAccessToken:
		return policy.AsAccessToken, nil
	case URNIDToken:
		return policy.AsIDToken, nil
	case URNJWT:
		return policy.AsJWT, nil
	case URIHandover:
		return policy.AsHandover, nil
	case URNTransaction:
		return policy.AsTransaction, nil
	case URNSAML2:
		return policy.AsSAML2, nil
	}
	if isOwnTokenType(urn) {
		return policy.AsOpaque, nil
	}
	return "", invalid(param + " must be " + URNAccessToken + ", or the same with id_token, jwt or saml2 at its end")
}

// isOwnTokenType says whether a token type can be a TrustedIssuer's own: an absolute
// URI (RFC 8693 section 3) of which nobody else has said what it means.
func isOwnTokenType(uri string) bool {
	// In whatever case: a registered name that is misspelt is a mistake, not a name.
	if lower := strings.ToLower(uri); strings.HasPrefix(lower, "urn:ietf:params:oauth:token-type:") || strings.HasPrefix(lower, "https://exchequer.dev/token-type/") {
		return false
	}
	scheme, rest, ok := strings.Cut(uri, ":")
	visible := !strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' })
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return ok && rest != "" && visible && len(uri) <= maxTokenType && scheme != "" && strings.ContainsRune(letters, rune(scheme[0])) &&
		strings.Trim(scheme, letters+"0123456789+.-") == ""
}

// maxTokenType is the longest tokenTypeURI that a TrustedIssuer can have.
const maxTokenType = 512

func invalid(detail string) *policy.Refusal { return refuse(policy.FormInvalid, detail) }

func unsupported(detail string) *policy.Refusal {
	return refuse(policy.ParameterUnsupported, detail)
}

func refuse(reason policy.Reason, detail string) *policy.Refusal {
	return &policy.Refusal{Outcome: policy.Denied, Reason: reason, Check: "form", Detail: detail}
}
