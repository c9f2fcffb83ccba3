// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package chart tests charts/exchequer with the real helm: what it renders for
// some profiles of values (goldens), what its objects may and may not do, that
// its values are checked, that config/ is the same installation for kustomize,
// and that a real API server takes it, upgrades it and gives it up.
//
// It promises that whatever the chart renders decodes strictly as the kind that
// it says it is. It does not run Pods: test/e2e does. NetworkPolicies are judged
// by what they say; whether a cluster enforces them is the cluster's affair.
//
// `go test ./test/chart -update` rewrites the goldens and config/ from the chart.
package chart
