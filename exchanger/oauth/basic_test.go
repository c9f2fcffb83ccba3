// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

func basic(joined string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(joined))
}

func TestBasicCredentials(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ header, id, secret string }{
		"plain":                                   {basic("shop/frontend:s3cret"), "shop/frontend", "s3cret"},
		"the scheme in any case":                  {strings.Replace(basic("a:b"), "Basic", "bAsIC", 1), "a", "b"},
		"F50: a colon in client_id, encoded":      {basic("a%3Ab:c"), "a:b", "c"},
		"F50: the first colon separates":          {basic("a:b:c"), "a", "b:c"},
		"F50: a plus is a space in both halves":   {basic("a+b:c+d"), "a b", "c d"},
		"F50: an encoded plus and percent sign":   {basic("a:%2B%25"), "a", "+%"},
		"F50: letters beyond ASCII, form-encoded": {basic("a:%C3%A9"), "a", "é"},
		"an empty secret":                         {basic("a:"), "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, secret, present, ref := ParseBasic(tc.header)
			if ref != nil || !present || id != tc.id || secret != tc.secret {
				t.Errorf("got %q, %q, %v, %v", id, secret, present, ref)
			}
		})
	}
	if id, secret, present, ref := ParseBasic(""); id != "" || secret != "" || present || ref != nil {
		t.Error("no header is no credentials")
	}
}

func TestRefusedBasicCredentials(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"another scheme":                        "Bearer a.b.c",
		"no scheme":                             "YTpi",
		"the scheme alone":                      "Basic",
		"F50: no base64":                        "Basic a:b",
		"F50: base64url":                        "Basic " + base64.URLEncoding.EncodeToString([]byte("a:\xff\xfe\xfb")),
		"F50: no padding":                       "Basic " + strings.TrimRight(basic("a:b1")[6:], "="),
		"F50: trailing bits":                    "Basic YTpiYh==",
		"F50: a line break in base64":           "Basic YTpi\r\nYg==",
		"F50: two spaces":                       "Basic  YTpi",
		"F50: no colon":                         basic("abc"),
		"F50: no client_id":                     basic(":secret"),
		"F50: a client_id of 254 characters":    basic(strings.Repeat("a", 254) + ":b"),
		"F50: a malformed escape in client_id":  basic("a%zz:b"),
		"F50: a malformed escape in the secret": basic("a:%"),
		"F50: NUL in client_id":                 basic("a%00:b"),
		"F50: a line break in the secret":       basic("a:b%0a"),
		"F50: invalid UTF-8":                    basic("a\xff:b"),
		"a header of more than 4 KiB":           basic("a:" + strings.Repeat("b", 4<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, secret, present, ref := ParseBasic(header)
			if ref == nil || ref.Reason != policy.ClientCredentials || !present || id != "" || secret != "" {
				t.Errorf("got %q, %q, %v, %v; want %s", id, secret, present, ref, policy.ClientCredentials)
			}
		})
	}
}
