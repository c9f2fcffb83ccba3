// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// Bounds on parameters, beyond the 64 KiB of the whole form.
const (
	// maxTargets bounds resource and audience together: each becomes a lookup, a
	// policy decision and a name in the token.
	maxTargets = 16
	// maxClientID is the longest client_id that an ExchangeClient can have.
	maxClientID = 253
	// maxRequested is the longest subject that an ImpersonationGrant can name.
	maxRequested = 512
	// maxReason bounds what goes into one audit record: a sentence and a ticket.
	maxReason = 512
)

// Params are the parameters of a token request, decoded and checked for form.
// An empty string is an absent parameter (RFC 6749 section 3.2).
type Params struct {
	// GrantType is one of the grants that ParseForm lets pass; Grant is the same for
	// the decision.
	GrantType string
	Grant     policy.GrantType

	ClientID            string
	ClientSecret        string
	ClientAssertionType string
	ClientAssertion     string

	// SubjectToken is also the assertion of the jwt-bearer grant. SubjectURI is the
	// token type of an opaque token, which selects its issuer.
	SubjectToken string
	SubjectAs    policy.PresentedAs
	SubjectURI   string
	// RefreshToken is set for the grant refresh_token alone.
	RefreshToken string
	// ActorToken and ActorAs are both set or both empty.
	ActorToken string
	ActorAs    policy.PresentedAs
	// ActorURI is for the actor token what SubjectURI is for the subject's.
	ActorURI string

	// Details and Context are request_details and request_context.
	Details, Context map[string]any

	// Audiences and Resources are sets in the order in which they were asked.
	Audiences []string
	Resources []string

	// Scopes are those asked for, without duplicates; ScopeGiven tells a request
	// without the parameter. OfflineAccess stands for the one that is no scope of
	// anybody's, offline_access, whether or not there are others.
	Scopes        []string
	ScopeGiven    bool
	OfflineAccess bool

	// TokenType is what requested_token_type asks for.
	TokenType policy.TokenType

	// RequestedSubject is who is to be impersonated, and Reason why.
	RequestedSubject string
	Reason           string

	// SubjectTokenProof is the DPoP proof that the client received with the subject
	// token at its own resource; HandoverJKT the key that a hand-over token is to be
	// bound to.
	SubjectTokenProof string
	HandoverJKT       string
}

// served are the grants, and what each takes beside client credentials, targets
// and scope. A known parameter of another grant refuses: it would be ignored.
var served = map[string]struct { //nolint:gochecknoglobals // a table, never changed
	grant policy.GrantType
	takes []string
}{
	GrantTokenExchange: {policy.GrantTokenExchange, []string{
		"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type",
		"requested_subject", "reason", "subject_token_proof", "handover_jkt", "request_details", "request_context",
	}},
	GrantJWTBearer:    {policy.GrantJWTBearer, []string{"assertion"}},
	GrantRefreshToken: {policy.GrantRefresh, []string{"refresh_token"}},
}

// raw holds the values that can be judged only once all of them are known.
type raw struct {
	grant, scope, assertion            string
	subjectType, actorType, wantedType string
	details, context                   string
	// refused is the first parameter by name that is known and not served; given are
	// those of one grant or another that are not empty.
	refused string
	given   []string
}

// field says where the value of a known parameter goes: nowhere for one that is
// refused when it is sent.
func (p *Params) field(r *raw, name string) (into *string, known bool) {
	switch name {
	case "grant_type":
		return &r.grant, true
	case "client_id":
		return &p.ClientID, true
	case "client_secret":
		return &p.ClientSecret, true
	case "client_assertion_type":
		return &p.ClientAssertionType, true
	case "client_assertion":
		return &p.ClientAssertion, true
	case "subject_token":
		return &p.SubjectToken, true
	case "refresh_token":
		return &p.RefreshToken, true
	case "assertion":
		return &r.assertion, true
	case "subject_token_type":
		return &r.subjectType, true
	case "actor_token":
		return &p.ActorToken, true
	case "actor_token_type":
		return &r.actorType, true
	case "scope":
		return &r.scope, true
	case "requested_token_type":
		return &r.wantedType, true
	case "requested_subject":
		return &p.RequestedSubject, true
	case "reason":
		return &p.Reason, true
	case "subject_token_proof":
		return &p.SubjectTokenProof, true
	case "handover_jkt":
		return &p.HandoverJKT, true
	case "request_details":
		return &r.details, true
	case "request_context":
		return &r.context, true
	}
	return nil, slices.Contains(refusedParameters, name)
}

