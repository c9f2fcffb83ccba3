// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "slices"

// transactionCases are requests for transaction tokens.
func transactionCases() map[string]decideCase {
	begin := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return func(s *Spec, r *Request) {
			policyNamed(s, "images").TokenTypes = []TokenType{TypeTransaction}
			r.TokenType, r.Details = TypeTransaction, map[string]any{"action": "show"}
			change(s, r)
		}
	}
	replace := func(change func(*Spec, *Request)) func(*Spec, *Request) {
		return begin(func(s *Spec, r *Request) {
			p := policyNamed(s, "images")
			p.SubjectClasses = []Class{ClassTransaction}
			r.Subject, r.SubjectAs, r.Details = own(), AsTransaction, nil
			r.Subject.Class, r.Subject.Audiences = ClassTransaction, []string{"media/images-resource"}
			r.Subject.Claims["req_wl_chain"] = []any{"shop/frontend"}
			change(s, r)
		})
	}
	same := func(*Spec, *Request) {}
	return map[string]decideCase{
		"a transaction begins":                          {begin(same), granted("images")},
		"a transaction goes on":                         {replace(same), granted("images")},
		"a transaction for two audiences":               {begin(func(_ *Spec, r *Request) { r.Audiences = append(r.Audiences, "media/img") }), refusedBy("transaction", FormInvalid)},
		"a transaction without audience":                {begin(func(_ *Spec, r *Request) { r.Audiences = nil }), refusedBy("transaction", FormInvalid)},
		"a transaction without scope":                   {begin(func(_ *Spec, r *Request) { r.Scopes, r.ScopesGiven = nil, false }), refusedBy("transaction", FormInvalid)},
		"a transaction of a public client":              {begin(func(_ *Spec, r *Request) { r.Client.Public = true }), refusedBy("transaction", ClientGrant)},
		"a transaction goes on in another trust domain": {replace(func(_ *Spec, r *Request) { r.Subject.Audiences = []string{"media/img"} }), refusedBy("transaction", TargetNotGranted)},
		"a transaction goes on about something else":    {replace(func(_ *Spec, r *Request) { r.Details = map[string]any{} }), refusedBy("transaction", FormInvalid)},
		"a transaction goes on for ever":                {replace(func(_ *Spec, r *Request) { r.Subject.Claims["req_wl_chain"] = slices.Repeat([]any{"a"}, maxWorkloads) }), refusedBy("transaction", PolicyRule)},
		"a transaction token for an access token": {replace(func(s *Spec, r *Request) {
			r.TokenType = TypeAccessToken
			policyNamed(s, "images").TokenTypes = []TokenType{TypeAccessToken}
		}), refusedBy("transaction", TokenTypeNotGranted)},
		"details for an access token":                           {func(_ *Spec, r *Request) { r.Details = map[string]any{} }, refusedBy("transaction", ParameterUnsupported)},
		"a transaction token presented as an access token":      {replace(func(_ *Spec, r *Request) { r.SubjectAs = AsAccessToken }), refusedBy("subjectClass", TokenClass)},
		"a transaction token where no policy takes them":        {replace(func(s *Spec, _ *Request) { policyNamed(s, "images").SubjectClasses = []Class{ClassAccessToken} }), refusedBy("class", SubjectTokenType)},
		"a transaction never has more scope than the subject":   {begin(func(s *Spec, r *Request) { policyNamed(s, "images").AddScopes = true; r.Scopes = []string{"wide"} }), refusedBy("scopes", ScopeNotHeld)},
		"a transaction with a scope that stands in no token":    {begin(func(s *Spec, r *Request) { r.Scopes = []string{"silent"}; r.Subject.Scopes = r.Scopes }), refusedBy("combine", ScopeNotGranted)},
		"a transaction whose policy writes what is not its own": {begin(func(s *Spec, _ *Request) { policyNamed(s, "images").Claims = []Claim{{"tctx", "text x"}} }), refusedBy("combine", ClaimInvalid)},
	}
}
