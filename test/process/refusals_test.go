// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// refusal is a request and what must come of it.
type refusal struct {
	ask    func(s *server) *asking
	status int
	code   string
	reason string
}

const bad, unauthorized = http.StatusBadRequest, http.StatusUnauthorized

// images is the request that would be allowed; each case below changes one thing.
func images(s *server) *asking { return s.ask(s.user()).app().images() }

func with(name string, values ...string) func(*server) *asking {
	return func(s *server) *asking { return images(s).with(name, values...) }
}

func of(over claims) func(*server) *asking {
	return func(s *server) *asking { return s.ask(s.user(over)).app().images() }
}

func form(f func(*server) *asking, reason string) refusal {
	return refusal{f, bad, "invalid_request", reason}
}

func TestEveryRefusalHasItsErrorAndItsReason(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	for _, table := range []map[string]refusal{formRefusals(), tokenRefusals(), targetRefusals()} {
		for name, tc := range table {
			t.Run(name, func(t *testing.T) {
				r := tc.ask(s.in(t)).send().refused(tc.status, tc.code, tc.reason)
				if got := r.header.Get("Cache-Control"); got != "no-store" {
					t.Errorf("Cache-Control = %q", got)
				}
				if got := r.header.Get("Content-Type"); got != "application/json" {
					t.Errorf("Content-Type = %q", got)
				}
				if len(r.members) != 3 || r.text("error_description") == "" || r.text("correlation_id") != r.header.Get("X-Correlation-Id") {
					t.Errorf("R21 R24: body %s", r.body)
				}
			})
		}
	}
	t.Run("what they are compared with is allowed", func(t *testing.T) {
		images(s.in(t)).send().allowed()
	})
}

