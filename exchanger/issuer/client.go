// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// maxJWKSBytes: 50 keys (jose's limit) of RSA 8192 with a certificate
	// chain are about 250 KB.
	maxJWKSBytes = 256 << 10
	// maxDiscoveryBytes: the largest documents in the field are under 10 KiB.
	maxDiscoveryBytes = 64 << 10
	// maxHeaderBytes bounds all response headers, interim responses included.
	maxHeaderBytes = 32 << 10
	// tlsTimeout is part of the fetch timeout, never beyond it.
	tlsTimeout = 5 * time.Second
)

// client asks the servers of one source.
type client struct {
	http *http.Client
	now  func() time.Time
}

func newClient(t *target, o *Options) *client {
	roots := t.pool
	if roots == nil {
		roots = o.RootCAs
	}
	dial := Way{Proxy: o.Proxy, RootCAs: o.RootCAs, Resolver: o.Resolver, Dial: o.Dial}.Dialer(t.rules)
	transport := &http.Transport{
		// Proxy stays nil: a proxy from the environment would dial unchecked
		// addresses for us. The one that is declared is in dial.
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           2,
		MaxConnsPerHost:        2,
		IdleConnTimeout:        tlsTimeout,
		ForceAttemptHTTP2:      false, // two small GETs; one protocol, one set of limits
	}
	return &client{
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now: o.Now,
	}
}

// whatMetadata is what a document is called that is no JSON.
const whatMetadata = "metadata"

// mediaTypes are those that a document may come as. SAML metadata has one of its
// own (saml-metadata-2.0-os, appendix A), which many providers do not know.
func mediaTypes(what string) []string {
	if what == whatMetadata {
		return []string{"application/samlmetadata+xml", "application/xml", "text/xml"}
	}
	return []string{"application/json", "application/jwk-set+json"}
}

// get reads one document of at most limit bytes. The context bounds all of it.
func (c *client) get(ctx context.Context, what string, u *url.URL, limit int64) ([]byte, http.Header, *fetchError) {
	var tlsFailed atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { tlsFailed.Store(err != nil) },
	})
	fail := func(result Result, err error) ([]byte, http.Header, *fetchError) {
		if result == ResultTimeout {
			err = errors.New("no complete answer in time")
		}
		return nil, nil, failed(result, fmt.Errorf("fetch %s %s: %w", what, show(u), err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(ResultConnect, errors.New("request cannot be built"))
	}
	req.Header.Set("Accept", strings.Join(mediaTypes(what), ", "))
	req.Header.Set("User-Agent", "exchequer")
	resp, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error // its text repeats the URL with its query
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fail(classify(err, tlsFailed.Load()), errors.New(clip(err.Error())))
	}
	defer func() { _ = resp.Body.Close() }()
	if ferr := c.checkHead(resp, what, limit); ferr != nil {
		ferr.err = fmt.Errorf("fetch %s %s: %w", what, show(u), ferr.err)
		return nil, nil, ferr
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return fail(classify(err, false), errors.New(clip("read body: "+err.Error())))
	}
	if int64(len(body)) > limit {
		return fail(ResultTooLarge, fmt.Errorf("expected at most %d bytes, found more", limit))
	}
	return body, resp.Header, nil
}

// checkHead judges status and headers before a byte of the body is read.
func (c *client) checkHead(resp *http.Response, what string, limit int64) *fetchError {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return failed(ResultRedirect, fmt.Errorf("expected status 200, found redirect %d, and none is followed: declare the address where the document is", resp.StatusCode))
	}
	if resp.StatusCode != http.StatusOK {
		e := failed(ResultStatus, fmt.Errorf("expected status 200, found %d", resp.StatusCode))
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			e.retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), c.now())
		}
		return e
	}
	for _, e := range resp.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(e), "identity") {
			return failed(ResultEncoding, errors.New("expected no Content-Encoding: we ask for none, since unpacking has no bound"))
		}
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(mediaTypes(what), media) {
		return failed(ResultContentType, fmt.Errorf("expected Content-Type %s, found another one", strings.Join(mediaTypes(what), " or ")))
	}
	if resp.ContentLength > limit {
		return failed(ResultTooLarge, fmt.Errorf("expected at most %d bytes, found Content-Length %d", limit, resp.ContentLength))
	}
	return nil
}

// show is a URL without its query, which may hold an API key.
func show(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }
