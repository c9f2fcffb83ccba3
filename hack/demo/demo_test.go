// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// A resource server that accepts everything would prove nothing.
func TestTheStorysResourceServerRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	iss, err := issuer.Start(issuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(iss.Close)
	stranger, err := issuer.NewKey(iss.Key().ID, "ES256")
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]any{"typ": "at+jwt"}
	claims := func(over issuer.Claims) issuer.Claims {
		c := issuer.Claims{"aud": imagesAPI, "scope": "images"}
		for k, v := range over {
			c[k] = v
		}
		return c
	}
	for name, tc := range map[string]struct {
		key    *issuer.Key
		header map[string]any
		claims issuer.Claims
		want   string
	}{
		"a right one":             {iss.Key(), at, claims(nil), ""},
		"one of several scopes":   {iss.Key(), at, claims(issuer.Claims{"scope": "contacts images"}), ""},
		"another typ":             {iss.Key(), nil, claims(nil), "typ"},
		"another issuer":          {iss.Key(), at, claims(issuer.Claims{"iss": "https://elsewhere.example"}), "iss"},
		"another audience":        {iss.Key(), at, claims(issuer.Claims{"aud": contactsAPI}), "not for"},
		"another scope":           {iss.Key(), at, claims(issuer.Claims{"scope": "contacts"}), "lacks"},
		"past its end":            {iss.Key(), at, claims(issuer.Claims{"exp": time.Now().Add(-time.Minute).Unix()}), "expired"},
		"signed by somebody else": {stranger, at, claims(nil), "verify"},
		"an unpublished key":      {iss.Key(), map[string]any{"typ": "at+jwt", "kid": "none"}, claims(nil), "no published key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := iss.MintWith(tc.key, tc.header, tc.claims)
			if err != nil {
				t.Fatal(err)
			}
			a := &api{http: &http.Client{Timeout: 10 * time.Second}, issuer: iss.URL(), name: imagesAPI}
			switch err := a.accept(t.Context(), raw, "images"); {
			case tc.want == "" && err != nil:
				t.Fatal(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestWhatDoesNotHoldIsCountedAndShown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &page{out: &out}
	p.check(true, "the sun rises", nil)
	p.check(false, "pigs fly", "pigs that walk")
	p.epilogue()
	if p.passed != 1 || len(p.failed) != 1 {
		t.Errorf("passed %d, failed %v", p.passed, p.failed)
	}
	for _, want := range []string{"✔ the sun rises", "✘ pigs fly (found: pigs that walk)", "1 of 2 checks did not"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colour without a terminal")
	}
}
