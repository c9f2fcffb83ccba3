// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package subject turns a presented token into facts: who issued it, who signed
// it, what it says.
//
// It promises:
//
//   - Structure, then issuer, then key, then signature, then meaning. Nothing is
//     fetched for a token whose issuer is not in the snapshot.
//   - A token that carries this token service's own `iss` is verified by its own
//     keys and no others, and is an access token with its facts sealed inside.
//   - A verified token may be remembered, by its SHA-256, and is believed again
//     only while everything that made it believable is still so: its issuer's
//     object, its key, and the time until it expires. Only successes are
//     remembered, and never the token.
//   - Where the TrustedIssuer says TokenReview, the API server has to vouch for a
//     token besides, at every use; its answer counts for ten seconds.
//   - Nothing here looks at audience, revocation or, beyond the cache, time:
//     policy decides with all facts in hand.
//
// It refuses encrypted tokens, JSON serialisations, and everything else that
// package jose refuses.
//
// It is imported by exchange and by programs.
package subject
