// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/issuer"
	"github.com/exchequer-dev/exchequer/exchanger/issuer/egress"
	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/limit"
)

const (
	// maxUnderWay bounds the questions to one server at a time, so that a slow one
	// cannot hold more: 32 that take 50 ms are 640 a second.
	maxUnderWay = 32
	idleTimeout = 30 * time.Second
)

// host is one server with its connections, its bulkhead and its circuit.
type host struct {
	client  *Client
	server  Server
	url     *url.URL
	http    *http.Client
	slots   chan struct{}
	circuit limit.Circuit
	key     keyCache
}

func newHost(c *Client, s *Server) (*host, error) {
	rules := egress.Rules{Loopback: c.options.Loopback}
	for _, text := range s.AllowedCIDRs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, failed(ResultAddress, "one of its allowedCIDRs cannot be read")
		}
		rules.AllowedCIDRs = append(rules.AllowedCIDRs, p)
	}
	u, err := rules.ParseURL(s.URL)
	if err != nil {
		return nil, failed(ResultAddress, err.Error())
	}
	h := &host{client: c, server: *s, url: u, slots: make(chan struct{}, maxUnderWay)}
	secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.options.RootCAs, GetClientCertificate: h.certificate}
	if s.CABundle != "" {
		if secure.RootCAs, err = issuer.ParseBundle([]byte(s.CABundle)); err != nil {
			return nil, failed(ResultTLS, err.Error())
		}
	}
	h.http = &http.Client{
		Transport: &http.Transport{
			// Proxy stays nil: a proxy from the environment would dial unchecked
			// addresses for us. The one that is declared is in the dialer.
			DialContext:            c.options.Way.Dialer(rules),
			TLSClientConfig:        secure,
			TLSHandshakeTimeout:    MaxTimeout,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConnsPerHost:    maxUnderWay / 4,
			MaxConnsPerHost:        maxUnderWay,
			IdleConnTimeout:        idleTimeout,
		},
		// A redirect would take the token, and our credentials, somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

// admit lets a question in, or says at once why not: waiting for a slow server
// would only move the queue here.
func (h *host) admit(now time.Time) (release func(Result, time.Time), err error) {
	select {
	case h.slots <- struct{}{}:
	default:
		return nil, failed(ResultBusy, "too many questions to it are under way")
	}
	if !h.circuit.Admit(now) {
		<-h.slots
		return nil, failed(ResultCircuit, "it failed several times in a row, and is asked again in some seconds")
	}
	return func(r Result, now time.Time) {
		<-h.slots
		switch r { //nolint:exhaustive // every other result is an answer, which can hang on the token that was asked about
		case ResultConnect, ResultDNS, ResultTLS, ResultTimeout, ResultProxy, ResultStatus, ResultPanic:
			h.circuit.Report(false, now)
		case ResultAborted:
			h.circuit.Abandoned() // says nothing about the server
		default:
			h.circuit.Report(true, now)
		}
	}, nil
}

// question is one request. Exactly one of form and json is set, or bearer alone.
type question struct {
	form   url.Values
	json   []byte
	bearer string
	// refusals are the statuses with which the protocol says no.
	refusals []int
}

// answer is an answer that was understood as far as HTTP and JSON go.
type answer struct {
	status int
	body   map[string]any
}

func (h *host) send(ctx context.Context, q *question) (*answer, error) {
	req, err := h.request(ctx, q)
	if err != nil {
		return nil, err
	}
	var tlsFailed atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { tlsFailed.Store(err != nil) },
	}))
	resp, err := h.http.Do(req)
	if err != nil {
		if errors.Is(err, errNoCertificate) {
			return nil, errNoCertificate
		}
		return nil, failed(Result(issuer.Classify(err, tlsFailed.Load())), "there was no answer")
	}
	defer func() { _ = resp.Body.Close() }()
	return read(resp, q.refusals)
}

func (h *host) request(ctx context.Context, q *question) (*http.Request, error) {
	method, media, body := http.MethodGet, "", []byte(nil)
	header := http.Header{"Accept": {"application/json"}, "User-Agent": {"exchequer"}}
	switch {
	case q.form != nil:
		if err := h.authenticate(ctx, q.form, header); err != nil {
			return nil, err
		}
		method, media, body = http.MethodPost, "application/x-www-form-urlencoded", []byte(q.form.Encode())
	case q.json != nil:
		method, media, body = http.MethodPost, "application/json", q.json
	default:
		header.Set("Authorization", "Bearer "+q.bearer)
	}
	if len(body) > MaxBytes {
		return nil, failed(ResultTooLarge, "the question is above its limit")
	}
	req, err := http.NewRequestWithContext(ctx, method, h.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, failed(ResultConnect, "the question cannot be built")
	}
	if media != "" {
		header.Set("Content-Type", media)
	}
	req.Header = header
	return req, nil
}

// read judges status and headers before a byte of the body is read, and then the
// body, strictly.
func read(resp *http.Response, refusals []int) (*answer, error) {
	status, no := resp.StatusCode, false
	for _, r := range refusals {
		no = no || r == status
	}
	switch {
	case status >= 300 && status < 400:
		return nil, failed(ResultRedirect, "it redirects, and no redirect is followed: declare the address where it is")
	case status != http.StatusOK && !no:
		return nil, failed(ResultStatus, "its status is neither an answer nor a refusal")
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := err == nil && media == "application/json"
	switch {
	case no && !isJSON:
		return &answer{status: status}, nil // RFC 6750 says no in a header
	case !isJSON:
		return nil, failed(ResultContentType, "expected Content-Type application/json")
	}
	for _, e := range resp.Header.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(e), "identity") {
			return nil, failed(ResultEncoding, "expected no Content-Encoding: none was asked for, since unpacking has no bound")
		}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBytes+1))
	switch {
	case err != nil:
		return nil, failed(Result(issuer.Classify(err, false)), "its answer broke off")
	case len(body) > MaxBytes:
		return nil, failed(ResultTooLarge, "its answer is above its limit")
	}
	doc, err := jose.DecodeStrict(body, maxDepth)
	if err != nil && !no {
		return nil, failed(ResultMalformed, "its answer is not one strict JSON object")
	}
	// A refusal without a readable body is one for who reads it by its status.
	return &answer{status: status, body: doc}, nil
}
