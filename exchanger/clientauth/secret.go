// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/exchequer-dev/exchequer/exchanger/policy"
)

// maxSecrets is how many secrets a client can have, for rotation, and so how
// many comparisons every attempt costs.
const maxSecrets = 2

// basic is client_secret_basic (RFC 6749, section 2.3.1).
func (a *Authenticator) basic(svc *policy.TokenService, c Credentials) (Authenticated, *policy.Refusal) {
	if c.ClientID != "" && c.ClientID != c.BasicID {
		return refuse(policy.FormInvalid, "client_id differs from that of the Authorization header")
	}
	return secret(svc, c.BasicID, c.BasicSecret, MethodBasic)
}

// post is client_secret_post (RFC 6749, section 2.3.1).
func (a *Authenticator) post(svc *policy.TokenService, c Credentials) (Authenticated, *policy.Refusal) {
	if c.ClientID == "" {
		return refuse(policy.FormInvalid, "client_secret is sent without client_id")
	}
	return secret(svc, c.ClientID, c.ClientSecret, MethodPost)
}

// secret compares digests, so that the length of a secret does not show, and
// always as many of them, so that neither does whether the client exists, is
// suspended, or has a secret at all (F56). A secret has 32 characters or more, so
// a plain SHA-256 of it cannot be searched.
func secret(svc *policy.TokenService, id, given, method string) (Authenticated, *policy.Refusal) {
	c, ref := client(svc, id)
	var digests [maxSecrets][sha256.Size]byte
	known := 0
	if ref == nil {
		known = copy(digests[:], c.SecretDigests())
	}
	digest := sha256.Sum256([]byte(given))
	match := 0
	for i := range digests {
		same := subtle.ConstantTimeCompare(digest[:], digests[i][:])
		// A place without a secret is compared too, and never counts.
		match |= same & subtle.ConstantTimeLessOrEq(i+1, known)
	}
	switch {
	case ref != nil:
		return Authenticated{}, ref
	case match != 1 || given == "":
		return refuse(policy.ClientCredentials, "the client secret is not one of ExchangeClient "+c.ID())
	}
	return Authenticated{ClientAuth: policy.ClientAuth{ID: c.ID(), Method: method}}, nil
}
