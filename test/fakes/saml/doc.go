// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package saml is an identity provider for tests: it makes SAML 2.0 assertions,
// signs them, and attacks them.
//
// It knows no XML library. Assertions are written in the form that exclusive
// canonicalisation leaves them in, so what is hashed is what is written, and the
// signature is made over those bytes with the standard library alone. What the
// product's library makes of them is thereby judged by code that shares nothing
// with it.
//
// It is for tests only; no program may import it.
package saml
