// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package exchange is the use-case: one token exchange, from the parsed request
// to the answer, in the order that keeps it safe.
//
// It promises: form, client, subject token, decision, one-time state, signature,
// self-check, audit, release, in this order and no other; one audit record for
// every request, written before the answer; no record, no token; what cannot be
// told is not allowed.
//
// It refuses to know HTTP: package server hands it an [oauth.Call] and renders its
// [oauth.Answer]. It decides nothing itself: that is [policy.Snapshot.Decide].
package exchange
