// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const otherDomain = "https://sts.other.example"

// leaving lets app have ID-JAGs for another domain's server.
func leaving(s *policy.Spec) {
	s.Externals = append(s.Externals, policy.External{
		Name: "other", TokenService: mainService, Kind: policy.ExternalIDJAG, Audiences: []string{otherDomain}, Clients: []string{app},
		SubjectIssuers: []string{"corp"}, SubjectClasses: []policy.Class{policy.ClassIDToken},
		SubjectAudience: policy.AudienceRule{Match: policy.AudienceClient}, Scopes: []string{"offers"},
		UpstreamAudience: otherDomain, Names: []policy.Alias{{ID: "shop-at-other", Client: app}},
	})
}

// leave is app's request for an ID-JAG, with an ID token of corp's.
func (w *world) leave(over url.Values) url.Values {
	id := w.sign(w.corp, "JWT", claims{
		"iss": corpURL, "sub": "alice", "aud": app, "iat": w.Now().Unix(), "exp": w.Now().Unix() + 3600, "jti": w.unique("id"), "nonce": "n",
	}, nil)
	v := form(id, url.Values{
		"subject_token_type": {oauth.URNIDToken}, "requested_token_type": {oauth.URNIDJAG}, "audience": {otherDomain},
		"resource": {"https://api.other.example"}, "scope": {"offers"},
	})
	maps.Copy(v, over)
	return v
}

func TestAnIDJAG(t *testing.T) {
	t.Parallel()
	w := newWorld(t, leaving)
	r := granted(t, w.exchange(w.leave(nil)))
	if r.TokenType != "N_A" || r.IssuedTokenType != oauth.URNIDJAG || r.Scope != "offers" || r.ExpiresIn > 300 || r.RefreshToken != "" {
		t.Errorf("%+v", r)
	}
	parsed, err := jose.Parse(r.AccessToken, jose.Limits{})
	if err != nil || parsed.Type() != "oauth-id-jag+jwt" {
		t.Fatal(err)
	}
	c := w.claimsOf(r.AccessToken)
	for name, want := range map[string]string{
		"iss": mainIssuer, "sub": "corp:alice", "aud": otherDomain, "client_id": "shop-at-other", "scope": "offers", "resource": "https://api.other.example",
	} {
		if c[name] != want {
			t.Errorf("%s = %v, want %s", name, c[name], want)
		}
	}
	if names := strings.Join(slices.Sorted(maps.Keys(c)), " "); names != "aud client_id exp iat iss jti resource scope sub" {
		t.Errorf("claims %s: nothing of ours leaves but these", names)
	}
	if record := w.sink.last(t); record.TokenType != policy.TypeIDJAG || record.TokenID != c["jti"] {
		t.Errorf("%+v", record)
	}
	t.Run("KC-46: we accept none of our own, neither as a grant nor as a subject", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, chained, leaving, func(s *policy.Spec) { s.Externals[0].UpstreamAudience = mainIssuer })
		own := granted(t, w.exchange(w.leave(nil))).AccessToken
		refused(t, w.exchange(bearer(own, nil)), policy.TokenClass)
		refused(t, w.exchange(form(own, url.Values{"subject_token_type": {oauth.URNJWT}})), policy.TokenClass)
	})
	t.Run("KC-44: what is refused", func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]struct {
			over url.Values
			want policy.Reason
		}{
			"an access token as the subject": {url.Values{"subject_token": {w.token(nil)}, "subject_token_type": {oauth.URNAccessToken}}, policy.SubjectTokenType},
			"an access token as an ID token": {url.Values{"subject_token": {w.token(nil)}}, policy.TokenClass},
			"another type":                   {url.Values{"requested_token_type": nil}, policy.TokenTypeNotGranted},
			"another scope":                  {url.Values{"scope": {"images"}}, policy.ScopeNotGranted},
			"another domain":                 {url.Values{"audience": {"https://nobody.example"}}, policy.TargetUnknown},
			"no domain":                      {url.Values{"audience": nil}, policy.TargetUnknown},
		} {
			if a := w.exchange(w.leave(test.over)); a.Refusal == nil || a.Refusal.Reason != test.want {
				t.Errorf("%s: %+v, want %s", name, a.Refusal, test.want)
			}
		}
	})
}
