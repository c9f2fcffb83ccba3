// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures an exchange beside what it is made of.
//
// One run, one machine, the same load on every server (8 kept-alive connections
// over loopback, the server in a process of its own), in alternating rounds:
//
//   - exchequer, with a new subject token in every request;
//   - exchequer, with one subject token again and again;
//   - a reference: the least that a net/http handler does with go-jose (form,
//     constant secret, verify ES256, sign ES256, JSON; no policy, no audit);
//   - the crypto floor: one raw ES256 verification and one signature, with the
//     other core busy, as it is under load.
//
// Figures are medians of the rounds; ratios are taken round by round. It then
// measures Decide with up to 100,000 policies, and the compilation of 10,000.
//
// -revocations N measures instead how long a token that is revoked at one of two
// replicas, which share a Redis, is good at the other.
//
// -profile FILE keeps a CPU profile of exchequer under the first load instead.
package main
