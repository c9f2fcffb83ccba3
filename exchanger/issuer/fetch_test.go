// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	fake "github.com/exchequer-dev/exchequer/test/fakes/issuer"
)

// TestABadAnswerChangesNothing breaks an endpoint of an issuer whose keys are
// known, lets a refresh go by, and expects the keys to serve on; an issuer that
// was like that from the start has none.
func TestABadAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	jwks := func(f fake.Fault) func(*world) { return func(w *world) { w.iss.Break(fake.JWKS, f) } }
	disco := func(f fake.Fault) func(*world) { return func(w *world) { w.iss.Break(fake.Discovery, f) } }
	meta := func(k string, v any) func(*world) {
		return func(w *world) { w.iss.SetMetadata(map[string]any{k: v}) }
	}
	cases := map[string]struct {
		fault func(*world)
		want  issuer.Result
	}{
		"F155: discovery of another issuer":                       {meta("issuer", "http://other.localhost"), issuer.ResultDiscovery},
		"F155: discovery issuer with a trailing slash more":       {meta("issuer", "http://corp.localhost/"), issuer.ResultDiscovery},
		"F155: discovery issuer in another case":                  {meta("issuer", "http://CORP.localhost"), issuer.ResultDiscovery},
		"F155: discovery without an issuer":                       {meta("issuer", nil), issuer.ResultDiscovery},
		"F155: discovery whose issuer is no string":               {meta("issuer", 1), issuer.ResultDiscovery},
		"F155: discovery with two issuers":                        {disco(fake.JSON(`{"issuer":"http://other.localhost","issuer":"http://corp.localhost","jwks_uri":"http://corp.localhost/jwks"}`)), issuer.ResultDiscovery},
		"F155: discovery that is not JSON":                        {disco(fake.JSON(`<html>`)), issuer.ResultDiscovery},
		"F156: a jwks_uri on another host":                        {meta("jwks_uri", "http://other.localhost/jwks"), issuer.ResultDiscovery},
		"F156: a jwks_uri on a host below the issuer's":           {meta("jwks_uri", "http://keys.corp.localhost/jwks"), issuer.ResultDiscovery},
		"F156: a jwks_uri with the issuer as user name":           {meta("jwks_uri", "http://corp.localhost@other.localhost/jwks"), issuer.ResultDiscovery},
		"F156: a jwks_uri that is link-local":                     {meta("jwks_uri", "https://169.254.169.254/latest"), issuer.ResultDiscovery},
		"F156: a jwks_uri that is a file":                         {meta("jwks_uri", "file:///etc/passwd"), issuer.ResultDiscovery},
		"F156: no jwks_uri":                                       {meta("jwks_uri", nil), issuer.ResultDiscovery},
		"F164: a jwks_uri on the issuer's host, at another port":  {meta("jwks_uri", "http://corp.localhost:22/jwks"), issuer.ResultDiscovery},
		"F157: a redirect on the same host":                       {jwks(fake.Redirect("http://corp.localhost/other")), issuer.ResultRedirect},
		"F157: a redirect to another host":                        {jwks(fake.Redirect("http://other.localhost/jwks")), issuer.ResultRedirect},
		"F157: a redirect to http":                                {jwks(fake.Redirect("http://login.corp.example/jwks")), issuer.ResultRedirect},
		"F157: a redirect to the metadata service":                {jwks(fake.Redirect("http://169.254.169.254/latest/meta-data")), issuer.ResultRedirect},
		"F157: a redirect of the discovery document":              {disco(fake.Redirect("http://other.localhost/")), issuer.ResultRedirect},
		"F165: a key set of 256 KiB and a byte":                   {jwks(fake.Padded(256<<10 + 1)), issuer.ResultTooLarge},
		"F165: a discovery document of 64 KiB and a byte":         {disco(fake.Padded(64<<10 + 1)), issuer.ResultTooLarge},
		"F165: an infinite stream of keys":                        {jwks(fake.InfiniteStream()), issuer.ResultTooLarge},
		"F165: an infinite stream of metadata":                    {disco(fake.InfiniteStream()), issuer.ResultTooLarge},
		"F165: a gzip bomb":                                       {jwks(fake.GzipBomb(64 << 20)), issuer.ResultEncoding},
		"F165: one byte a second":                                 {jwks(fake.SlowBytes(time.Second)), issuer.ResultTimeout},
		"F165: headers without end, slowly":                       {jwks(fake.EndlessHeaders(time.Second)), issuer.ResultTimeout},
		"F165: headers without end, fast":                         {jwks(fake.EndlessHeaders(0)), issuer.ResultConnect},
		"F165: an answer that never comes":                        {jwks(fake.Hang()), issuer.ResultTimeout},
		"F165: a connection that breaks":                          {jwks(fake.Drop()), issuer.ResultConnect},
		"F166: HTML that claims to be JSON":                       {jwks(fake.JSON("<!doctype html>")), issuer.ResultKeys},
		"F166: HTML":                                              {jwks(fake.HTML()), issuer.ResultContentType},
		"F166: an empty body":                                     {jwks(fake.JSON("")), issuer.ResultKeys},
		"F166: an empty object":                                   {jwks(fake.JSON("{}")), issuer.ResultKeys},
		"F166: an empty list of keys":                             {jwks(fake.JSON(`{"keys":[]}`)), issuer.ResultKeys},
		"F166: null for the list of keys":                         {jwks(fake.JSON(`{"keys":null}`)), issuer.ResultKeys},
		"F166: null":                                              {jwks(fake.JSON(`null`)), issuer.ResultKeys},
		"F166: only keys that cannot be used":                     {jwks(fake.JSON(`{"keys":[{"kty":"oct","kid":"key-1","k":"AAAA"}]}`)), issuer.ResultKeys},
		"F166: two keys with one kid":                             {jwks(fake.JSON(`{"keys":[{"kid":"a"},{"kid":"a"}]}`)), issuer.ResultKeys},
		"F167: 10,000 keys":                                       {jwks(fake.ManyKeys(10_000)), issuer.ResultTooLarge},
		"F167: 51 keys":                                           {jwks(fake.ManyKeys(51)), issuer.ResultKeys},
		"F168: JSON as text/html":                                 {jwks(fake.Header("Content-Type", "text/html")), issuer.ResultContentType},
		"F168: JSON as text/plain":                                {jwks(fake.Header("Content-Type", "text/plain")), issuer.ResultContentType},
		"F168: JSON as octets":                                    {jwks(fake.Header("Content-Type", "application/octet-stream")), issuer.ResultContentType},
		"F168: JSON with an empty content type":                   {jwks(fake.Header("Content-Type", "")), issuer.ResultContentType},
		"F169: 204":                                               {jwks(fake.Status(204)), issuer.ResultStatus},
		"F169: 401":                                               {jwks(fake.Status(401)), issuer.ResultStatus},
		"F169: 403":                                               {jwks(fake.Status(403)), issuer.ResultStatus},
		"F169: 404":                                               {jwks(fake.Status(404)), issuer.ResultStatus},
		"F169: 410":                                               {jwks(fake.Status(410)), issuer.ResultStatus},
		"F169: 429":                                               {jwks(fake.Status(429)), issuer.ResultStatus},
		"F169: 500":                                               {jwks(fake.Status(500)), issuer.ResultStatus},
		"F169: 503 for the discovery document":                    {disco(fake.Status(503)), issuer.ResultStatus},
		"F160: a name that now resolves to a private address":     {func(w *world) { w.dns.point("corp.localhost", "10.0.0.1") }, issuer.ResultAddress},
		"F159: a local name that resolves to a public address":    {func(w *world) { w.dns.point("corp.localhost", "93.184.215.14") }, issuer.ResultAddress},
		"a name that is gone":                                     {func(w *world) { w.dns.point("corp.localhost") }, issuer.ResultDNS},
		"a server that is gone":                                   {func(w *world) { w.dns.point("corp.localhost", "127.9.9.9") }, issuer.ResultConnect},
		"discovery nested deeper than anything that is published": {disco(fake.JSON(strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17))), issuer.ResultDiscovery},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(w *world) {
				other, otherSrc := w.issuer("other")
				tc.fault(w)
				w.pass(10*time.Minute + 11*time.Second) // the refresh and its timeout
				if got := w.rec.last(corp); got != tc.want {
					t.Errorf("result %q, want %q: %s", got, tc.want, w.status(corp).Message)
				}
				w.wantState(issuer.Stale)
				w.wants("key-1", nil)
				w.wants("random", issuer.ErrUnable)
				w.pass(24 * time.Hour)
				w.wants("key-1", issuer.ErrUnable)
				w.wantState(issuer.Failed)
				if n := other.Requests(fake.JWKS) + other.Requests(fake.Discovery); n != 0 {
					t.Errorf("%d requests went to another host", n)
				}
				checkMessage(t, w.status(corp).Message)

				// The same, had it been so from the start.
				fresh := w.src
				fresh.Digest = "digest-2"
				w.m.SetSources([]issuer.Source{fresh, otherSrc})
				if err := w.m.Wait(w.t.Context()); err != nil {
					t.Fatal(err)
				}
				w.wantState(issuer.Failed)
				if _, err := w.m.Keys(w.t.Context(), corp, fresh.Digest, "key-1"); !errors.Is(err, issuer.ErrUnable) {
					t.Errorf("from the start: %v", err)
				}
			})
		})
	}
}

