// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/server"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestHostsAndPathsChooseTheTokenService(t *testing.T) {
	t.Parallel()
	a := service("a", "https://sts.example.com/tenants/a", "sts.svc", "both.example:8443")
	b := service("b", "https://sts.example.com/tenants/b")
	root := service("root", "https://root.example.com", "sts.svc:8080", "both.example:8443")
	port := service("port", "https://root.example.com:9443")
	twin := service("twin", "https://twin.example.com", "shared.example")
	other := service("other", "https://other.example.com", "shared.example")
	v6 := service("v6", "https://[2001:db8::1]:8443")
	f := &fake{}
	r := start(t, f, nil, a, b, root, port, twin, other, v6)
	for name, tc := range map[string]struct{ host, path, want string }{
		"by path":                                    {"sts.example.com", "/tenants/a", "a"},
		"by the other path":                          {"sts.example.com", "/tenants/b", "b"},
		"a host in capitals":                         {"STS.Example.COM", "/tenants/b", "b"},
		"the default port, said":                     {"sts.example.com:443", "/tenants/b", "b"},
		"any port of the issuer's host":              {"sts.example.com:31443", "/tenants/a", "a"},
		"a further host":                             {"sts.svc", "/tenants/a", "a"},
		"a further host with a port":                 {"sts.svc:8080", "", "root"},
		"a further host, whose port another one has": {"sts.svc:8080", "/tenants/a", "a"},
		"the issuer's port":                          {"root.example.com:9443", "", "port"},
		"no port: the issuer that has none":          {"root.example.com", "", "root"},
		"a port of nobody: the issuer that has none": {"root.example.com:1", "", "root"},
		"a host that two list belongs to neither":    {"shared.example", "", ""},
		"one that both list, with different paths":   {"both.example:8443", "/tenants/a", "a"},
		"an address of version 6":                    {"[2001:db8::1]:8443", "", "v6"},
		"an address of version 6 without its port":   {"[2001:db8::1]", "", "v6"},
		"F20: an unknown host, with several":         {"evil.example", "/tenants/a", ""},
		"a known host without that path":             {"root.example.com", "/tenants/a", ""},
		"a trailing dot is another host":             {"sts.example.com.", "/tenants/a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.do(t, http.MethodGet, tc.path+"/jwks", "", func(req *http.Request) { req.Host = tc.host })
			if tc.want == "" {
				if got.status != http.StatusNotFound {
					t.Errorf("got %d %s", got.status, got.body)
				}
				return
			}
			if got.status != http.StatusOK || got.member(t, "of") != tc.want {
				t.Errorf("got %d %s, want %s", got.status, got.body, tc.want)
			}
		})
	}
}

func TestTheOnlyTokenServiceAnswersUnderAnyHost(t *testing.T) {
	t.Parallel()
	r := start(t, &fake{}, nil, service("default", "https://sts.example.com/base/"))
	if got := r.do(t, http.MethodPost, "/base/token", form(), nil); got.status != http.StatusOK {
		t.Errorf("got %d", got.status)
	}
	if got := r.do(t, http.MethodPost, "/token", form(), nil); got.status != http.StatusNotFound {
		t.Errorf("outside the issuer's path: %d", got.status)
	}
}

