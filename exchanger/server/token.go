// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
	"github.com/exchequer-dev/exchequer/exchanger/telemetry"
)

// maxBody bounds a form: two tokens of 16 KiB, a client assertion of 16 KiB, and
// as much again for the rest, percent-escapes included.
const maxBody = 64 << 10

const formType = "application/x-www-form-urlencoded"

// exchangeBuffer is what one request needs, kept for the next.
type exchangeBuffer struct {
	call oauth.Call
	body []byte
	out  []byte
}

// rejection is a refusal of the edge: what the client is told, what is recorded.
type rejection struct {
	wire  oauth.WireError
	ref   *policy.Refusal
	close bool
}

func reject(status int, description string) *rejection {
	return &rejection{
		wire: oauth.WireError{Status: status, Code: "invalid_request", Description: description},
		ref:  &policy.Refusal{Outcome: policy.Denied, Reason: policy.FormInvalid, Check: "transport", Detail: description},
	}
}

// token answers POST {issuer}/token, and the other endpoints that clients call with a
// form and their credentials.
func (s *Server) token(w http.ResponseWriter, r *http.Request, snapshot *policy.Snapshot, e endpoint) {
	b := s.buffers.Get().(*exchangeBuffer) //nolint:errcheck // the pool holds nothing else
	defer s.release(b)
	call := &b.call
	*call = oauth.Call{
		Snapshot: snapshot, Service: e.service, Ask: e.kind.ask(), Start: s.now(), Peer: peer(r.RemoteAddr),
		CorrelationID: rand.Text(), DPoP: r.Header["Dpop"],
	}
	ctx, span := s.config.Tracing.Serve(r.Context(), e.kind.span(), func() telemetry.Carrier { return propagation.HeaderCarrier(r.Header) })
	span.Correlate(call.CorrelationID)
	h := w.Header()
	h["Cache-Control"] = []string{"no-store"}
	h["Pragma"] = []string{"no-cache"} // RFC 6749 section 5.1
	h["X-Correlation-Id"] = []string{call.CorrelationID}

	rejected := s.read(w, r, b)
	if rejected == nil {
		select {
		case s.inFlight <- struct{}{}:
			defer func() { <-s.inFlight }()
		default:
			s.config.Metrics.Shed()
			rejected = &rejection{
				wire: oauth.Overloaded(),
				ref:  &policy.Refusal{Outcome: policy.Unable, Reason: policy.RateLimited, Check: "overload", Detail: "too many requests in flight on this replica"},
			}
		}
	}
	if rejected != nil {
		s.config.Exchanger.Refused(ctx, call, rejected.ref)
		span.End(rejected.ref)
		if rejected.close {
			h["Connection"] = []string{"close"}
		}
		s.fail(w, rejected.wire, call.CorrelationID)
		return
	}
	answer := s.exchange(ctx, call)
	span.End(answer.Refusal)
	if answer.DPoPNonce != "" {
		h["Dpop-Nonce"] = []string{answer.DPoPNonce}
	}
	switch {
	case answer.Document != nil:
		write(w, http.StatusOK, contentJSON, answer.Document)
		return
	case answer.Response == nil:
		s.refuse(w, answer, call.CorrelationID)
		return
	}
	b.out = answer.Response.AppendJSON(b.out[:0])
	write(w, http.StatusOK, contentJSON, b.out)
}

// exchange calls the use-case; a panic in it is a refusal, recorded like any.
func (s *Server) exchange(ctx context.Context, call *oauth.Call) (answer oauth.Answer) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
			answer = oauth.Answer{Refusal: &policy.Refusal{Outcome: policy.Unable, Reason: policy.Internal, Check: "panic"}}
			s.config.Exchanger.Refused(ctx, call, answer.Refusal)
		}
	}()
	return s.config.Exchanger.Exchange(ctx, call)
}

func (s *Server) refuse(w http.ResponseWriter, answer oauth.Answer, correlationID string) {
	e := answer.Error()
	if e.RetryAfter > 0 && answer.RetryAfter > 0 {
		e.RetryAfter = answer.RetryAfter
	}
	s.fail(w, e, correlationID)
}

// read checks the request from the outside in and reads its body; everything
// here is decided before a byte of a credential is looked at.
func (s *Server) read(w http.ResponseWriter, r *http.Request, b *exchangeBuffer) *rejection {
	if r.Method != http.MethodPost {
		w.Header()["Allow"] = []string{http.MethodPost}
		return reject(http.StatusMethodNotAllowed, "This endpoint takes POST only.")
	}
	if ref := oauth.CheckQuery(r.URL.RawQuery); ref != nil {
		return &rejection{wire: oauth.ErrorFor(ref.Reason), ref: ref}
	}
	if !isForm(r.Header["Content-Type"]) {
		return reject(http.StatusUnsupportedMediaType, "The body must be "+formType+" in UTF-8.")
	}
	if len(r.Header["Content-Encoding"]) > 0 {
		return reject(http.StatusUnsupportedMediaType, "The body must not be compressed.")
	}
	authorization := r.Header["Authorization"]
	if len(authorization) > 1 {
		return reject(http.StatusBadRequest, "There must be one Authorization header at most.")
	}
	if len(authorization) == 1 {
		b.call.Authorization = authorization[0]
	}
	var ref *rejection
	if b.call.Certificates, ref = s.certificates(r, b.call.Peer); ref != nil {
		return ref
	}
	if r.ContentLength > maxBody {
		return tooLarge()
	}
	var err error
	b.body, err = readAll(http.MaxBytesReader(w, r.Body, maxBody), b.body[:0])
	if err != nil {
		return unreadable(err)
	}
	b.call.Body = b.body
	return nil
}

func tooLarge() *rejection {
	rejected := reject(http.StatusRequestEntityTooLarge, "The body is longer than 64 KiB.")
	rejected.close = true
	return rejected
}

func unreadable(err error) *rejection {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		rejected := reject(http.StatusRequestTimeout, "The body did not arrive in time.")
		rejected.close = true
		return rejected
	}
	rejected := reject(http.StatusBadRequest, "The body could not be read.")
	rejected.close = true
	return rejected
}

// readAll reads r, which is bounded, to its end into buf.
func readAll(r io.Reader, buf []byte) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// isForm wants exactly one Content-Type, of a form in UTF-8.
func isForm(values []string) bool {
	if len(values) != 1 {
		return false
	}
	if values[0] == formType {
		return true
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil || mediaType != formType {
		return false
	}
	for name, value := range params {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return false
		}
	}
	return true
}

// release clears what was secret and gives the buffer back.
func (s *Server) release(b *exchangeBuffer) {
	clear(b.body)
	clear(b.out)
	b.call = oauth.Call{}
	s.buffers.Put(b)
}

// peer is the address at the other end of the connection. Forwarded headers are
// anybody's to write, so they are not read.
func peer(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
