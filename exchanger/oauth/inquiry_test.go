// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func TestTheFormOfAnInquiry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body   string
		reason policy.Reason
	}{
		"RFC 7662 section 2.1":         {"token=abc&client_id=shop%2Fapp&client_secret=s", ""},
		"a hint, which is not needed":  {"token=abc&token_type_hint=refresh_token", ""},
		"a hint that nobody knows":     {"token=abc&token_type_hint=whatever", ""},
		"F47: names that nobody knows": {"token=abc&verbose=true", ""},
		"what is no token":             {"token=%22Bearer+a%22", ""},
		"no token":                     {"client_id=a", policy.FormInvalid},
		"an empty token":               {"token=", policy.FormInvalid},
		"F27: the token twice":         {"token=a&token=a", policy.FormInvalid},
		"F27: anything twice":          {"token=a&x=1&x=2", policy.FormInvalid},
		"F12: a broken escape":         {"token=%zz", policy.FormInvalid},
		"F13: a semicolon":             {"token=a;client_id=b", policy.FormInvalid},
		"F11: too many parameters":     {"token=a" + strings.Repeat("&x=", 100), policy.FormInvalid},
		"F14: a line break":            {"token=a%0a", policy.FormInvalid},
		"a client ID beyond any":       {"token=a&client_id=" + strings.Repeat("a", 300), policy.ClientUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ref := ParseInquiry([]byte(c.body))
			switch {
			case (ref == nil) != (c.reason == "") || ref != nil && ref.Reason != c.reason:
				t.Fatalf("refused %v, want %q", ref, c.reason)
			case ref == nil && (p.SubjectToken == "" || p.GrantType != ""):
				t.Errorf("read %+v", p)
			}
		})
	}
}

func TestNothingOfATokenIsSaidThatOnlyWeCanRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		token policy.Token
		want  string
	}{
		"an access token":     {policy.Token{}, `{"active":true,"sub":"a","token_type":"Bearer"}`},
		"one that is bound":   {policy.Token{Confirmation: policy.Confirmation{JKT: "k"}}, `{"active":true,"sub":"a","token_type":"DPoP"}`},
		"a transaction token": {policy.Token{Class: policy.ClassTransaction}, `{"active":true,"sub":"a","token_type":"N_A"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.token.Claims = map[string]any{"sub": "a", "xqr": "sealed"}
			if got := string(Active(&c.token)); got != c.want {
				t.Errorf("told %s, want %s", got, c.want)
			}
			if c.token.Claims["xqr"] == nil {
				t.Error("the token's own claims were changed: others share them")
			}
		})
	}
}

// Whatever is sent, what is read of it is one token and credentials that stand there.
func FuzzInquiry(f *testing.F) {
	f.Add([]byte("token=abc&client_id=shop%2Fapp&client_secret=s"))
	f.Add([]byte("token=a&token=b"))
	f.Add([]byte("token=%00&token_type_hint=x"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, ref := ParseInquiry(body)
		if (p == nil) == (ref == nil) {
			t.Fatalf("%+v and %v", p, ref)
		}
		if p != nil && (p.SubjectToken == "" || len(p.ClientID) > maxClientID || len(p.SubjectToken) > len(body)) {
			t.Errorf("read %+v of %q", p, body)
		}
	})
}