func TestRoutesFollowTheSnapshot(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[policy.Snapshot]
	r := start(t, &fake{}, func(c *server.Config) { c.Snapshot = current.Load })
	if got := r.do(t, http.MethodPost, "/token", form(), nil); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("before the first snapshot: %d", got.status)
	}
	current.Store(compile(t, service("default", "https://sts.example.com")))
	if got := r.do(t, http.MethodGet, "/jwks", "", nil); got.status != http.StatusOK {
		t.Errorf("with a snapshot: %d", got.status)
	}
	current.Store(compile(t, service("default", "https://sts.example.com/moved")))
	if got := r.do(t, http.MethodGet, "/jwks", "", nil); got.status != http.StatusNotFound {
		t.Errorf("the old path: %d", got.status)
	}
	if got := r.do(t, http.MethodGet, "/moved/jwks", "", nil); got.status != http.StatusOK {
		t.Errorf("the new path: %d", got.status)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	issuer := "https://sts.example.com/tenants/a"
	r := start(t, &fake{}, nil, service("a", issuer))
	evil := func(req *http.Request) { req.Host = "evil.example"; req.Header.Set("X-Forwarded-Host", "evil.example") }
	oidc := r.do(t, http.MethodGet, "/tenants/a/.well-known/openid-configuration", "", evil)
	oauth := r.do(t, http.MethodGet, "/.well-known/oauth-authorization-server/tenants/a", "", evil)
	t.Run("F315: the document is the golden one", func(t *testing.T) {
		t.Parallel()
		golden := filepath.Join("testdata", "metadata.golden.json")
		var pretty strings.Builder
		enc := json.NewEncoder(&pretty)
		enc.SetIndent("", "  ")
		if err := enc.Encode(json.RawMessage(oidc.body)); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(golden, []byte(pretty.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || pretty.String() != string(want) {
			t.Errorf("got %s\nwant %s (%v)", pretty.String(), want, err)
		}
	})
	t.Run("F315, F20: the issuer is the configured one and every URL is below it", func(t *testing.T) {
		t.Parallel()
		for _, doc := range []reply{oidc, oauth} {
			if doc.member(t, "issuer") != issuer || doc.member(t, "token_endpoint") != issuer+"/token" || doc.member(t, "jwks_uri") != issuer+"/jwks" {
				t.Errorf("got %s", doc.body)
			}
			if strings.Contains(doc.body, "evil") {
				t.Errorf("the Host header reached %s", doc.body)
			}
		}
	})
	t.Run("F315: where tokens are asked about and revoked", func(t *testing.T) {
		t.Parallel()
		if oidc.member(t, "introspection_endpoint") != issuer+"/introspect" || oidc.member(t, "revocation_endpoint") != issuer+"/revoke" {
			t.Errorf("got %s", oidc.body)
		}
	})
	t.Run("F315: no none, no endpoint that is not served", func(t *testing.T) {
		t.Parallel()
		if strings.Contains(oidc.body, `"none"`) || strings.Contains(oidc.body, "HS256") || strings.Contains(oidc.body, "authorization_endpoint") || strings.Contains(oidc.body, "userinfo") {
			t.Errorf("got %s", oidc.body)
		}
	})
	t.Run("R40: the grant is listed", func(t *testing.T) {
		t.Parallel()
		if !strings.Contains(oidc.body, `"grant_types_supported":["urn:ietf:params:oauth:grant-type:token-exchange",`) {
			t.Errorf("got %s", oidc.body)
		}
	})
	if oauth.body != oidc.body {
		t.Errorf("the two documents differ: %s and %s", oauth.body, oidc.body)
	}
}

func TestPublishedDocuments(t *testing.T) {
	t.Parallel()
	t.Run("SAML metadata is about the issuer, whatever host was asked", func(t *testing.T) {
		t.Parallel()
		r := start(t, &fake{}, nil, service("default", "https://sts.example.com/realm/"))
		got := r.do(t, http.MethodGet, "/realm/saml/metadata", "", func(req *http.Request) { req.Host = "evil.example" })
		if got.body != "https://sts.example.com/realm/ https://sts.example.com/realm/token" {
			t.Errorf("got %d %q", got.status, got.body)
		}
	})
	short := service("short", "https://short.example.com")
	short.Rotation.PrePublish = 3 * time.Minute
	none := service("none", "https://none.example.com")
	none.Rotation.PrePublish = 0
	r := start(t, &fake{}, nil, service("default", "https://sts.example.com"), short, none, service("keyless", "https://keyless.example.com"))
	for name, tc := range map[string]struct {
		method, host, path string
		status             int
		cache, contentType string
		allow              string
		empty              bool
	}{
		"F24: GET":                         {"GET", "sts.example.com", "/jwks", 200, "public, max-age=300", "application/jwk-set+json", "", false},
		"F24: HEAD":                        {"HEAD", "sts.example.com", "/jwks", 200, "public, max-age=300", "application/jwk-set+json", "", true},
		"F24: OPTIONS":                     {"OPTIONS", "sts.example.com", "/jwks", 204, "", "", "GET, HEAD, OPTIONS", true},
		"F24: POST":                        {"POST", "sts.example.com", "/jwks", 405, "", "text/plain; charset=utf-8", "GET, HEAD, OPTIONS", false},
		"F24: metadata":                    {"GET", "sts.example.com", "/.well-known/openid-configuration", 200, "public, max-age=300", "application/json", "", false},
		"F24: HEAD of metadata":            {"HEAD", "sts.example.com", "/.well-known/openid-configuration", 200, "public, max-age=300", "application/json", "", true},
		"F24: OPTIONS of metadata":         {"OPTIONS", "sts.example.com", "/.well-known/oauth-authorization-server", 204, "", "", "GET, HEAD, OPTIONS", true},
		"F24: published for three minutes": {"GET", "short.example.com", "/jwks", 200, "public, max-age=120", "application/jwk-set+json", "", false},
		"F24: not published beforehand":    {"GET", "none.example.com", "/jwks", 200, "no-cache", "application/jwk-set+json", "", false},
		"no keys yet":                      {"GET", "keyless.example.com", "/jwks", 503, "no-store", "application/json", "", false},
		"SAML metadata":                    {"GET", "sts.example.com", "/saml/metadata", 200, "public, max-age=300", "application/samlmetadata+xml", "", false},
		"HEAD of SAML metadata":            {"HEAD", "sts.example.com", "/saml/metadata", 200, "public, max-age=300", "application/samlmetadata+xml", "", true},
		"POST to SAML metadata":            {"POST", "sts.example.com", "/saml/metadata", 405, "", "text/plain; charset=utf-8", "GET, HEAD, OPTIONS", false},
		"no key that makes XML signatures": {"GET", "keyless.example.com", "/saml/metadata", 404, "no-store", "application/json", "", false},
		"HEAD of the token endpoint":       {"HEAD", "sts.example.com", "/token", 405, "no-store", "application/json", "POST", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.do(t, tc.method, tc.path, "", func(req *http.Request) { req.Host = tc.host; req.Header.Set("Origin", "https://evil.example") })
			if got.status != tc.status || got.header.Get("Cache-Control") != tc.cache || got.header.Get("Content-Type") != tc.contentType || got.header.Get("Allow") != tc.allow || (got.body == "") != tc.empty {
				t.Errorf("got %d %v %q", got.status, got.header, got.body)
			}
			if got.header.Get("Set-Cookie") != "" || got.header.Get("Location") != "" || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("header %v", got.header)
			}
		})
	}
}
