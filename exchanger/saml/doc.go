// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package saml turns SAML 2.0 assertions into facts and facts into assertions.
//
// It promises:
//
//   - One reading. A document passes a gate before any parser sees it, which lets
//     through a small part of XML that every parser reads alike: no document type,
//     no entities but the five, no comments, no CDATA, no processing instructions,
//     no prefix with two meanings, nothing twice.
//   - One assertion, which is the root, and one signature, which is over the whole
//     of it: one reference, to the root's ID; enveloped-signature and exclusive
//     canonicalisation and nothing else; RSA (PKCS #1) or ECDSA with SHA-2.
//   - Keys come from the caller. What the assertion says of keys is cut away
//     before its signature is verified.
//   - The facts are read from the bytes that were hashed, not from those that came;
//     that they hash to what was signed is looked at once more.
//   - What is not understood is refused: conditions, confirmations, statements,
//     values that are not text.
//   - Whatever Sign returns was parsed and verified as a stranger would.
//   - Errors carry a closed Code and constant text: no words of an assertion.
//
// It refuses: responses (an assertion is taken out of one before it is
// presented), encryption, confirmation methods other than bearer, SHA-1, MD5,
// HMAC, RSA-PSS, assertions without audience, recipient or end.
//
// It does not look at times, audiences, recipients and replay: policy decides
// with all facts in hand.
//
// Only this package imports the XML signature library and the XML tree it works
// on. A program built with -tags nosaml has neither: every call is refused with
// NotBuilt. It is imported by subject, exchange, issuer, translate and the
// programs.
package saml
