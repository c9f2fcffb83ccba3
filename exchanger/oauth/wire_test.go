// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestEveryReasonHasOneAnswer(t *testing.T) {
	t.Parallel()
	for _, reason := range policy.Reasons() {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			e, known := errorFor(reason)
			if !known {
				t.Fatalf("%s has no row in errorFor: say what a client is told", reason)
			}
			if e.Code == "" || !strings.HasSuffix(e.Description, ".") || e.Status < 400 || e.Status > 503 {
				t.Errorf("got %+v", e)
			}
			if (e.Status == statusUnavailable || e.Status == statusTooMany) != (e.RetryAfter > 0) {
				t.Errorf("status %d with Retry-After %d: a retry helps exactly when we are unable", e.Status, e.RetryAfter)
			}
			if strings.Contains(e.Description, string(reason)) {
				t.Errorf("%q tells the reason", e.Description)
			}
		})
	}
}

func TestAnUnknownReasonIsABug(t *testing.T) {
	t.Parallel()
	for _, reason := range []policy.Reason{policy.ReasonNone, "NotAReason"} {
		if e := ErrorFor(reason); e != serverError() {
			t.Errorf("%q: got %+v", reason, e)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status  int
		code    string
		reasons []policy.Reason
	}{
		"R21: what is wrong with the request or its tokens, and what policy refuses": {400, "invalid_request", []policy.Reason{
			policy.FormInvalid, policy.ParameterUnsupported, policy.TokenMalformed, policy.TokenSignature, policy.TokenExpired,
			policy.TokenRevoked, policy.IssuerUnknown, policy.IssuerRule, policy.SubjectMapping, policy.SubjectRule, policy.SubjectBinding,
			policy.ActorForbidden, policy.MayAct, policy.PolicyRule, policy.LifetimeTooShort, policy.TokenTypeNotGranted, policy.HandoverUsed,
		}},
		"R22: targets":                         {400, "invalid_target", []policy.Reason{policy.TargetUnknown, policy.TargetNotGranted, policy.TargetsMixed, policy.UpstreamRefused}},
		"R23: scopes":                          {400, "invalid_scope", []policy.Reason{policy.ScopeUnknown, policy.ScopeNotGranted, policy.ScopeNotHeld, policy.ScopeRule}},
		"R23: clients":                         {401, "invalid_client", []policy.Reason{policy.ClientUnknown, policy.ClientSuspended, policy.ClientCredentials, policy.ReplayDetected}},
		"R23, F78: a client without the grant": {400, "unauthorized_client", []policy.Reason{policy.ClientGrant}},
		"R23, F26: another grant":              {400, "unsupported_grant_type", []policy.Reason{policy.GrantUnsupported}},
		"a refresh token":                      {400, "invalid_grant", []policy.Reason{policy.RefreshReuse, policy.RefreshExpired}},
		"a DPoP proof":                         {400, "invalid_dpop_proof", []policy.Reason{policy.ProofInvalid}},
		"a DPoP nonce":                         {400, "use_dpop_nonce", []policy.Reason{policy.ProofNonce}},
		"unable": {503, "temporarily_unavailable", []policy.Reason{
			policy.KeysUnavailable, policy.StoreUnavailable, policy.SnapshotStale,
			policy.SignerUnavailable, policy.AuditUnavailable, policy.UpstreamUnavailable,
		}},
		"a rate limit": {429, "temporarily_unavailable", []policy.Reason{policy.RateLimited}},
		"a bug":        {500, "server_error", []policy.Reason{policy.Internal}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, reason := range tc.reasons {
				if e := ErrorFor(reason); e.Status != tc.status || e.Code != tc.code {
					t.Errorf("%s: got %d %s, want %d %s", reason, e.Status, e.Code, tc.status, tc.code)
				}
			}
		})
	}
}

func TestTheGrantSaysWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	about := func(reason policy.Reason, check string) *policy.Refusal {
		return &policy.Refusal{Reason: reason, Check: check}
	}
	for name, tc := range map[string]struct {
		grant policy.GrantType
		ref   *policy.Refusal
		want  string
	}{
		"KC-47: an assertion that has expired":       {policy.GrantJWTBearer, about(policy.TokenExpired, "subjectTime"), "invalid_grant"},
		"KC-47: an assertion of nobody":              {policy.GrantJWTBearer, about(policy.IssuerUnknown, "subjectToken"), "invalid_grant"},
		"KC-47: an assertion that was used":          {policy.GrantJWTBearer, about(policy.ReplayDetected, policy.AssertionOnce), "invalid_grant"},
		"a client's own assertion that was used":     {policy.GrantJWTBearer, about(policy.ReplayDetected, "clientAssertionOnce"), "invalid_client"},
		"KC-47: an assertion that policy refuses":    {policy.GrantJWTBearer, about(policy.SubjectTokenType, "class"), "invalid_grant"},
		"KC-47: a client that may not use the grant": {policy.GrantJWTBearer, about(policy.ClientGrant, "clientGrant"), "unauthorized_client"},
		"a target of nobody beside an assertion":     {policy.GrantJWTBearer, about(policy.TargetUnknown, "targetsKnown"), "invalid_target"},
		"a scope of nobody beside an assertion":      {policy.GrantJWTBearer, about(policy.ScopeUnknown, "scopesKnown"), "invalid_scope"},
		"keys that cannot be told":                   {policy.GrantJWTBearer, about(policy.KeysUnavailable, "subjectToken"), "temporarily_unavailable"},
		"a bad form":                                 {policy.GrantJWTBearer, about(policy.FormInvalid, "form"), "invalid_request"},
		"facts that were revoked, at a refresh":      {policy.GrantRefresh, about(policy.TokenRevoked, "subjectNotRevoked"), "invalid_grant"},
		"R21: a subject token":                       {policy.GrantTokenExchange, about(policy.TokenExpired, "subjectTime"), "invalid_request"},
		"an answer without a refusal":                {policy.GrantJWTBearer, nil, "server_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Answer{Refusal: tc.ref, Grant: tc.grant}.Error()
			if e.Code != tc.want || (tc.want == "invalid_grant" && e.Status != 400) {
				t.Errorf("got %+v, want %s", e, tc.want)
			}
		})
	}
}

func TestAStrangerCannotTellReasonsApart(t *testing.T) {
	t.Parallel()
	for name, reasons := range map[string][]policy.Reason{
		"F56, F360: clients": {policy.ClientUnknown, policy.ClientSuspended, policy.ClientCredentials, policy.ReplayDetected},
		"F360: targets":      {policy.TargetUnknown, policy.TargetNotGranted, policy.TargetsMixed, policy.UpstreamRefused},
		"F360: scopes":       {policy.ScopeUnknown, policy.ScopeNotGranted, policy.ScopeNotHeld, policy.ScopeRule},
		"F360: issuers":      {policy.IssuerUnknown, policy.IssuerSuspended, policy.IssuerRule, policy.TokenSignature, policy.TokenRevoked},
		"F360: policies":     {policy.SubjectIssuer, policy.SubjectRule, policy.PolicyRule, policy.ActorRule, policy.ImpersonationGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := ErrorFor(reasons[0])
			want := first.AppendJSON(nil, "ID")
			for _, reason := range reasons[1:] {
				e := ErrorFor(reason)
				if got := e.AppendJSON(nil, "ID"); !bytes.Equal(got, want) || e != first {
					t.Errorf("%s answers %s, %s answers %s", reasons[0], want, reason, got)
				}
			}
		})
	}
}

func TestResponseOnTheWire(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		response Response
		want     string
	}{
		"R15, R16, R17, R18, R19, R20: all members, and no refresh token": {
			Response{AccessToken: "a.b.c", IssuedTokenType: URNAccessToken, TokenType: TokenTypeBearer, ExpiresIn: 300, Scope: "images contacts"},
			`{"access_token":"a.b.c","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":300,"scope":"images contacts"}`,
		},
		"F44: no scope, no member": {
			Response{AccessToken: "a.b.c", IssuedTokenType: URNJWT, TokenType: TokenTypeNA, ExpiresIn: 10},
			`{"access_token":"a.b.c","issued_token_type":"urn:ietf:params:oauth:token-type:jwt","token_type":"N_A","expires_in":10}`,
		},
		"a refresh token": {
			Response{AccessToken: "a.b.c", IssuedTokenType: URNRefreshToken, TokenType: TokenTypeBearer, ExpiresIn: 10, RefreshToken: "xqf_r"},
			`{"access_token":"a.b.c","issued_token_type":"urn:ietf:params:oauth:token-type:refresh_token","token_type":"Bearer","expires_in":10,"refresh_token":"xqf_r"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(tc.response.AppendJSON(nil)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestJSONIsAlwaysJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", `quote " and \ backslash`, "line\nbreak", "\x00\x1b[31m", "\u2028", "é", "\xff", "<script>"} {
		var got, want map[string]string
		if err := json.Unmarshal(WireError{Code: s, Description: "d"}.AppendJSON(nil, s), &got); err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		valid := strings.ToValidUTF8(s, "\ufffd")
		want = map[string]string{"error": valid, "error_description": "d", "correlation_id": valid}
		if s == "" {
			delete(want, "correlation_id")
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	r := Response{AccessToken: strings.Repeat("eyJhbGciOiJFUzI1NiJ9", 40), IssuedTokenType: URNAccessToken, TokenType: TokenTypeBearer, ExpiresIn: 300, Scope: "images"}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = r.AppendJSON(buf[:0])
	}
}
