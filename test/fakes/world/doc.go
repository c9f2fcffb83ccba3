// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package world is a small token service with everything around it that a test
// of verification needs: trusted issuers with real keys, clusters that share a
// URL, clients of every kind, signing keys of its own, and a clock that moves
// when it is told to.
//
// It promises that foreign tokens are signed by package fakes/issuer, which
// shares no code with what verifies them, and that a change of the manifests
// (Change) goes the way that it goes in production: another snapshot, other
// sources.
//
// Tests may import it; nothing that runs in production may.
package world
