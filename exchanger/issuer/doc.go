// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package issuer keeps the public keys of trusted issuers: discovery, fetch,
// cache, cool-down.
//
// It promises that:
//   - only declared issuers are ever dialled, each by a worker of its own, so
//     that a slow one delays nobody else; a caller's token names a key, never a
//     URL, and an unknown key costs at most one fetch per cool-down;
//   - reading a key takes no lock that is held during I/O;
//   - a fetch that failed, or that found no keys, removes none; the last good
//     keys serve until their bound and not beyond; a fetch that succeeded is the
//     whole truth, so a key that its issuer removed is gone with it;
//   - keys that a controller carries (Source.Carried) are in force without a
//     fetch and end with the next carried set; nothing polls while their carrier
//     is heard of, and fetches that nobody waits for are spread over time;
//   - "this issuer has no such key" (ErrKeyUnknown: refuse) and "cannot tell"
//     (ErrUnable: try again) are different answers.
//
// It refuses redirects (all of them: the declared URL is the one that is
// asked), addresses that package egress does not allow, proxies from the
// environment (one that is declared is another matter: ParseProxy), compressed answers, documents over their size, media types
// other than application/json and application/jwk-set+json, discovery documents
// of another issuer, and a jwks_uri on a host that was not declared. No request
// carries a credential.
//
// It may be imported by subject, clientauth, controllers and the programs; it
// imports jose, egress and, for where keys come from, policy. Whether an issuer may be used for a request is not known here.
package issuer
