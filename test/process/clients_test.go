// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestASecretGoesInTheHeaderOrInTheForm(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	s.ask(s.user()).basic("shop/app", appSecret).images().send().allowed()
	s.ask(s.user()).post("shop/app", appSecret).images().send().allowed()

	t.Run("F50: in the header, a slash may stand as it is", func(t *testing.T) {
		s := s.in(t)
		raw := base64.StdEncoding.EncodeToString([]byte("shop/app:" + appSecret))
		s.ask(s.user()).head("Authorization", "Basic "+raw).images().send().allowed()
		s.ask(s.user()).head("Authorization", "basic "+raw).images().send().allowed()
	})
	t.Run("F54: both at once are refused, though both are right", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user()).basic("shop/app", appSecret).post("shop/app", appSecret).images().send().
			refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
		s.ask(s.user()).app().assertion(s.assertion()).images().send().refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
	})
	t.Run("F55: another client_id in the form than in the header is refused", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.user()).app().with("client_id", "shop/signer").images().send().refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
		s.ask(s.user()).app().with("client_id", "shop/app").images().send().allowed()
	})
	t.Run("F53: nothing at all is refused, with a challenge", func(t *testing.T) {
		s := s.in(t)
		r := s.ask(s.user()).images().send().refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
		if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("WWW-Authenticate = %q", r.header.Get("WWW-Authenticate"))
		}
	})
	t.Run("F50: Basic that is no base64, or has no colon, is a wrong credential", func(t *testing.T) {
		s := s.in(t)
		for _, v := range []string{"Basic !!!", "Basic " + base64.StdEncoding.EncodeToString([]byte("no-colon"))} {
			r := s.ask(s.user()).head("Authorization", v).images().send()
			if r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" {
				t.Errorf("%s: %d %s", v, r.status, r.body)
			}
		}
	})
}

func TestF56ClientErrorsCannotBeToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("suspended.yaml", `
apiVersion: exchequer.dev/v1alpha1
kind: ExchangeClient
metadata: {namespace: shop, name: suspended}
spec: {suspend: true, authentication: [{clientSecret: {sha256: $APPDIGEST}}]}
`)
	s := w.serve()
	id := regexp.MustCompile(`"correlation_id":"[^"]*"`)
	seen := map[string]string{}
	for name, tc := range map[string]struct {
		ask    *asking
		reason string
	}{
		"unknown client":              {s.ask(s.user()).basic("shop/nobody", appSecret), "ClientUnknown"},
		"client of another namespace": {s.ask(s.user()).basic("elsewhere/app", appSecret), "ClientUnknown"},
		"wrong secret":                {s.ask(s.user()).basic("shop/app", "a-secret-that-is-long-enough-and-wrong"), "ClientCredentials"},
		"no secret":                   {s.ask(s.user()).basic("shop/app", ""), "ClientCredentials"},
		"suspended, right secret":     {s.ask(s.user()).basic("shop/suspended", appSecret), "ClientSuspended"},
		"suspended, wrong secret":     {s.ask(s.user()).basic("shop/suspended", "wrong-wrong-wrong-wrong-wrong-wrong"), ""},
		"a client without secrets":    {s.ask(s.user()).basic("media/contacts-resource", appSecret), "ClientCredentials"},
		"another method than its own": {s.ask(s.user()).basic("shop/signer", appSecret), "ClientCredentials"},
		"in the form":                 {s.ask(s.user()).post("shop/app", "a-secret-that-is-long-enough-and-wrong"), "ClientCredentials"},
		"an assertion of nobody's":    {s.ask(s.user()).assertion(s.assertion(claims{"iss": "shop/nobody", "sub": "shop/nobody"})), "ClientUnknown"},
		"an assertion badly signed":   {s.ask(s.user()).assertion(lastChange(s.assertion())), "ClientCredentials"},
	} {
		r := tc.ask.images().send()
		if got, _ := r.record()["reason"].(string); tc.reason != "" && got != tc.reason {
			t.Errorf("%s: reason %s, want %s", name, got, tc.reason)
		}
		h := r.header.Clone()
		h.Del("X-Correlation-Id")
		h.Del("Date")
		var all strings.Builder
		_ = h.Write(&all)
		if r.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		seen[id.ReplaceAllString(r.body, "")+all.String()] = name
	}
	if len(seen) != 1 {
		t.Errorf("there are %d different answers: %v", len(seen), seen)
	}
}

