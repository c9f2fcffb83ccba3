// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jose turns bytes into facts: compact JWS in, verified claims out, and
// verified claims into compact JWS and sealed claims again.
//
// It promises:
//
//   - One reading. A token is parsed once, strictly, and what was verified is
//     what is handed on. Bytes that two parsers could read differently
//     (duplicate members, padding, whitespace, trailing bits, invalid UTF-8)
//     are refused, not repaired.
//   - The header chooses nothing. The algorithm must be on the caller's list,
//     must be the key's own and must fit its type and curve; the key comes from
//     the caller by exact `kid`, never from the token and never by trying.
//   - Every input has a bound (Limits, KeySetOptions), checked before work is
//     done in proportion to it.
//   - Errors carry a closed Code and constant text: no token bytes, no claims.
//
// It refuses: symmetric algorithms and `none`, JWE where a JWS is expected, the
// JSON serialisations, detached and unencoded payloads, `crit`, keys or key
// addresses in the header, nested tokens, keys without `kid`, weak keys.
//
// # Why the standard library does the cryptography
//
// go-jose parses, checks and encodes JWKs, and it is the oracle of this
// package's tests. Signatures go to crypto/ecdsa, crypto/rsa and crypto/ed25519
// without it, for two reasons. go-jose decodes the header twice with
// reflection and re-encodes the payload to hash it, which made a verification
// a quarter dearer than the curve arithmetic alone (BenchmarkVerify). And it
// accepts any RSASSA-PSS salt length, where RFC 7518, section 3.5 allows one.
// No arithmetic is done here: this package frames bytes and compares names.
//
// # Why the JSON decoder is our own
//
// No decoder of the standard library refuses duplicate members, and
// encoding/json repairs invalid UTF-8 and lone surrogates silently;
// encoding/json/v2 refuses them but is experimental. go-jose's fork refuses
// duplicates, not the rest, and works by reflection. The 200 lines in json.go
// make one pass, no reflection, and are fuzzed against encoding/json.
//
// Only this package imports go-jose. It is imported by the packages that read
// or write tokens (subject, clientauth, issuer, keys, mint) and by the CLI.
package jose
