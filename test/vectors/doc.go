// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vectors runs the published Wycheproof JOSE vectors
// (github.com/C2SP/wycheproof, testvectors_v1) through every entry of this
// project that takes a token from a stranger.
//
// The vectors are not part of the project. EXCHEQUER_VECTORS names the folder
// that holds json_web_signature_test.json, json_web_key_test.json,
// json_web_encryption_test.json and json_web_crypto_test.json; without it the
// tests are skipped and say so.
//
// It promises that an entry accepts no vector that is called invalid, and that
// each valid one that it refuses stands in deviations.yaml with the refusal and
// the reason. A deviation that is not listed fails, and so does a listed one that
// is none any more.
//
// To add an entry: write a func that takes a JWK Set and a token and returns the
// refusal, call Run with it from a test, run the test once, and list what it
// reports in deviations.yaml under the entry's name, after having understood it.
//
// Only tests import this package.
package vectors