func TestASecretIsRotatedWithoutAGap(t *testing.T) {
	t.Parallel()
	const next = "the-next-secret-of-the-app-0123456789-abcdef"
	w := newWorld(t)
	w.words["$NEXTDIGEST"] = digest(next)
	s := w.serve()
	try := func(secret string) int { return s.ask(s.user()).basic("shop/app", secret).images().send().status }

	one, two := "- clientSecret: {sha256: "+digest(appSecret)+"}\n", "- clientSecret: {sha256: $NEXTDIGEST}\n"
	for _, step := range []struct {
		change   func()
		old, new int
	}{
		{func() {}, http.StatusOK, http.StatusUnauthorized},
		{func() { s.applied(func() { w.change("clients.yaml", one, one+"  "+two) }) }, http.StatusOK, http.StatusOK},
		{func() { s.applied(func() { w.change("clients.yaml", one+"  ", "") }) }, http.StatusUnauthorized, http.StatusOK},
	} {
		step.change()
		if first, second := try(appSecret), try(next); first != step.old || second != step.new {
			t.Errorf("the old secret gets %d, want %d; the new one %d, want %d", first, step.old, second, step.new)
		}
	}
}

// forSigner is a user's token that was made for shop/signer.
func (w *world) forSigner() string { return w.user(claims{"aud": "shop-signer"}) }

func TestAnAssertionOfTheClientsOwn(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	s.ask(s.forSigner()).assertion(s.assertion()).images().send().allowed()
	s.ask(s.forSigner()).assertion(s.assertion()).with("client_id", "shop/signer").images().send().allowed()
	s.ask(s.forSigner()).assertion(s.assertion(claims{"aud": []string{sts}})).images().send().allowed()

	at := time.Now().Add(2 * time.Second)
	for name, over := range map[string]claims{
		"F58: iss and sub differ":              {"sub": "shop/app"},
		"F59: aud is the token endpoint":       {"aud": sts + "/token"},
		"F59: aud is a list with another":      {"aud": []string{sts, "https://other.example"}},
		"F59: aud is somebody else":            {"aud": "https://other.example"},
		"F60: no exp":                          {"exp": nil},
		"F60: it lives longer than 5 minutes":  {"exp": at.Add(6 * time.Minute).Unix()},
		"F60: iat in the future":               {"iat": at.Add(3 * time.Minute).Unix(), "exp": at.Add(4 * time.Minute).Unix()},
		"F60: nbf in the future":               {"nbf": at.Add(3 * time.Minute).Unix(), "exp": at.Add(4 * time.Minute).Unix()},
		"F60: it has expired":                  {"iat": at.Add(-5 * time.Minute).Unix(), "exp": at.Add(-3 * time.Minute).Unix()},
		"F61: no jti":                          {"jti": nil},
		"F61: a jti of more than 256 bytes":    {"jti": strings.Repeat("j", 257)},
		"an assertion from before this server": {"iat": at.Add(-30 * time.Second).Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.ask(s.forSigner()).assertion(s.assertion(over)).images().send().refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
		})
	}
	for name, tc := range map[string]struct {
		token string
	}{
		"F57: alg none": {unsigned(s, "none", "")},
		"F57 F66: HS256 with the public key as the secret": {unsigned(s, "HS256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
		"signed with a stranger's key":                     {s.sign(newKey(t, "signer-1"), nil, claims{"iss": "shop/signer", "sub": "shop/signer", "aud": sts, "jti": rand.Text(), "iat": at.Unix(), "exp": at.Add(time.Minute).Unix()})},
		"an access token of ours as a credential":          {s.ask(s.user()).app().images().send().allowed()},
		"F68: the user's token as a credential":            {s.forSigner()},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			r := s.ask(s.forSigner()).assertion(tc.token).images().send()
			if r.status != http.StatusUnauthorized || r.text("error") != "invalid_client" {
				t.Errorf("got %d %s%s", r.status, r.body, r.why())
			}
		})
	}
	t.Run("F68: a credential as a subject token", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.assertion()).app().images().with("subject_token_type", typeJWT).send().refused(http.StatusBadRequest, "invalid_request", "IssuerUnknown")
	})
	t.Run("F67: another client_assertion_type, or none", func(t *testing.T) {
		s := s.in(t)
		s.ask(s.forSigner()).assertion(s.assertion()).with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer").
			images().send().refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
		s.ask(s.forSigner()).assertion(s.assertion()).with("client_assertion_type").images().send().
			refused(http.StatusBadRequest, "invalid_request", "FormInvalid")
	})
}