// checkMessage: a condition's message is one bounded line that says where, and
// quotes no document.
func checkMessage(t *testing.T, msg string) {
	t.Helper()
	if msg == "" || len(msg) > 1024 || strings.ContainsAny(msg, "\n\r\x00") {
		t.Errorf("message %q", msg)
	}
	if !strings.Contains(msg, "corp.localhost") {
		t.Errorf("message %q does not say where", msg)
	}
	for _, s := range []string{"doctype", "fault", "other.localhost@", "latest"} {
		if strings.Contains(msg, s) {
			t.Errorf("message %q quotes what a server sent", msg)
		}
	}
}

func TestAGoodAnswerIsUsed(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*world){
		"a key set of exactly 256 KiB":                       func(w *world) { w.iss.Break(fake.JWKS, fake.Padded(256<<10)) },
		"a discovery document of exactly 64 KiB":             func(w *world) { w.iss.Break(fake.Discovery, fake.Padded(64<<10)) },
		"F168: a key set as application/json":                func(w *world) { w.iss.Break(fake.JWKS, fake.Header("Content-Type", "application/json")) },
		"F168: a key set as application/jwk-set+json":        func(w *world) { w.iss.Break(fake.JWKS, fake.Header("Content-Type", "application/jwk-set+json")) },
		"F168: a media type with a parameter, in upper case": func(w *world) { w.iss.Break(fake.JWKS, fake.Header("Content-Type", "Application/JSON; charset=utf-8")) },
		"an identity encoding":                               func(w *world) { w.iss.Break(fake.JWKS, fake.Header("Content-Encoding", "identity")) },
		"a jwks_uri with a query":                            func(w *world) { w.iss.SetMetadata(map[string]any{"jwks_uri": "http://corp.localhost/jwks?appid=1"}) },
		"F164: a jwks_uri that spells the issuer's port":     func(w *world) { w.iss.SetMetadata(map[string]any{"jwks_uri": "http://corp.localhost:80/jwks"}) },
		"metadata that nobody has heard of":                  func(w *world) { w.iss.SetMetadata(map[string]any{"x": map[string]any{"y": []any{1, nil}}}) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, nil, func(w *world) {
				change(w)
				rotate(t, w.iss)
				w.wants("key-2", nil)
			})
		})
	}
	t.Run("F167: 50 keys are the most that are used", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.iss.Break(fake.JWKS, fake.ManyKeys(50))
			w.wants("many-49", nil)
		})
	})
	t.Run("a key that cannot be used is a warning, the others serve", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			good := strings.TrimSuffix(strings.TrimPrefix(string(w.iss.KeySet()), `{"keys":[`), `]}`)
			w.iss.Break(fake.JWKS, fake.JSON(`{"keys":[{"kty":"oct","kid":"hmac","k":"AAAA"},`+good+`]}`))
			w.wants("hmac", issuer.ErrKeyUnknown)
			w.wants("key-1", nil)
			if st := w.status(corp); len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], "symmetric") {
				t.Errorf("warnings %q", st.Warnings)
			}
		})
	})
}

