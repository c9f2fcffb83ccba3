// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	aliceClaims = `{"sub": "alice", "email_verified": true, "groups": ["staff"], "tenant": "acme", "scope": "images contacts"}`
	bobClaims   = "sub: bob\nemail_verified: true\ngroups: []\nscope: images\n"
)

// ask is a request for images, with more flags or others.
func ask(more ...string) []string {
	return append([]string{
		"explain", "--manifests", "testdata/good", "--client", "shop/frontend", "--issuer", "corp",
		"--subject-claims", "-", "--audience", "media/images-resource",
	}, more...)
}

func TestExplainAnAllowedExchange(t *testing.T) {
	t.Parallel()
	r := exchequer(t, aliceClaims, ask("--scope", "images")...).must(t, exitOK)
	golden(t, "explain-allowed.txt", r.out)
}

func TestExplainARefusedExchange(t *testing.T) {
	t.Parallel()
	r := exchequer(t, bobClaims, ask("--scope", "images")...).must(t, exitNo)
	golden(t, "explain-refused.txt", r.out)
}

func TestExplainGivesTheReasonOfTheFirstCheckThatFailed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		claims string
		args   []string
		reason policy.Reason
		check  string
	}{
		"an unknown client":               {aliceClaims, ask("--client", "shop/nobody"), policy.ClientUnknown, "clientKnown"},
		"a suspended client":              {aliceClaims, ask("--client", "shop/resting"), policy.ClientSuspended, "clientKnown"},
		"an unverified address":           {`{"sub": "a", "email_verified": false}`, ask(), policy.IssuerRule, checkSubjectToken},
		"a token for another":             {`{"sub": "a", "email_verified": true, "groups": ["staff"], "aud": "elsewhere"}`, ask(), policy.SubjectAudience, "audience"},
		"an unknown target":               {aliceClaims, ask("--audience", "media/none"), policy.TargetUnknown, "targetsKnown"},
		"an unknown resource":             {aliceClaims, ask("--resource", "https://example.com/"), policy.TargetUnknown, "targetsKnown"},
		"a scope nobody declares":         {aliceClaims, ask("--scope", "contacts"), policy.ScopeUnknown, "scopesKnown"},
		"a token of yesterday":            {`{"sub": "a", "email_verified": true, "iat": 1, "exp": 301}`, ask(), policy.TokenExpired, "subjectTime"},
		"a type that is not given":        {aliceClaims, ask("--requested-token-type", "JWT"), policy.TokenTypeNotGranted, "tokenType"},
		"an assertion, without the grant": {aliceClaims, ask("--token-type", "JWTBearer"), policy.ClientGrant, "clientGrant"},
		"an ID-JAG, without the grant":    {aliceClaims, ask("--token-type", "IDJAG"), policy.ClientGrant, "clientGrant"},
		"a type by its URN":               {aliceClaims, ask("--requested-token-type", "urn:ietf:params:oauth:token-type:jwt"), policy.TokenTypeNotGranted, "tokenType"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, tc.claims, append(tc.args, "-o", "json")...).must(t, exitNo)
			got := decode[explanation](t, r.out)
			if got.Allowed || got.Reason != tc.reason || got.Check != tc.check {
				t.Errorf("got %s at check %q, want %s at %q", got.Reason, got.Check, tc.reason, tc.check)
			}
		})
	}
}

func TestExplainShowsWhichChecksWereReached(t *testing.T) {
	t.Parallel()
	r := exchequer(t, aliceClaims, ask("--client", "shop/nobody", "-o", "json")...).must(t, exitNo)
	got := decode[explanation](t, r.out)
	results := map[string]string{}
	for _, c := range got.Checks {
		results[c.Check] = c.Result
	}
	if results["tokenService"] != checkOK || results["clientKnown"] != checkFailed || results[checkSubjectToken] != checkNotReached || results["scopesKnown"] != checkNotReached {
		t.Errorf("results = %v", results)
	}
}

