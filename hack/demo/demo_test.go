// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

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
	for _, want := range []string{"✓ the sun rises", "✗ pigs fly (found: pigs that walk)", "1 of 2 checks did not"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colour without a terminal")
	}
}

func TestLongLinesAreBrokenBetweenWords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"one that fits":            {"as it is", "as it is"},
		"one that does not":        {"eight words that do not fit in it", "eight words\n  that do\n  not fit in\n  it"},
		"an indented one":          {"  that goes on below", "  that goes\n  on below"},
		"a word that is too long":  {"a-word-that-is-too-long and more", "a-word-that-is-too-long\n  and more"},
		"colour takes no room":     {green + "twelve" + plain + " " + green + "chars" + plain, green + "twelve" + plain + " " + green + "chars" + plain},
		"a letter is one column":   {"✓ ✓ ✓ ✓ ✓ ✓", "✓ ✓ ✓ ✓ ✓ ✓"},
		"columns of a table stay":  {"a    b   cdefgh ijk", "a    b\n  cdefgh ijk"},
		"nothing to break at":      {"a-word-that-is-too-long", "a-word-that-is-too-long"},
		"blanks alone are no word": {"   a-word-that-is-too-long", "   a-word-that-is-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(wrap(tc.text, 12, 2), "\n"); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestALineGoesOnBelowItsText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"shop.yaml  the shop": 11, faint + "iss      " + plain + " \"x\"": 9, "plain words": 0, "": 0,
	} {
		if got := hang(text); got != want {
			t.Errorf("%q goes on at %d, want %d", text, got, want)
		}
	}
}

func TestTheOpeningFitsATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	(&page{out: &out}).prologue()
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > columns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestOfConditionsOnlyReadyAndWhatIsNotTrueIsShown(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"TokenService/default  Accepted=True ResolvedRefs=True Ready=True":                           "TokenService/default  Ready=True",
		"TrustedIssuer/corp    Accepted=True Verified=Unknown/NeverFetched Ready=False/NeverFetched": "TrustedIssuer/corp    Verified=Unknown/NeverFetched Ready=False/NeverFetched",
		"listening on 127.0.0.1:8080": "listening on 127.0.0.1:8080",
	} {
		if got := inShort(line); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
