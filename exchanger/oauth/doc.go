// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth knows the wire forms of the token endpoint: the form that comes
// in, the answer and the error that go out (RFC 6749, RFC 8693, RFC 7617).
//
// It promises: a form is read whole or refused whole, with one closed reason;
// what a known parameter says is either in [Params] or the reason for a refusal,
// never silently dropped; every [policy.Reason] has exactly one public answer
// ([ErrorFor]), and answers that a stranger must not be able to tell apart are
// equal byte for byte.
//
// It refuses: parameters that are given twice (but resource and audience),
// malformed escapes, control characters, invalid UTF-8, and parameters that it
// knows but that this build does not serve. It trims and repairs nothing.
//
// [Call] and [Answer] are what travels between the transport (package server)
// and the use-case (package exchange); they stand here because neither may be
// imported by the other's dependencies.
//
// It is pure: no net/http, no clock, no I/O. Server, exchange and the CLI import
// it.
package oauth