func formRefusals() map[string]refusal {
	cases := map[string]refusal{
		"R2 F26: no grant_type":          form(with("grant_type"), "FormInvalid"),
		"F26: another grant_type":        {with("grant_type", "authorization_code"), bad, "unsupported_grant_type", "GrantUnsupported"},
		"F26: the grant in capitals":     {with("grant_type", strings.ToUpper(grantExchange)), bad, "unsupported_grant_type", "GrantUnsupported"},
		"another grant's parameters":     form(with("grant_type", "refresh_token"), "ParameterUnsupported"),
		"R7 F30: no subject_token":       form(with("subject_token"), "FormInvalid"),
		"F29: an empty subject_token":    form(with("subject_token", ""), "FormInvalid"),
		"R8 F30: no subject_token_type":  form(with("subject_token_type"), "FormInvalid"),
		"F32: an unknown type":           form(with("subject_token_type", "urn:example:mine"), "IssuerUnknown"),
		"R26: a JWT as SAML":             form(with("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), "TokenMalformed"),
		"a refresh token as the subject": form(with("subject_token_type", typeRefresh), "FormInvalid"),
		"F31 R10: an actor without type": form(with("actor_token", "a.b.c"), "FormInvalid"),
		"F31 R10: an actor type alone":   form(with("actor_token_type", typeAccess), "FormInvalid"),
		"R6 F34: an unknown wanted type": form(with("requested_token_type", "urn:example:mine"), "FormInvalid"),
		"F34: a refresh token wanted":    form(with("requested_token_type", typeRefresh), "TokenTypeNotGranted"),
		"an ID token wanted":             form(with("requested_token_type", typeID), "TokenTypeNotGranted"),
		"a hand-over wanted":             form(with("requested_token_type", "https://exchequer.dev/token-type/handover"), "TokenTypeNotGranted"),
		"F27: scope twice":               form(with("scope", "images", "images"), "FormInvalid"),
		"F27: subject_token twice": form(func(s *server) *asking {
			a := images(s)
			return a.with("subject_token", a.form.Get("subject_token"), a.form.Get("subject_token"))
		}, "FormInvalid"),
		"F27: client_id twice":              form(with("client_id", "shop/app", "shop/app"), "FormInvalid"),
		"F28: more than 16 targets":         form(with("audience", strings.Fields(strings.Repeat("media/images-resource ", 1)+seventeen())...), "FormInvalid"),
		"F51: a token with its scheme":      form(func(s *server) *asking { return s.ask("Bearer " + s.user()).app().images() }, "TokenMalformed"),
		"F51: a token in quotes":            form(func(s *server) *asking { return s.ask(`"` + s.user() + `"`).app().images() }, "TokenMalformed"),
		"F51: a token and a line break":     form(func(s *server) *asking { return s.ask(s.user() + "\n").app().images() }, "FormInvalid"),
		"F49: a parameter in other letters": form(func(s *server) *asking { return images(s).with("subject_token").with("Subject_Token", s.user()) }, "FormInvalid"),
		"a DPoP proof that is none":         {func(s *server) *asking { return images(s).head("DPoP", "a.b.c") }, bad, "invalid_dpop_proof", "ProofInvalid"},
		"a proof for a token that is none":  {with("subject_token_proof", "x"), bad, "invalid_dpop_proof", "ProofInvalid"},
		"F46, F201: requested_subject":      form(with("requested_subject", "corp:boss"), "ImpersonationForbidden"),
		"a reason for nothing":              form(with("reason", "x"), "FormInvalid"),
		"a key for no hand-over":            form(with("handover_jkt", "x"), "FormInvalid"),
		"R11: an actor token": form(func(s *server) *asking {
			return images(s).with("actor_token", s.user()).with("actor_token_type", typeAccess)
		}, "ActorForbidden"),
		"F14: an invalid byte": form(with("scope", "images\xff"), "FormInvalid"),
		"F14: a NUL":           form(with("audience", "a\x00b"), "FormInvalid"),
	}
	for _, name := range []string{
		"requested_issuer", "subject_issuer", "authorization_details", "request", "request_uri", "assertion", "code", "username", "password",
		"claims", "dpop_jkt", "refresh_token",
	} {
		cases["F45 F47: "+name] = form(with(name, "x"), "ParameterUnsupported")
	}
	return cases
}

func seventeen() string {
	var all []string
	for i := range 16 {
		all = append(all, fmt.Sprintf("media/t%d", i))
	}
	return strings.Join(all, " ")
}

func tokenRefusals() map[string]refusal {
	past, future := time.Now().Add(-10*time.Minute).Unix(), time.Now().Add(10*time.Minute).Unix()
	return map[string]refusal{
		"no token at all":                   form(func(s *server) *asking { return s.ask("rubbish").app().images() }, "TokenMalformed"),
		"another issuer's":                  form(of(claims{"iss": "https://login.other.example"}), "IssuerUnknown"),
		"an issuer with a slash":            form(func(s *server) *asking { return s.ask(s.user(claims{"iss": s.corp.URL() + "/"})).app().images() }, "IssuerUnknown"),
		"another signature":                 form(func(s *server) *asking { return s.ask(lastChange(s.user())).app().images() }, "TokenSignature"),
		"expired":                           form(of(claims{"iat": past - 600, "exp": past}), "TokenExpired"),
		"not valid yet":                     form(of(claims{"nbf": future}), "TokenNotYetValid"),
		"issued in the future":              form(of(claims{"iat": future}), "TokenNotYetValid"),
		"older than maxTokenAge":            form(of(claims{"iat": time.Now().Add(-48 * time.Hour).Unix()}), "TokenTooOld"),
		"without exp":                       form(of(claims{"exp": nil}), "TokenMalformed"),
		"without iat":                       form(of(claims{"iat": nil}), "TokenMalformed"),
		"without sub":                       form(of(claims{"sub": nil}), "TokenMalformed"),
		"F130: without aud, azp, client_id": form(of(claims{"aud": nil}), "SubjectAudience"),
		"for another client":                form(of(claims{"aud": "hr-portal"}), "SubjectAudience"),
		"for this service and no client":    form(of(claims{"aud": sts}), "SubjectAudience"),
		"azp and client_id that differ":     form(of(claims{"azp": "shop-app", "client_id": "hr-portal"}), "SubjectAudience"),
		"a rule of the policy":              form(of(claims{"groups": []string{"guests"}}), "SubjectRule"),
		"F33: presented as an ID token":     form(with("subject_token_type", typeID), "TokenClass"),
		"F33: a logout token by its typ": form(func(s *server) *asking {
			return s.ask(s.sign(s.corp.Key(), map[string]any{"typ": "logout+jwt"}, claims{"sub": "alice", "aud": "shop-app"})).app().images()
		}, "TokenClass"),
		"F207: a may_act that names somebody else": form(of(claims{"may_act": map[string]any{"sub": "somebody"}}), "MayAct"),
		"an act where no actor is allowed":         form(of(claims{"act": map[string]any{"sub": "admin"}}), "ActorForbidden"),
		"a bound token without proof":              form(of(claims{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), "SubjectBinding"),
		"scope and scp that differ":                form(of(claims{"scp": []string{"contacts"}}), "SubjectMapping"),
	}
}

func targetRefusals() map[string]refusal {
	target := func(f func(*server) *asking, reason string) refusal {
		return refusal{f, bad, "invalid_target", reason}
	}
	scope := func(f func(*server) *asking, reason string) refusal {
		return refusal{f, bad, "invalid_scope", reason}
	}
	return map[string]refusal{
		"R22: an unknown audience":         target(with("audience", "media/nothing"), "TargetUnknown"),
		"a target without a policy":        target(func(s *server) *asking { return images(s).with("audience", contactsAPI).with("scope") }, "TargetNotGranted"),
		"F38 R14: one granted, one not":    target(func(s *server) *asking { return images(s).with("audience", imagesAPI, contactsAPI) }, "TargetNotGranted"),
		"F38: one granted, one unknown":    target(func(s *server) *asking { return images(s).with("audience", imagesAPI, "media/nothing") }, "TargetUnknown"),
		"targets of two namespaces":        target(func(s *server) *asking { return images(s).with("audience", imagesAPI, "shop/app") }, "TargetsMixed"),
		"F36: a slash at the end":          target(with("resource", imagesURI+"/"), "TargetUnknown"),
		"F36: another case":                target(with("resource", strings.Replace(imagesURI, "images", "IMAGES", 1)), "TargetUnknown"),
		"F36: the default port":            target(with("resource", strings.Replace(imagesURI, ".example", ".example:443", 1)), "TargetUnknown"),
		"F36: an escape":                   target(with("resource", strings.Replace(imagesURI, "v1", "%761", 1)), "TargetUnknown"),
		"F35: a relative resource":         target(with("resource", "/v1"), "TargetUnknown"),
		"F35: a fragment":                  target(with("resource", imagesURI+"#x"), "TargetUnknown"),
		"F37: a wildcard":                  target(with("audience", "media/*"), "TargetUnknown"),
		"F37: a list with commas":          target(with("audience", imagesAPI+","+contactsAPI), "TargetUnknown"),
		"neither target nor scope":         target(func(s *server) *asking { return images(s).with("audience").with("scope") }, "TargetNotGranted"),
		"a resource as an audience":        target(with("audience", imagesURI), "TargetUnknown"),
		"F43: a scope that nobody knows":   scope(with("scope", "images everything"), "ScopeUnknown"),
		"a scope of another target":        scope(with("scope", "contacts"), "ScopeUnknown"),
		"a scope that the subject has not": scope(func(s *server) *asking { return s.ask(s.user(claims{"scope": "contacts"})).app().images() }, "ScopeNotHeld"),
		"F42: nothing left of the scopes": scope(func(s *server) *asking {
			return s.ask(s.user(claims{"scope": "contacts"})).app().images().with("scope")
		}, "ScopeNotGranted"),
		"R31 F40: another case": scope(with("scope", "Images"), "ScopeUnknown"),
		"F40: two spaces":       scope(with("scope", "images "+" contacts"), "ScopeUnknown"),
		"F40: a quote":          scope(with("scope", `"images"`), "ScopeUnknown"),
	}
}

// indistinct is a body without what is meant to differ.
var indistinct = regexp.MustCompile(`,"correlation_id":"[^"]*"`)

func TestTargetsThatExistCannotBeToldFromThoseThatDoNot(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	seen := map[string]string{}
	for name, audience := range map[string][]string{
		"exists, and is not granted":             {contactsAPI},
		"exists in another namespace":            {"shop/app"},
		"does not exist":                         {"media/nothing"},
		"its namespace does not exist":           {"nowhere/nothing"},
		"one that is granted, and one that is":   {imagesAPI, contactsAPI},
		"one that is granted, and no such thing": {imagesAPI, "media/nothing"},
	} {
		r := images(s).with("audience", audience...).with("scope").send()
		if r.status != bad || r.text("error") != "invalid_target" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		seen[indistinct.ReplaceAllString(r.body, "")] = name
	}
	if len(seen) != 1 {
		t.Errorf("there are %d different answers: %v", len(seen), seen)
	}
}

func TestTheTransportIsStrict(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	good := func() string { return images(s).form.Encode() }
	head := func(change func(http.Header)) http.Header {
		h := images(s).header.Clone()
		change(h)
		return h
	}
	none := func(http.Header) {}
	for name, tc := range map[string]struct {
		method, path, body string
		header             http.Header
		want               int
	}{
		"F1: GET":                      {http.MethodGet, "/token", "", head(none), http.StatusMethodNotAllowed},
		"F1: GET with the parameters":  {http.MethodGet, "/token?" + good(), "", head(none), http.StatusMethodNotAllowed},
		"F2: parameters in the query":  {http.MethodPost, "/token?" + good(), "", head(none), bad},
		"F3: one parameter in both":    {http.MethodPost, "/token?scope=images", good(), head(none), bad},
		"F4: JSON":                     {http.MethodPost, "/token", `{"grant_type":"x"}`, head(func(h http.Header) { h.Set("Content-Type", "application/json") }), http.StatusUnsupportedMediaType},
		"F4: multipart":                {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Set("Content-Type", "multipart/form-data; boundary=x") }), http.StatusUnsupportedMediaType},
		"F4: no content type":          {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Del("Content-Type") }), http.StatusUnsupportedMediaType},
		"F5: UTF-16":                   {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-16") }), http.StatusUnsupportedMediaType},
		"F5: UTF-8, said so":           {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8") }), http.StatusOK},
		"F6: a body of 64 KiB and one": {http.MethodPost, "/token", good() + "&x=" + strings.Repeat("x", 64<<10), head(none), http.StatusRequestEntityTooLarge},
		"F11: too many parameters":     {http.MethodPost, "/token", good() + strings.Repeat("&x=", 100), head(none), bad},
		"F12: a broken escape":         {http.MethodPost, "/token", good() + "&x=%zz", head(none), bad},
		"F13: a semicolon":             {http.MethodPost, "/token", strings.ReplaceAll(good(), "&", ";"), head(none), bad},
		"F15: a compressed body":       {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Set("Content-Encoding", "gzip") }), http.StatusUnsupportedMediaType},
		"F23: a slash at the end":      {http.MethodPost, "/token/", good(), head(none), http.StatusNotFound},
		"F23: two slashes":             {http.MethodPost, "//token", good(), head(none), http.StatusNotFound},
		"F23: capitals":                {http.MethodPost, "/TOKEN", good(), head(none), http.StatusNotFound},
		"two Authorization headers":    {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Add("Authorization", h.Get("Authorization")) }), bad},
		"as it should be":              {http.MethodPost, "/token", good(), head(none), http.StatusOK},
		"F10: a header of 100 KiB":     {http.MethodPost, "/token", good(), head(func(h http.Header) { h.Set("X-Long", strings.Repeat("x", 100<<10)) }), http.StatusRequestHeaderFieldsTooLarge},
		"introspection without token":  {http.MethodPost, "/introspect", good(), head(none), bad},
		"revocation without token":     {http.MethodPost, "/revoke", good(), head(none), bad},
	} {
		r, err := s.do(tc.method, "", tc.path, tc.body, tc.header)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.status != tc.want {
			t.Errorf("%s: got %d %s, want %d", name, r.status, r.body, tc.want)
		}
		if r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow = %q", name, r.header.Get("Allow"))
		}
	}
	t.Run("F22: a browser of another origin is told nothing", func(t *testing.T) {
		s := s.in(t)
		r := images(s).head("Origin", "https://evil.example").send()
		r.allowed()
		preflight, err := s.do(http.MethodOptions, "", "/token", "", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range []http.Header{r.header, preflight.header} {
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s = %v", name, h[name])
				}
			}
		}
	})
}

func TestAFormIsReadWhateverItsOrder(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	f := images(s).form
	keys := make([]string, 0, len(f))
	for k := range f {
		keys = append(keys, k)
	}
	for i := range keys {
		var b strings.Builder
		for j := range keys {
			k := keys[(i+j)%len(keys)]
			fmt.Fprintf(&b, "&%s=%s", k, url.QueryEscape(f.Get(k)))
		}
		r, err := s.do(http.MethodPost, "", "/token", b.String()[1:], images(s).header)
		if err != nil {
			t.Fatal(err)
		}
		r.allowed()
	}
}
