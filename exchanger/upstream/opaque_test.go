// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/upstream"
	fake "github.com/exchequer-dev/exchequer/test/fakes/upstream"
)

func basic() *policy.UpstreamAuth {
	return &policy.UpstreamAuth{ClientID: "us", Method: policy.UpstreamBasic, Credential: "secret"}
}

func TestIntrospectionCountsOnlyWhenActiveIsTrue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply  fake.Reply
		want   string
		result upstream.Result
	}{
		"active is true": {fake.Raw(`{"active":true,"sub":"alice"}`), "answered", upstream.ResultOK},
		"F185: active is false beside other members": {fake.Raw(`{"active":false,"sub":"alice","exp":4102444800}`), "refused", upstream.ResultRefused},
		"F185: active is the string true":            {fake.Raw(`{"active":"true","sub":"alice"}`), "refused", upstream.ResultRefused},
		"F185: active is 1":                          {fake.Raw(`{"active":1,"sub":"alice"}`), "refused", upstream.ResultRefused},
		"F185: active is missing":                    {fake.Raw(`{"sub":"alice"}`), "refused", upstream.ResultRefused},
		"F185: active is null":                       {fake.Raw(`{"active":null,"sub":"alice"}`), "refused", upstream.ResultRefused},
		"F185: a jwt claim beside active false":      {fake.Raw(`{"active":false,"jwt":"a.b.c","sub":"alice"}`), "refused", upstream.ResultRefused},
		"F185: active twice":                         {fake.Raw(`{"active":false,"active":true,"sub":"alice"}`), "unavailable", upstream.ResultMalformed},
		"F185: Active in another case":               {fake.Raw(`{"Active":true,"sub":"alice"}`), "refused", upstream.ResultRefused},
		"F185: the answer is a signed token":         {fake.Reply{Header: map[string]string{"Content-Type": "application/token-introspection+jwt"}, Body: []byte("a.b.c")}, "unavailable", upstream.ResultContentType},
		"the answer is no JSON":                      {fake.Raw("<html>"), "unavailable", upstream.ResultMalformed},
		"the answer is a list":                       {fake.Raw(`[{"active":true}]`), "unavailable", upstream.ResultMalformed},
		"there is something behind the answer":       {fake.Raw(`{"active":true} {"active":false}`), "unavailable", upstream.ResultMalformed},
		"the answer has no body":                     {fake.Reply{}, "unavailable", upstream.ResultContentType},
		"our credentials are refused":                {fake.Status(401, map[string]any{"error": "invalid_client"}), "unavailable", upstream.ResultCredentials},
		"an outage":                                  {fake.Status(500, map[string]any{"active": true}), "unavailable", upstream.ResultStatus},
		"too many requests":                          {fake.Status(429, map[string]any{"active": true}), "unavailable", upstream.ResultStatus},
		"created":                                    {fake.Status(201, map[string]any{"active": true}), "unavailable", upstream.ResultStatus},
		"a redirect":                                 {fake.Reply{Status: 302, Header: map[string]string{"Location": "/elsewhere"}}, "unavailable", upstream.ResultRedirect},
		"a compressed answer":                        {fake.Reply{Header: map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, Body: []byte("x")}, "unavailable", upstream.ResultEncoding},
		"an answer of 64 KiB and one byte":           {fake.Raw(`{"active":true,"x":"` + strings.Repeat("x", upstream.MaxBytes-21) + `"}`), "unavailable", upstream.ResultTooLarge},
		"an answer that nests 17 levels":             {fake.Raw(`{"active":true,"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`), "unavailable", upstream.ResultMalformed},
		"headers of more than 32 KiB":                {fake.Reply{Header: map[string]string{"X": strings.Repeat("x", 40<<10)}}, "unavailable", upstream.ResultConnect},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fake.Options{})
			r.client.SetCredentials(map[string][]byte{"secret": []byte("s3cret")})
			r.Handle("/i", always(c.reply))
			claims, err := r.client.Introspect(t.Context(), r.at("/i", basic()), "the token")
			if got := verdict(err); got != c.want || r.seen.last() != c.result {
				t.Fatalf("%s by %s (%v), want %s by %s", got, r.seen.last(), err, c.want, c.result)
			}
			if (claims != nil) != (err == nil) {
				t.Fatalf("claims %v beside %v", claims, err)
			}
			if len(r.Calls("/elsewhere")) > 0 {
				t.Error("the redirect was followed")
			}
		})
	}
}

