// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clientauth finds out which client asks, one file per method.
//
// It promises:
//
//   - Exactly one method per request (RFC 6749, section 2.3). A client_id beside
//     a credential must name the same client; alone it is no credential.
//
//   - A client is authenticated only by what its ExchangeClient declares.
//
//   - A stranger learns nothing: an unknown client, a suspended one and a wrong
//     secret end in the same class, and secrets are compared in constant time,
//     twice, whether there are two, one or none. (The refusal's Reason tells them
//     apart for the audit record; the answer on the wire does not.)
//
//   - Consume last. A private_key_jwt is marked as used only when the caller calls
//     [Authenticated.Consume], after everything else has passed: an assertion
//     that is refused costs nobody its `jti`.
//
//   - A service account is who it is in one cluster: the TrustedIssuer whose key
//     signed the token, the namespace, the name and, where declared, the UID.
//     Its token is good until it expires, as Kubernetes means it; where the
//     TrustedIssuer says TokenReview, only as long as the API server vouches for it,
//     which is asked last and counts for ten seconds.
//
//   - A TLS certificate is a credential where no other one was sent (RFC 8705), and
//     means what verifies it: a trust domain's authorities for an SVID, its own
//     declared hash, or an authority of the platform for the names in it.
//
//   - An identity authenticates one client; where several declare it, client_id must
//     choose. A public client says who it is and no more, and is told apart from then
//     on ([policy.ClientAuth.Public]).
//
// What is the price of a method? A secret: two comparisons. A private_key_jwt:
// one signature check, always. A service-account token: one signature check, then
// a look-up until it expires ([trust.Cache]).
//
// It is imported by exchange and by programs.
package clientauth
