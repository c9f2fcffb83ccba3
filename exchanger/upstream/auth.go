// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/exchequer-dev/exchequer/exchanger/jose"
	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

const (
	// assertionType is RFC 7523's, section 2.2.
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	// assertionTyp is the explicit type of a client assertion, so that it is good
	// for nothing else (RFC 8725 section 3.11).
	assertionTyp = "client-authentication+jwt"
	// assertionLife is how long a client assertion is good: for one question.
	assertionLife = time.Minute
)

var (
	errNoCredential  = failed(ResultCredentials, "the credential for it is missing here, or cannot be used")
	errNoCertificate = failed(ResultCredentials, "the client certificate for it is missing here, or cannot be used")
)

// authenticate adds what says who we are, to the form or to the header.
func (h *host) authenticate(ctx context.Context, form url.Values, header http.Header) error {
	a := h.server.Auth
	if a == nil {
		return nil
	}
	switch a.Method {
	case policy.UpstreamBasic:
		secret := h.client.credential(a.Credential)
		if len(secret) == 0 {
			return errNoCredential
		}
		// Both are form-encoded first (RFC 6749 section 2.3.1).
		pair := url.QueryEscape(a.ClientID) + ":" + url.QueryEscape(string(secret))
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case policy.UpstreamPost:
		secret := h.client.credential(a.Credential)
		if len(secret) == 0 {
			return errNoCredential
		}
		form.Set("client_id", a.ClientID)
		form.Set("client_secret", string(secret))
	case policy.UpstreamPrivateKeyJWT:
		assertion, err := h.assertion(ctx)
		if err != nil {
			return err
		}
		form.Set("client_id", a.ClientID)
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", assertion)
	case policy.UpstreamMutualTLS:
		form.Set("client_id", a.ClientID) // RFC 8705 section 2
	default:
		return errNoCredential
	}
	return nil
}

// assertion is a private_key_jwt for this server (RFC 7523 section 3).
func (h *host) assertion(ctx context.Context) (string, error) {
	now := h.client.options.Now().Unix()
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	claims, err := json.Marshal(map[string]any{
		"iss": h.server.Auth.ClientID, "sub": h.server.Auth.ClientID, "aud": h.server.URL, "iat": now, "exp": now + int64(assertionLife/time.Second),
		"jti": base64.RawURLEncoding.EncodeToString(id[:]),
	})
	if err != nil {
		return "", errNoCredential
	}
	name := h.server.Auth.Credential
	if name == "" {
		if h.client.options.Sign == nil {
			return "", errNoCredential
		}
		signed, err := h.client.options.Sign(ctx, h.server.TokenService, assertionTyp, claims)
		if err != nil {
			return "", errNoCredential
		}
		return signed, nil
	}
	signer, err := h.key.signer(h.client.credential(name))
	if err != nil {
		return "", errNoCredential
	}
	signed, err := signer.SignContext(ctx, claims)
	if err != nil {
		return "", errNoCredential
	}
	return signed, nil
}

// certificate is asked for at each handshake in which the server wants one.
func (h *host) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	a := h.server.Auth
	if a == nil || a.Method != policy.UpstreamMutualTLS {
		return &tls.Certificate{}, nil // none
	}
	both := h.client.credential(a.Credential)
	c, err := tls.X509KeyPair(both, both)
	if err != nil {
		return nil, errNoCertificate
	}
	return &c, nil
}

// keyCache keeps the signer of the private key that was used last: reading an RSA
// key takes as long as signing with it.
type keyCache struct {
	mu     sync.Mutex
	digest [sha256.Size]byte
	last   *jose.Signer
}

func (k *keyCache) signer(pem []byte) (*jose.Signer, error) {
	digest := sha256.Sum256(pem)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last != nil && k.digest == digest {
		return k.last, nil
	}
	key, err := ParseKey(pem)
	if err != nil {
		return nil, err
	}
	s, err := jose.NewSigner(key, assertionTyp)
	if err == nil {
		k.digest, k.last = digest, s
	}
	return s, err
}

// ParseKey reads a private key in PKCS #8 by which this installation authenticates
// itself: P-256 and P-384 sign with ES256 and ES384, Ed25519 with EdDSA, RSA with
// RS256, which every server takes.
func ParseKey(pem []byte) (*jose.PrivateKey, error) {
	var first error
	for _, alg := range []string{jose.ES256, jose.ES384, jose.EdDSA, jose.RS256} {
		key, err := jose.ParsePrivateKeyPEM(pem, alg)
		if err == nil {
			return key, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
