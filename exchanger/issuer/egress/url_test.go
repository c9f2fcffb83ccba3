// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
)

func TestAnIssuerURLHasOneReading(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		url string
		ok  bool
	}{
		"https with a path passes":                     {"https://login.corp.example/realms/a", true},
		"https with a port passes":                     {"https://login.corp.example:8443", true},
		"a trailing slash passes":                      {"https://tenant.auth.example/", true},
		"a single-label name passes":                   {"https://keycloak", true},
		"an underscore passes":                         {"https://my_keycloak.example", true},
		"punycode passes":                              {"https://xn--bcher-kva.example", true},
		"a public IPv4 literal passes":                 {"https://93.184.215.14", true},
		"a public IPv6 literal passes":                 {"https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443", true},
		"F154: http is refused":                        {"http://login.corp.example", false},
		"F154: http to loopback is refused":            {"http://127.0.0.1:8080", false},
		"F154: http to localhost is refused":           {"http://localhost:8080", false},
		"F154: another scheme is refused":              {"ftp://login.corp.example", false},
		"F154: no scheme is refused":                   {"login.corp.example", false},
		"F154: an opaque URL is refused":               {"https:login.corp.example", false},
		"F154: no host is refused":                     {"https:///path", false},
		"F154: a user name is refused":                 {"https://me@login.corp.example", false},
		"F154: a password is refused":                  {"https://me:secret@login.corp.example", false},
		"F154: an empty user name is refused":          {"https://@login.corp.example", false},
		"F154: a fragment is refused":                  {"https://login.corp.example#a", false},
		"F154: an empty fragment is refused":           {"https://login.corp.example#", false},
		"F154: a query is refused":                     {"https://login.corp.example?a=b", false},
		"F154: an empty query is refused":              {"https://login.corp.example?", false},
		"F154: a private IP literal is refused":        {"https://10.0.0.1", false},
		"F154: a loopback IP literal is refused":       {"https://127.0.0.1", false},
		"F154: a link-local IP literal is refused":     {"https://169.254.169.254", false},
		"F154: an IPv6 loopback literal is refused":    {"https://[::1]", false},
		"F154: a mapped loopback literal is refused":   {"https://[::ffff:127.0.0.1]", false},
		"F154: a zone is refused":                      {"https://[fe80::1%25eth0]", false},
		"F162: one decimal number is refused":          {"https://2130706433", false},
		"F162: a short hexadecimal host is refused":    {"https://0x7f.1", false},
		"F162: a hexadecimal last label is refused":    {"https://a.0x7f", false},
		"F162: a bare 0x is refused":                   {"https://a.0X", false},
		"F162: a short IPv4 is refused":                {"https://127.1", false},
		"F162: an octal IPv4 is refused":               {"https://0177.0.0.1", false},
		"F162: leading zeros are refused":              {"https://093.184.215.014", false},
		"F162: a number beyond IPv4 is refused":        {"https://1.2.3.4.5", false},
		"F162: a trailing dot is refused":              {"https://login.corp.example.", false},
		"F162: a dot alone is refused":                 {"https://.", false},
		"F162: two dots in a row are refused":          {"https://login..example", false},
		"F162: an ideographic full stop is refused":    {"https://127\u30020.0.1", false},
		"F162: full-width digits are refused":          {"https://１27.0.0.1", false},
		"F162: a name of another script is refused":    {"https://b\u00fccher.example", false},
		"F162: a percent-encoded host is refused":      {"https://%6cocalhost", false},
		"F162: a backslash is refused":                 {`https://a.example\@b.example`, false},
		"F162: brackets around IPv4 are refused":       {"https://[127.0.0.1]", false},
		"F162: brackets around a name are refused":     {"https://[login.example]", false},
		"F164: an empty port is refused":               {"https://login.corp.example:", false},
		"F164: port 0 is refused":                      {"https://login.corp.example:0", false},
		"F164: a port beyond 65535 is refused":         {"https://login.corp.example:65536", false},
		"F164: a port with a leading zero is refused":  {"https://login.corp.example:0443", false},
		"F164: a port that is no number is refused":    {"https://login.corp.example:https", false},
		"dot segments are refused":                     {"https://login.corp.example/a/../b", false},
		"encoded dot segments are refused":             {"https://login.corp.example/a/%2e%2e/b", false},
		"a space is refused":                           {"https://login.corp.example/a b", false},
		"a line break is refused":                      {"https://login.corp.example/\n", false},
		"a label over 63 letters is refused":           {"https://" + strings.Repeat("a", 64) + ".example", false},
		"a label that starts with a hyphen is refused": {"https://-a.example", false},
		"an empty URL is refused":                      {"", false},
		"a URL over the limit is refused":              {"https://a.example/" + strings.Repeat("a", egress.MaxURLBytes), false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := (egress.Rules{}).ParseIssuer(tc.url)
			if (err == nil) != tc.ok {
				t.Fatalf("ParseIssuer(%q) = %v, want ok %v", tc.url, err, tc.ok)
			}
			if err != nil && !errors.Is(err, egress.ErrAddress) {
				t.Fatalf("%v is not ErrAddress", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Fatalf("the error repeats a password: %v", err)
			}
		})
	}
}

func TestPlainHTTPIsForOnePersonsMachine(t *testing.T) {
	t.Parallel()
	loopback := []string{"127.0.0.0/8", "::1/128"}
	cases := map[string]struct {
		url     string
		allowed []string
		serve   bool
		ok      bool
	}{
		"F154: http to 127.0.0.1 passes under serve when listed":      {"http://127.0.0.1:8080", loopback, true, true},
		"F154: http to ::1 passes under serve when listed":            {"http://[::1]:8080/a", loopback, true, true},
		"F154: http to localhost passes under serve when listed":      {"http://localhost:8080", loopback, true, true},
		"F154: http to a localhost name passes under serve, listed":   {"http://idp.localhost", loopback, true, true},
		"F154: http to loopback is refused when not listed":           {"http://localhost:8080", nil, true, false},
		"F154: http to loopback is refused outside of serve":          {"http://localhost:8080", loopback, false, false},
		"F154: http to a private address is refused even when listed": {"http://10.0.0.1", []string{"10.0.0.0/8"}, true, false},
		"F154: http to a name is refused even under serve":            {"http://login.corp.example", loopback, true, false},
		"F154: a name that only looks local is refused":               {"http://localhost.example", loopback, true, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := egress.Rules{AllowedCIDRs: cidrs(t, tc.allowed...), Loopback: tc.serve}
			if _, err := r.ParseIssuer(tc.url); (err == nil) != tc.ok {
				t.Fatalf("ParseIssuer(%q) = %v, want ok %v", tc.url, err, tc.ok)
			}
		})
	}
	if _, err := (egress.Rules{}).ParseURL("https://login.corp.example/keys?appid=1"); err != nil {
		t.Fatalf("a URL that is no issuer's may have a query: %v", err)
	}
}

// FuzzParseURL holds the parser to its promise: what it accepts means the same
// after printing and parsing again, and a literal address was judged.
func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://a.example:8443/b?c=d", "https://[::1]", "http://0x7f.1", "https://a%2eb", "https://1.2.3.4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := (egress.Rules{}).ParseURL(raw)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || again.Scheme != "https" || again.User != nil || again.Fragment != "" {
			t.Fatalf("%q is read as %q, then as %v (%v)", raw, u, again, err)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
			if err := (egress.Rules{}).CheckAddr(ip); err != nil {
				t.Fatalf("%q passed: %v", raw, err)
			}
		}
	})
}
