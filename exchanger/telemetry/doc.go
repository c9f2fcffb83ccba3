// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package telemetry has the exchanger's metrics and traces.
//
// It promises: metric labels come from closed sets (reasons, outcomes, objects
// of the snapshot), so that no caller can make a series; the series of an object
// that is gone are gone; with tracing off, a span costs nothing.
//
// It refuses: claims, tokens and what a stranger sent, in any label or span; to
// let a caller decide how much is sampled.
//
// It serves nothing: package server answers /metrics. [Metrics] is an observer of
// exchange, [Tracing] its tracer; programs tie them together.
package telemetry