// common are the parameters that every grant takes.
var common = []string{ //nolint:gochecknoglobals // a table, never changed
	"grant_type", "client_id", "client_secret", "client_assertion_type", "client_assertion", "scope",
}

// refusedParameters change what a request means in another dialect or in a
// feature that is not served: ignoring one would answer a different question
// from the one that was asked (CVE-2026-9704 was such a silent drop).
var refusedParameters = []string{
	// Dialects: vendor extensions and other grants.
	"requested_issuer", "subject_issuer", "authorization_details", "request", "request_uri",
	"code", "username", "password", "claims", "dpop_jkt",
}

// CheckQuery refuses a query string that carries a parameter of the endpoint:
// credentials and tokens in a URL end up in the logs of every hop, and what
// stands in two places is read differently by two layers. Other names are
// ignored, as in the form.
func CheckQuery(query string) *policy.Refusal {
	if query == "" {
		return nil
	}
	var space [maxPairs]pair
	pairs, ref := split([]byte(query), space[:0])
	if ref != nil {
		return invalid("the query string is malformed; send parameters in the body")
	}
	for _, kv := range pairs {
		_, known := new(Params).field(new(raw), kv.name)
		if known || slices.Contains([]string{"audience", "resource", "token", "token_type_hint"}, kv.name) {
			return invalid("the query string has parameters; send them in the body")
		}
	}
	return nil
}

// ParseForm reads the body of a token request. The Params share no memory with
// body. Order matters for the answer: form, then grant type, then parameters,
// so that another grant is told that it is not served and not that its own
// parameters are not.
func ParseForm(body []byte) (*Params, *policy.Refusal) {
	var space [maxPairs]pair
	pairs, ref := split(body, space[:0])
	if ref != nil {
		return nil, ref
	}
	// Room for what one grant takes, so that nothing grows.
	var given [16]string
	p, r := &Params{}, raw{given: given[:0]}
	if ref := p.collect(&r, pairs); ref != nil {
		return nil, ref
	}
	g, known := served[r.grant]
	switch {
	case r.grant == "":
		return nil, invalid("grant_type is missing")
	case !known:
		return nil, refuse(policy.GrantUnsupported, "grant_type is none that is served")
	case r.refused != "":
		return nil, unsupported(r.refused + " is not served")
	}
	for _, name := range r.given {
		if !slices.Contains(g.takes, name) {
			return nil, unsupported(name + " is not a parameter of this grant_type")
		}
	}
	p.GrantType, p.Grant = r.grant, g.grant
	if ref := p.tokens(&r); ref != nil {
		return nil, ref
	}
	if len(p.ClientID) > maxClientID {
		return nil, refuse(policy.ClientUnknown, "client_id is longer than any client's")
	}
	p.TokenType, ref = ParseTokenType(r.wantedType)
	if ref != nil {
		return nil, ref
	}
	if p.Details, ref = parseContext("request_details", r.details); ref != nil {
		return nil, ref
	}
	if p.Context, ref = parseContext("request_context", r.context); ref != nil {
		return nil, ref
	}
	if ref = p.scopes(r.scope); ref != nil {
		return nil, ref
	}
	return p, p.handover()
}

// scopeOffline asks for a refresh token that outlives the subject token (OpenID
// Connect Core section 11). It is never in a token's scope.
const scopeOffline = "offline_access"

func (p *Params) scopes(text string) (ref *policy.Refusal) {
	if p.Scopes, ref = ParseScope(text); ref != nil {
		return ref
	}
	if i := slices.Index(p.Scopes, scopeOffline); i >= 0 {
		p.Scopes = slices.Delete(p.Scopes, i, i+1)
		// What is renewed already is as it was given.
		p.OfflineAccess = p.Grant != policy.GrantRefresh
	}
	p.ScopeGiven = len(p.Scopes) > 0
	return nil
}

