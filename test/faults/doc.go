// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults breaks a cluster of processes while exchanges go on: controllers
// are killed while they publish, replicas under load, the API server is stopped,
// stalled and restored to an older state.
//
// Each test is one fault, with what must happen in its name, and prints a figure.
// docs/reliability.md has the table. In their short form, which `make test` runs,
// outages last seconds; `make faults FULL=1` makes them last as long as the page
// says.
//
// It holds tests alone, and nothing imports it.
package faults