func TestAnIntrospectionSendsTheTokenAndWhoAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t, fake.Options{TLS: true})
	r.client.SetCredentials(map[string][]byte{"secret": []byte("a:b c")})
	r.Handle("/i", always(fake.Raw(`{"active":true,"sub":"alice"}`)))
	claims, err := r.client.Introspect(t.Context(), r.at("/i", basic()), "t/o+k en")
	if err != nil || len(claims) != 1 || claims["sub"] != "alice" {
		t.Fatalf("claims %v, %v: want sub alone", claims, err)
	}
	call := r.Calls("/i")[0]
	if call.Method != http.MethodPost || call.Form.Get("token") != "t/o+k en" || len(call.Form) != 1 {
		t.Errorf("sent %s %v", call.Method, call.Form)
	}
	if id, secret, ok := (&http.Request{Header: call.Header}).BasicAuth(); !ok || id != "us" || secret != "a%3Ab+c" {
		t.Errorf("Basic credentials %q %q: want them form-encoded (RFC 6749, section 2.3.1)", id, secret)
	}
}

func TestUserInfoIsAskedWithTheTokenItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token string
		reply fake.Reply
		want  string
		calls int
	}{
		"answered":                        {"tok", fake.Raw(`{"sub":"alice"}`), "answered", 1},
		"a token that is not known":       {"tok", fake.Reply{Status: 401, Header: map[string]string{"WWW-Authenticate": `Bearer error="invalid_token"`}}, "refused: invalid_token", 1},
		"a token of too little scope":     {"tok", fake.Status(403, map[string]any{"error": "insufficient_scope"}), "refused: invalid_token", 1},
		"a signed answer":                 {"tok", fake.Reply{Header: map[string]string{"Content-Type": "application/jwt"}, Body: []byte("a.b.c")}, "unavailable", 1},
		"an outage":                       {"tok", fake.Status(502, nil), "unavailable", 1},
		"a token that cannot be a header": {"to\nk", fake.Raw(`{"sub":"alice"}`), "refused: invalid_token", 0},
		"a token with a space in it":      {"to k", fake.Raw(`{"sub":"alice"}`), "refused: invalid_token", 0},
		"no token":                        {"", fake.Raw(`{"sub":"alice"}`), "refused: invalid_token", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fake.Options{})
			r.Handle("/u", always(c.reply))
			_, err := r.client.UserInfo(t.Context(), r.at("/u", nil), c.token)
			if got := verdict(err); got != c.want {
				t.Fatalf("%s (%v), want %s", got, err, c.want)
			}
			calls := r.Calls("/u")
			if len(calls) != c.calls {
				t.Fatalf("%d questions, want %d", len(calls), c.calls)
			}
			if c.calls == 1 && (calls[0].Header.Get("Authorization") != "Bearer "+c.token || calls[0].Method != http.MethodGet) {
				t.Errorf("sent %s %v", calls[0].Method, calls[0].Header)
			}
		})
	}
}

func TestTheResultsAreAClosedSetWithoutDoubles(t *testing.T) {
	t.Parallel()
	seen := map[upstream.Result]bool{}
	for _, r := range upstream.Results() {
		if seen[r] || r == "" {
			t.Errorf("%q stands there twice, or is empty", r)
		}
		seen[r] = true
	}
	if !known(upstream.ResultOK) || !known(upstream.ResultAborted) {
		t.Errorf("not complete: %v", slices.Collect(maps.Keys(seen)))
	}
}
