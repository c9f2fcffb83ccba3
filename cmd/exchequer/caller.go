// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/oauth"
)

const (
	statusTooMany     = http.StatusTooManyRequests
	statusServerError = http.StatusInternalServerError
	// maxAnswer bounds what a server can send: a token has at most 64 KiB
	// (limits.tokenBytes), and the rest of the answer a few hundred bytes.
	maxAnswer = 256 << 10
	// assertionLife is a fifth of what a private_key_jwt may have: enough for a
	// slow connection and for clocks that differ.
	assertionLife = time.Minute
)

// exchanged is the endpoint's answer: a token, or an error.
type exchanged struct {
	AccessToken     string `json:"access_token,omitempty"`
	IssuedTokenType string `json:"issued_token_type,omitempty"`
	TokenType       string `json:"token_type,omitempty"`
	ExpiresIn       int64  `json:"expires_in,omitempty"`
	Scope           string `json:"scope,omitempty"`
	RefreshToken    string `json:"refresh_token,omitempty"`

	Error         string `json:"error,omitempty"`
	Description   string `json:"error_description,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`

	status     int
	retryAfter string
	nonce      string
}

// caller speaks HTTP to a token service.
type caller struct{ http *http.Client }

// newCaller makes a client that follows no redirect: what it sends is a secret
// and a token, and they are for the address that a person named.
func newCaller(caFile string, pair ...tls.Certificate) (*caller, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: pair}
	if caFile != "" {
		b, err := readInput(nil, caFile, "--ca-file")
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(b) {
			return nil, usage("--ca-file: no certificate in %s, expected PEM", caFile)
		}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	return &caller{http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// checkURL takes https, and http to this machine alone: a secret goes there.
func checkURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errors.New("expected https://host[:port]/path")
	}
	switch u.Scheme {
	case "https":
		return u, nil
	case "http":
		ip := net.ParseIP(u.Hostname())
		if u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback()) {
			return u, nil
		}
		return nil, errPlainHTTP
	}
	return nil, errors.New("expected the scheme https")
}

// errPlainHTTP is for a person who may know better about the network.
var errPlainHTTP = errors.New("expected https: http would show the secret and the token to the network, and is for this machine only")

// checkEndpoint takes what checkURL takes, and with --plain-http any http endpoint
// that was given as a flag; never one that a server named.
func (f *exchangeFlags) checkEndpoint() error {
	_, err := checkURL(f.tokenEndpoint)
	if f.plainHTTP && f.issuer == "" && errors.Is(err, errPlainHTTP) {
		return nil
	}
	return err
}

// discover finds the token endpoint in the issuer's metadata.
func (c *caller) discover(ctx context.Context, issuer string) (string, error) {
	if _, err := checkURL(issuer); err != nil {
		return "", usage("--issuer: %w", err)
	}
	at := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", usage("--issuer: %w", err)
	}
	a, err := c.do(req)
	if err != nil {
		return "", err
	}
	var doc struct {
		Issuer        string `json:"issuer"`
		TokenEndpoint string `json:"token_endpoint"`
	}
	switch {
	case a.status != http.StatusOK:
		return "", unable("discovery at %s: expected status 200, found %d", at, a.status)
	case json.Unmarshal(a.body, &doc) != nil || doc.TokenEndpoint == "":
		return "", unable("discovery at %s: expected JSON with token_endpoint", at)
	case doc.Issuer != issuer:
		// RFC 8414, section 3.3: the document must be the issuer's own.
		return "", usage("--issuer: the server calls itself %q, not %q: use its own name, byte for byte", doc.Issuer, issuer)
	}
	if u, err := checkURL(doc.TokenEndpoint); err != nil {
		return "", usage("the token endpoint that %s names: %w", at, err)
	} else if u.Scheme == "http" && strings.HasPrefix(issuer, "https:") {
		return "", usage("the token endpoint that %s names: expected https, as the issuer has", at)
	}
	return doc.TokenEndpoint, nil
}

