// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
)

// boundFlags are the keys that a client shows to have: that of a DPoP proof (RFC
// 9449), and that of a TLS client certificate (RFC 8705).
type boundFlags struct {
	dpopKey, cert, key, proofFile string
	handoverJKT                   string
	public                        bool

	// nonce is what the server asked for; proof was received elsewhere.
	nonce, proof string
}

// checkBound finds flags that do not go together.
func (f *exchangeFlags) checkBound(given int) error {
	switch {
	case (f.cert == "") != (f.key == ""):
		return usage("expected --cert and --key together: the client's certificate and its private key")
	case f.public && given > 0:
		return usage("--public is for a client without a credential: take --client-secret-file, --assertion-file and --private-key out")
	case f.public && f.clientID == "":
		return usage("--client-id is missing: a public client says who it is")
	}
	return nil
}

// withoutCredential says whether the request has no credential but its certificate.
func (f *exchangeFlags) withoutCredential() bool { return f.public || f.cert != "" }

// dpop makes the DPoP header of a request (RFC 9449, section 4.2).
func (f *exchangeFlags) dpop(now time.Time) (string, error) {
	key, err := readKey(f.dpopKey, "")
	if err != nil {
		return "", err
	}
	claims := map[string]any{"jti": rand.Text(), "htm": http.MethodPost, "htu": f.tokenEndpoint, "iat": now.Unix()}
	if f.nonce != "" {
		claims["nonce"] = f.nonce
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("make the DPoP proof: %w", err)
	}
	return jose.SignEmbedded(key, "dpop+jwt", payload)
}

// certificate reads --cert and --key.
func (f *exchangeFlags) certificate() ([]tls.Certificate, error) {
	if f.cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, usage("--cert and --key: %w", err)
	}
	return []tls.Certificate{pair}, nil
}

// boundTo says to which keys a token is bound, for people.
func boundTo(claims map[string]any) string {
	cnf, ok := claims["cnf"].(map[string]any)
	if !ok {
		return ""
	}
	if jkt, ok := cnf["jkt"].(string); ok {
		return "DPoP key " + jkt
	}
	if x5t, ok := cnf["x5t#S256"].(string); ok {
		return "certificate " + x5t
	}
	return "a key"
}