// handover checks the key that a hand-over token is to be bound to: an RFC 7638
// thumbprint, which is a SHA-256 in base64url.
func (p *Params) handover() *policy.Refusal {
	switch {
	case p.HandoverJKT == "":
		return nil
	case p.TokenType != policy.TypeHandover:
		return invalid("handover_jkt is for requested_token_type " + URIHandover + " alone")
	case len(p.HandoverJKT) != 43 || strings.Trim(p.HandoverJKT, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return invalid("handover_jkt is no SHA-256 thumbprint in base64url (RFC 7638)")
	}
	return nil
}

func (p *Params) collect(r *raw, pairs []pair) *policy.Refusal {
	targets := 0
	for i, kv := range pairs {
		switch kv.name {
		case "audience":
			targets += min(len(kv.value), 1)
			p.Audiences = appendSet(p.Audiences, kv.value)
		case "resource":
			targets += min(len(kv.value), 1)
			p.Resources = appendSet(p.Resources, kv.value)
		default:
			for _, earlier := range pairs[:i] {
				if earlier.name == kv.name {
					return invalid("a parameter is given twice; only resource and audience may be")
				}
			}
			into, known := p.field(r, kv.name)
			switch {
			case into != nil:
				*into = kv.value
				if kv.value != "" && !slices.Contains(common, kv.name) {
					r.given = append(r.given, kv.name)
				}
			case known && kv.value != "" && r.refused == "":
				r.refused = kv.name
			}
		}
	}
	if targets > maxTargets {
		return invalid("more than 16 targets: resource and audience together")
	}
	return nil
}

func appendSet(set []string, v string) []string {
	if v == "" || slices.Contains(set, v) {
		return set
	}
	return append(set, v)
}

// tokens checks what the grant exchanges.
func (p *Params) tokens(r *raw) *policy.Refusal {
	switch p.Grant {
	case policy.GrantTokenExchange:
		return p.exchanged(r)
	case policy.GrantJWTBearer:
		if r.assertion == "" {
			return invalid("assertion is missing")
		}
		p.SubjectToken, p.SubjectAs = r.assertion, policy.AsAssertion
		return bare("assertion", p.SubjectToken)
	case policy.GrantRefresh:
		if p.RefreshToken == "" {
			return invalid("refresh_token is missing")
		}
		return bare("refresh_token", p.RefreshToken)
	}
	return nil
}

// impersonated checks whom a request names and why. A reason without anybody to be
// impersonated would be ignored.
func (p *Params) impersonated() *policy.Refusal {
	switch {
	case len(p.RequestedSubject) > maxRequested || !readable(p.RequestedSubject):
		return invalid("requested_subject has more than 512 bytes, or control characters")
	case len(p.Reason) > maxReason || !readable(p.Reason):
		return invalid("reason has more than 512 bytes, or control characters")
	case p.RequestedSubject != "" && p.ActorToken != "":
		return invalid("requested_subject and actor_token: each says who impersonates; send one of them")
	case p.Reason != "" && p.RequestedSubject == "" && p.ActorToken == "":
		return invalid("reason belongs to impersonation: to requested_subject, or to an actor_token")
	}
	return nil
}

// readable says whether text is UTF-8 without control characters, which forge lines
// of logs.
func readable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// exchanged checks the presented tokens and what they are presented as.
func (p *Params) exchanged(r *raw) (ref *policy.Refusal) {
	switch {
	case p.SubjectToken == "":
		return invalid("subject_token is missing")
	case r.subjectType == "":
		return invalid("subject_token_type is missing")
	case p.ActorToken != "" && r.actorType == "":
		return invalid("actor_token without actor_token_type")
	case p.ActorToken == "" && r.actorType != "":
		// RFC 8693 section 2.1: must not be there without an actor token. A token
		// that an earlier layer dropped would look like this.
		return invalid("actor_token_type without actor_token")
	}
	if ref = p.impersonated(); ref != nil {
		return ref
	}
	if p.SubjectAs, ref = ParsePresentedAs("subject_token_type", r.subjectType); ref != nil {
		return ref
	}
	if p.SubjectAs == policy.AsOpaque {
		p.SubjectURI = r.subjectType
	}
	if ref = bare("subject_token", p.SubjectToken); ref != nil || p.ActorToken == "" {
		return ref
	}
	if p.ActorAs, ref = ParsePresentedAs("actor_token_type", r.actorType); ref != nil {
		return ref
	}
	if p.ActorAs == policy.AsHandover {
		return invalid("actor_token_type: nobody acts by a hand-over token")
	}
	if p.ActorAs == policy.AsOpaque {
		p.ActorURI = r.actorType
	}
	return bare("actor_token", p.ActorToken)
}

// bare refuses a token in any wrapping: whitespace, "Bearer ", quotes, a line
// break. Nothing is trimmed; the bytes that are judged are the bytes that came.
func bare(param, token string) *policy.Refusal {
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c > '~' || c == '"' || c == '\'' {
			return refuse(policy.TokenMalformed, param+" has characters that no token has: send it without quotes, spaces or a scheme name")
		}
	}
	return nil
}