// received is an answer that was read to its end.
type received struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request and reads the bounded answer.
func (c *caller) do(req *http.Request) (*received, error) {
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "exchequer/"+version)
	resp, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time; --timeout gives it more")
		}
		return nil, unable("ask %s: %w", req.URL.Redacted(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil || len(body) > maxAnswer {
		return nil, unable("ask %s: the answer broke off, or is longer than %d bytes", req.URL.Redacted(), maxAnswer)
	}
	return &received{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// ask sends the exchange.
func (c *caller) ask(ctx context.Context, f *exchangeFlags, now func() time.Time) (*exchanged, error) {
	form := f.form()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.tokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, usage("--endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if f.secret != "" {
		// RFC 6749, section 2.3.1: both halves are form-encoded first.
		pair := url.QueryEscape(f.clientID) + ":" + url.QueryEscape(f.secret)
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	if f.dpopKey != "" {
		proof, err := f.dpop(now())
		if err != nil {
			return nil, err
		}
		req.Header.Set("DPoP", proof)
	}
	a, err := c.do(req)
	if err != nil {
		return nil, err
	}
	r := &exchanged{status: a.status, retryAfter: a.header.Get("Retry-After"), nonce: a.header.Get("DPoP-Nonce")}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status >= 300 && a.status < 400 {
		return nil, usage("%s answers with a redirect, which is not followed with a secret in hand: name the address itself", f.tokenEndpoint)
	}
	if media != "application/json" || json.Unmarshal(a.body, r) != nil {
		return nil, unable("%s: expected an answer of OAuth in JSON, found status %d and %q: is this a token endpoint?", f.tokenEndpoint, a.status, media)
	}
	switch ok := a.status == http.StatusOK; {
	case ok && (r.AccessToken == "" || r.TokenType == ""):
		return nil, unable("%s: the answer has no access_token or no token_type", f.tokenEndpoint)
	case ok:
		r.Error = ""
	case r.Error == "":
		r.Error = fmt.Sprintf("status %d", a.status)
	}
	return r, nil
}

// urnPrefix is what the short names of token types lack.
const urnPrefix = "urn:ietf:params:oauth:token-type:"

func urn(name string) string {
	if name == "" || strings.Contains(name, ":") {
		return name
	}
	return urnPrefix + name
}

func (f *exchangeFlags) form() url.Values {
	form := url.Values{
		"grant_type":         {oauth.GrantTokenExchange},
		"subject_token":      {f.subject},
		"subject_token_type": {urn(f.subjectType)},
		"audience":           f.audience,
		"resource":           f.resource,
	}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	set("scope", f.scope)
	set("requested_token_type", urn(f.requestedType))
	if f.actor != "" {
		form.Set("actor_token", f.actor)
		form.Set("actor_token_type", urn(f.actorType))
	}
	set("requested_subject", f.requestedSubject)
	set("reason", f.reason)
	if f.assertion != "" {
		form.Set("client_assertion", f.assertion)
		form.Set("client_assertion_type", oauth.AssertionTypeJWT)
		set("client_id", f.clientID)
	}
	if f.secret == "" && f.assertion == "" {
		set("client_id", f.clientID)
	}
	set("subject_token_proof", f.proof)
	set("handover_jkt", f.handoverJKT)
	return form
}

// sign makes a client assertion (RFC 7523, private_key_jwt).
func (f *exchangeFlags) sign(now time.Time) (string, error) {
	key, err := readKey(f.privateKey, f.alg)
	if err != nil {
		return "", err
	}
	audience, err := f.audienceOfAssertion()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(key, "client-authentication+jwt")
	if err != nil {
		return "", fmt.Errorf("sign the assertion: %w", err)
	}
	payload, err := json.Marshal(map[string]any{
		"iss": f.clientID, "sub": f.clientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("sign the assertion: %w", err)
	}
	return signer.Sign(payload)
}