// unsigned is shop/signer's assertion under an algorithm that needs no key of its.
func unsigned(s *server, alg, sig string) string {
	parts := strings.Split(s.sign(s.signerKey, map[string]any{"alg": alg}, claims{
		"iss": "shop/signer", "sub": "shop/signer", "aud": sts, "jti": rand.Text(),
		"iat": time.Now().Add(2 * time.Second).Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}), ".")
	return parts[0] + "." + parts[1] + "." + sig
}

func TestF62AnAssertionIsGoodOnceHoweverManyTry(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	const tries = 100
	token, assertion := s.forSigner(), s.assertion()
	var start, done sync.WaitGroup
	start.Add(1)
	replies := make([]*reply, tries)
	for i := range replies {
		done.Go(func() {
			start.Wait()
			replies[i], _ = s.ask(token).assertion(assertion).images().try()
		})
	}
	start.Done()
	done.Wait()
	won := 0
	for _, r := range replies {
		switch {
		case r == nil:
			t.Error("a request got no answer")
		case r.status == http.StatusOK:
			won++
		case r.status != http.StatusUnauthorized || r.text("error") != "invalid_client":
			t.Errorf("got %d %s", r.status, r.body)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d requests with one assertion got a token", won, tries)
	}
	r := s.ask(token).assertion(assertion).images().send().refused(http.StatusUnauthorized, "invalid_client", "ReplayDetected")
	if r.record()["client"] != "shop/signer" {
		t.Errorf("the replay is recorded for %v", r.record()["client"])
	}
}

func TestF63ARestartForgetsNoAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	// One that the first process takes, and that has minutes to live.
	var assertion string
	eventually(t, "an assertion of now is accepted", func() bool {
		now := time.Now()
		assertion = w.assertion(claims{"iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix()})
		return s.ask(s.forSigner()).assertion(assertion).images().send().status == http.StatusOK
	})
	s.signal(9)
	s.ended()
	again := w.serve()
	again.ask(again.forSigner()).assertion(assertion).images().send().refused(http.StatusUnauthorized, "invalid_client", "ClientCredentials")
	again.ask(again.forSigner()).assertion(w.assertion()).images().send().allowed()
}

func TestABadAssertionUsesUpNothing(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	for name, bad := range map[string]func(jti string) *asking{
		"F64: one for another audience with the same jti": func(jti string) *asking {
			return s.ask(s.forSigner()).assertion(s.assertion(claims{"jti": jti, "aud": "https://other.example"})).images()
		},
		"F65: one badly signed with the victim's jti": func(jti string) *asking {
			return s.ask(s.forSigner()).assertion(lastChange(s.assertion(claims{"jti": jti}))).images()
		},
		"F65: one of a stranger's key with the victim's jti": func(jti string) *asking {
			at := time.Now().Add(2 * time.Second)
			return s.ask(s.forSigner()).assertion(s.sign(newKey(s.t, "signer-1"), nil,
				claims{"iss": "shop/signer", "sub": "shop/signer", "aud": sts, "jti": jti, "iat": at.Unix(), "exp": at.Add(time.Minute).Unix()})).images()
		},
		"a request that policy refuses": func(jti string) *asking {
			return s.ask(s.forSigner()).assertion(s.assertion(claims{"jti": jti})).with("audience", contactsAPI)
		},
	} {
		t.Run(name, func(t *testing.T) {
			jti := rand.Text()
			s := s.in(t)
			if r := bad(jti).send(); r.status == http.StatusOK {
				t.Fatalf("it was allowed: %s", r.body)
			}
			s.ask(s.forSigner()).assertion(s.assertion(claims{"jti": jti})).images().send().allowed()
		})
	}
}
