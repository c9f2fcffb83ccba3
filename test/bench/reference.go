// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// reference is the least that a token handler does with net/http and go-jose.
type reference struct {
	secret []byte
	key    jose.JSONWebKey
	signer jose.Signer
}

// runReference is the child process: keys on standard input, the address on
// standard output.
func runReference() error {
	var in struct {
		Secret  string          `json:"secret"`
		Issuer  json.RawMessage `json:"issuer"`
		Signing json.RawMessage `json:"signing"`
	}
	if err := json.NewDecoder(io.LimitReader(os.Stdin, 1<<20)).Decode(&in); err != nil {
		return err
	}
	ref := &reference{secret: []byte(in.Secret)}
	var signing jose.JSONWebKey
	if err := errors.Join(json.Unmarshal(in.Issuer, &ref.key), json.Unmarshal(in.Signing, &signing)); err != nil {
		return err
	}
	var err error
	ref.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: signing}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", ref.token)
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_, _ = fmt.Fprintf(w, "go_memstats_mallocs_total %d\n", m.Mallocs)
	})
	srv := &http.Server{Addr: os.Args[2], Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return srv.ListenAndServe()
}

func (ref *reference) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("client_secret")), ref.secret) != 1 {
		http.Error(w, "client", http.StatusUnauthorized)
		return
	}
	token, err := jose.ParseSignedCompact(r.PostForm.Get("subject_token"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		http.Error(w, "token", http.StatusBadRequest)
		return
	}
	payload, err := token.Verify(ref.key)
	if err != nil {
		http.Error(w, "signature", http.StatusBadRequest)
		return
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		http.Error(w, "claims", http.StatusBadRequest)
		return
	}
	now := time.Now().Unix()
	out, err := json.Marshal(map[string]any{
		"iss": "http://reference", "sub": claims["sub"], "aud": r.PostForm.Get("audience"), "scope": r.PostForm.Get("scope"),
		"client_id": r.PostForm.Get("client_id"), "iat": now, "exp": now + 300, "jti": "reference",
	})
	if err != nil {
		http.Error(w, "payload", http.StatusInternalServerError)
		return
	}
	signed, err := ref.signer.Sign(out)
	if err != nil {
		http.Error(w, "sign", http.StatusInternalServerError)
		return
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		http.Error(w, "serialize", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{ //nolint:errchkjson // strings and a number
		"access_token": compact, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
		"token_type": "Bearer", "expires_in": 300, "scope": strings.TrimSpace(r.PostForm.Get("scope")),
	})
}
