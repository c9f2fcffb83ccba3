// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keys holds the signing and sealing keys of the TokenServices, each key
// in a slot that goes Prepared → Active → Retired and never back.
//
// It promises:
//
//   - One key signs. A TokenService has exactly one Active slot, unless the last
//     one was just revoked and no new key could be made or stored.
//   - Seen before used, kept after use. A key is published for at least
//     prePublish before it signs, so a relying party that caches our key set for
//     less than that knows it in time; a key that signed stays published until
//     the last token it signed has expired (Plan.Retain). The exceptions are a
//     TokenService's first key and the one that replaces a revoked key.
//   - What signs no more cannot be stolen: a key that retires keeps its public key
//     and its sealing key, and its private key is dropped, here and in the document.
//   - Revocation is immediate: a revoked key leaves the set, and the next one
//     signs, in the same call.
//   - Time is passed in. Advance is pure; a crash between two steps loses the
//     step and nothing else.
//   - A key file is never repaired or replaced silently. What cannot be read
//     stops the start, with the file's name and what to do.
//
// It refuses: the same private key in two places, key files that others may
// read, directories that others may write.
//
// A slot holds a signing key and a sealing key under the same kid: what a token
// has sealed can be read exactly as long as its signature is believed.
//
// Nothing here reads a clock, serves HTTP or knows Kubernetes. It is imported by
// mint, server, exchange, feed, the controllers and the programs.
//
// # Who makes keys, and who follows
//
// One Ring owns a TokenService's keys: it makes, rotates and revokes them and
// keeps them in a Store (Open; OpenDir for files; InMemory for none). Any number
// of Rings follow (NewFollower): they serve what the owner stored, and nothing
// that is older, broken, edited by hand or revoked.
//
// # Documents
//
// OpenDir keeps one file per TokenService, NAME.json, mode 0600, in a directory
// of mode 0700. It is replaced as a whole (written beside, synced, renamed), so
// a reader sees the old state or the new. The document:
//
//	{
//	  "version": 1,
//	  "tokenService": "main",
//	  "generation": 1767369845,   grows with every change: the second of it, or one more
//	  "revoked": ["<kid>"],       never trusted again, whatever the manifests say
//	  "slots": [{
//	    "keyID": "<RFC 7638 thumbprint>",
//	    "algorithm": "ES256",
//	    "state": "Active",
//	    "publishedAt": "2026-01-02T15:04:05Z",
//	    "activatedAt": "2026-01-02T15:04:05Z",
//	    "privateKey": "-----BEGIN PRIVATE KEY-----…",   PKCS #8
//	    "sealKey": "<32 bytes, base64url>"
//	  }]
//	}
//
// A slot whose key was handed over has "source": "SecretRef". One whose key is with
// an external signer has "source": "External", the public key (DER, base64) and the
// signer's label instead of a private key; the document then names the signer:
//
//	"signer": {"address": "unix:///run/signer.sock"}
//
// Any slot that is Retired has "publicKey" instead of "privateKey". Documents from
// before that was so are read, and their owner stores them again without.
package keys