func TestExplainATokenOfThisService(t *testing.T) {
	t.Parallel()
	claims := `{"sub": "corp:alice", "groups": ["corp:staff"], "scope": "images", "aud": "shop/frontend", "client_id": "shop/other"}`
	r := exchequer(t, claims, ask("--issuer", "self", "--origin", "corp", "-o", "json")...).must(t, exitOK)
	if got := decode[explanation](t, r.out); got.Token == nil || got.Token.Scope != "images" {
		t.Errorf("got %+v", got)
	}
}

func TestExplainSaysThatTheManifestsHaveProblems(t *testing.T) {
	t.Parallel()
	r := exchequer(t, aliceClaims, ask("--manifests", "testdata/gated", "--client", "shop/frontend")...).must(t, exitNo)
	says(t, r.out, "the manifests have", "`exchequer check` shows all")
}

func TestExplainRefusesWhatMakesNoRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"a cluster and a directory":   {"", []string{"explain", "--cluster", "--manifests", "x", "--client", "a/b"}, "use one of the two"},
		"a context of no cluster":     {"", []string{"explain", "--manifests", "x", "--context", "y", "--client", "a/b"}, "go with --cluster"},
		"an actor":                    {aliceClaims, ask("--actor", "x"), "--actor-issuer is missing"},
		"no manifests":                {"", []string{"explain", "--client", "a/b"}, "--manifests DIR is missing"},
		"no client":                   {"", []string{"explain", "--manifests", "testdata/good"}, "--client is missing"},
		"no subject":                  {"", []string{"explain", "--manifests", "testdata/good", "--client", "a/b"}, "exactly one of --subject-claims and --subject-token"},
		"two subjects":                {"", ask("--subject-token", "x"), "exactly one of"},
		"claims of nobody":            {aliceClaims, []string{"explain", "--manifests", "testdata/good", "--client", "a/b", "--subject-claims", "-"}, "--issuer is missing"},
		"claims of an unknown issuer": {aliceClaims, ask("--issuer", "nobody"), "issuer nobody is not there"},
		"claims that are a list":      {"[1]", ask(), "expected an object"},
		"claims that are no JSON":     {"{", ask(), "expected an object"},
		"an unknown class":            {aliceClaims, ask("--token-type", "SAML2"), "expected AccessToken, IDToken, JWT, TransactionToken, JWTBearer or IDJAG"},
		"an unknown wanted type":      {aliceClaims, ask("--requested-token-type", "gold"), "--requested-token-type"},
		"a bad time":                  {aliceClaims, ask("--time", "noon"), "RFC 3339"},
		"a bad scope":                 {aliceClaims, ask("--scope", `a"b`), "--scope"},
		"an unknown token service":    {aliceClaims, ask("--token-service", "other"), "no TokenService other"},
		"a token on the command line": {"", []string{"explain", "--manifests", "testdata/good", "--client", "a/b", "--subject-token", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"}, "found a token"},
		"a record without a file":     {"", []string{"explain", "--correlation-id", "x"}, "belong together"},
		"a file without a record":     {"", []string{"explain", "--audit", "x"}, "belong together"},
		"a record and a request":      {"", []string{"explain", "--correlation-id", "x", "--audit", "y", "--client", "a/b"}, "use one of the two"},
		"a stray argument":            {"", []string{"explain", "why"}, `unknown command "why"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, tc.stdin, tc.args...).must(t, exitUsage)
			says(t, r.errs, tc.want)
		})
	}
}

func TestExplainJudgesWhatTheEndpointJudges(t *testing.T) {
	t.Parallel()
	ask := func(args ...string) []string {
		return append([]string{"explain", "--manifests", "testdata/good", "--client", "shop/frontend", "--issuer", "corp", "--audience", "media/images-resource", "--subject-claims", "-"}, args...)
	}
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"the only origin of own tokens is meant":    {aliceClaims, ask("--issuer", "self"), "SubjectIssuer"},
		"a type that nothing grants":                {aliceClaims, ask("--requested-token-type", "urn:ietf:params:oauth:token-type:saml2"), "TokenTypeNotGranted"},
		"the class is what is said, not the claims": {`{"sub": "a", "email_verified": true, "nonce": "n", "groups": []}`, ask("--token-type", "JWT"), "SubjectRule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := exchequer(t, tc.stdin, tc.args...).must(t, exitNo)
			says(t, r.out, tc.want)
		})
	}
}

const records = `not a record
{"time":"2030-01-01T11:59:00Z","correlationID":"aaaa","outcome":"allowed","reason":"","tokenService":"default","client":"shop/frontend","subject":{"issuer":"corp","sub":"corp:alice"},"actor":null,"impersonator":null,"targets":[{"target":"media/images-resource","policy":"media/frontend-gets-images"}],"grant":"urn:ietf:params:oauth:grant-type:token-exchange","audience":["media/images-resource"],"scopeAsked":["images"],"scopeGranted":["images"],"tokenType":"AccessToken","revision":3,"kid":"k","jti":"j","txn":"t","tokensIn":[],"durationMicros":180}
{"time":"2030-01-01T11:59:30Z","correlationID":"bbbb","outcome":"denied","reason":"SubjectRule","tokenService":"default","client":"shop/frontend","subject":{"issuer":"corp","sub":"corp:bob"},"actor":null,"impersonator":null,"targets":[],"grant":"urn:ietf:params:oauth:grant-type:token-exchange","audience":["media/images-resource"],"scopeAsked":["images"],"scopeGranted":[],"tokenType":"AccessToken","revision":3,"kid":"","jti":"","txn":"","tokensIn":[],"durationMicros":90,"check":"subjectRules","detail":"subject.rules[0] is false: staff only","trace":[{"target":"media/images-resource","policies":[{"policy":"media/frontend-gets-images","outcome":"denied","reason":"SubjectRule","check":"subjectRules","detail":"subject.rules[0] is false: staff only"}]}]}
`

func TestExplainARecord(t *testing.T) {
	t.Parallel()
	r := exchequer(t, records, "explain", "--correlation-id", "bbbb", "--audit", "-").must(t, exitNo)
	golden(t, "explain-record.txt", r.out)
	r = exchequer(t, "", "explain", "--correlation-id", "aaaa", "--audit", file(t, "audit.log", records)).must(t, exitOK)
	says(t, r.out, "✓ allowed by media/frontend-gets-images", "corp:alice", "images")
}

func TestExplainSaysWhenThereIsNoSuchRecord(t *testing.T) {
	t.Parallel()
	r := exchequer(t, records, "explain", "--correlation-id", "cccc", "--audit", "-").must(t, exitUsage)
	says(t, r.errs, "none of 2 records has it")
	r = exchequer(t, "nothing\n", "explain", "--correlation-id", "cccc", "--audit", "-").must(t, exitUsage)
	says(t, r.errs, "no audit records in it")
	r = exchequer(t, strings.Repeat("x", maxRecord+1), "explain", "--correlation-id", "cccc", "--audit", "-").must(t, exitUsage)
	says(t, r.errs, "a line has more than")
}

func TestEveryCheckOfARequestIsExplainedInWords(t *testing.T) {
	t.Parallel()
	names, _ := policy.Checks()
	names = append(names, checkSubjectToken, checkActorToken)
	means := meanings()
	for _, n := range names {
		if means[n] == "" {
			t.Errorf("check %s has no words in meanings", n)
		}
	}
	for n := range means {
		if !slices.Contains(names, n) {
			t.Errorf("meanings has %s, which is no check", n)
		}
	}
}

func TestASubjectOfOurOwnIsSaidWithoutAnOriginThatIsNotKnown(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]explainedSubject{
		"corp:alice from TrustedIssuer corp":                                   {Issuer: "corp", Subject: "corp:alice"},
		"corp:alice by a token of this service":                                {Issuer: "self", Subject: "corp:alice"},
		"corp:alice by a token of this service, first from TrustedIssuer corp": {Issuer: "self", Origin: "corp", Subject: "corp:alice"},
	} {
		if got := s.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
