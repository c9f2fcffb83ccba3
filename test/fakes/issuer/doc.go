// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer is a real, little OpenID Connect issuer for tests and for the
// demo: discovery and JWKS over HTTP or HTTPS on loopback, keys that rotate,
// tokens with any header and any claims, and faults on request.
//
// It promises that what it signs is signed by the standard library alone, so
// that it shares no code with what it tests, and that every request is counted
// before a fault acts on it. It refuses nothing: a test may mint nonsense.
//
// Tests and programs for demonstration may import it; nothing that runs in
// production may.
//
//	iss, err := issuer.Start(issuer.Options{})
//	defer iss.Close()
//	token, err := iss.Mint(issuer.Claims{"sub": "alice", "aud": "https://sts.example.com"})
//	iss.Break(issuer.JWKS, issuer.Status(503))
package issuer
