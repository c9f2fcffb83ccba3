// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package upstream asks other servers while a request waits: introspection and
// userinfo endpoints, token endpoints, and the webhooks of the platform.
//
// It promises: only what a platform object declares is dialled, at addresses that
// package egress allows, through the declared proxy or none; no redirect is
// followed, so that no credential goes elsewhere; an answer is at most 64 KiB of
// strict JSON within 5 s at most; one slow server delays only what needs it (a
// bulkhead and a circuit for each); errors and metrics are of closed sets, and hold
// no token, no secret and nothing that the other server said.
//
// It refuses to decide: an answer is [ErrUnavailable], a [*Refused], or facts.
// Nothing is cached here, and what is not understood is no answer.
//
// It is imported by what verifies tokens that others must be asked about, by the
// use-case for external targets, and by the programs that wire them.
package upstream