func TestRequestsCarryNoCredential(t *testing.T) {
	t.Parallel()
	t.Run("F158: no Authorization, no cookie, nothing to unpack", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			w.iss.Break(fake.JWKS, fake.Header("Set-Cookie", "session=1; Path=/"))
			w.pass(10 * time.Minute)
			w.pass(10 * time.Minute)
			h := w.iss.LastHeader()
			for name := range h {
				if name != "Accept" && name != "User-Agent" {
					t.Errorf("unexpected header %s: %q", name, h.Get(name))
				}
			}
		})
	})
}

func TestADeclaredKeyAddressNeedsNoDiscovery(t *testing.T) {
	t.Parallel()
	t.Run("F156: a key address on another host works when declared", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			other, src := w.issuer("other")
			src.Name, src.URL, src.JWKSURL = corp, "https://unreachable.example", other.JWKSURL()
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", nil)
			if other.Requests(fake.Discovery) != 0 {
				t.Error("the discovery document was asked for")
			}
		})
	})
	t.Run("F156: keys at the host of a declared discovery address work", func(t *testing.T) {
		t.Parallel()
		inWorld(t, nil, func(w *world) {
			other, src := w.issuer("other")
			src.Name, src.URL, src.DiscoveryURL = corp, "https://public.example", other.URL()+"/.well-known/openid-configuration"
			other.SetMetadata(map[string]any{"issuer": src.URL})
			w.m.SetSources([]issuer.Source{src})
			w.wants("key-1", nil)
		})
	})
}

func TestAProxyInTheEnvironmentIsIgnored(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, "http://proxy.example:3128")
	}
	t.Run("F163: the issuer itself is dialled", func(t *testing.T) {
		dialled := make(chan string, 8)
		m := issuer.New(issuer.Options{
			Resolver: &names{table: map[string][]string{"login.corp.example": {"93.184.215.14"}, "proxy.example": {"93.184.215.99"}}},
			Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				dialled <- address
				return nil, errors.New("connection refused")
			},
			Logger: discard(),
		})
		run(t, m)
		m.SetSources([]issuer.Source{{Name: corp, Digest: digest, URL: "https://login.corp.example"}})
		if err := m.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := <-dialled; got != "93.184.215.14:443" {
			t.Fatalf("dialled %s", got)
		}
	})
}
