// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/exchequer-dev/exchequer/exchanger/oauth"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	contentJSON = "application/json"
	contentKeys = "application/jwk-set+json"     // RFC 7517 section 8.5
	contentSAML = "application/samlmetadata+xml" // saml-metadata-2.0-os, appendix A
	contentText = "text/plain; charset=utf-8"
)

// challenge goes with every 401, whatever was tried: client_secret_basic is one
// of the methods, and a challenge that differed would tell what we know of the
// client.
const challenge = `Basic realm="token endpoint", charset="UTF-8"`

// write sends one whole answer.
func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	w.WriteHeader(status)
	// Nobody is left to tell when the client has gone.
	_, _ = w.Write(body)
}

// fail sends an error. An empty correlation ID is that of an answer without a
// record, and is left out.
func (s *Server) fail(w http.ResponseWriter, e oauth.WireError, correlationID string) {
	h := w.Header()
	h["Cache-Control"] = []string{"no-store"}
	if e.Status == http.StatusUnauthorized {
		h["Www-Authenticate"] = []string{challenge}
	}
	if after := e.RetryAfterHeader(); after != "" {
		h["Retry-After"] = []string{after}
	}
	write(w, e.Status, contentJSON, e.AppendJSON(nil, correlationID))
}

func (s *Server) notFound(w http.ResponseWriter) {
	s.fail(w, oauth.WireError{Status: http.StatusNotFound, Code: "not_found", Description: "There is nothing here."}, "")
}

// document sends what anybody may read, to GET and HEAD.
func (s *Server) document(w http.ResponseWriter, r *http.Request, contentType, cacheControl string, body []byte) {
	if !readOnly(w, r) {
		return
	}
	w.Header()["Cache-Control"] = []string{cacheControl}
	write(w, http.StatusOK, contentType, body)
}

// readOnly answers every method but GET and HEAD itself.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodOptions:
		w.Header()["Allow"] = []string{"GET, HEAD, OPTIONS"}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header()["Allow"] = []string{"GET, HEAD, OPTIONS"}
		write(w, http.StatusMethodNotAllowed, contentText, []byte("method not allowed\n"))
	}
	return false
}

// saml sends the SAML metadata, whose certificates are those of the published keys.
func (s *Server) saml(w http.ResponseWriter, r *http.Request, e endpoint) {
	if !readOnly(w, r) {
		return
	}
	if s.config.SAML != nil {
		base := strings.TrimSuffix(e.service.Issuer(), "/")
		if document, ok := s.config.SAML(e.service.Name(), e.service.Issuer(), base+"/token"); ok {
			s.document(w, r, contentSAML, e.cacheControl, document)
			return
		}
	}
	s.notFound(w)
}

// keys sends the published key set.
func (s *Server) keys(w http.ResponseWriter, r *http.Request, e endpoint) {
	if !readOnly(w, r) {
		return
	}
	set, ok := s.config.JWKS(e.service.Name())
	if !ok {
		s.fail(w, oauth.ErrorFor(policy.SignerUnavailable), "")
		return
	}
	s.document(w, r, contentKeys, e.cacheControl, set)
}
