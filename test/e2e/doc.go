// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package e2e installs the chart on a real cluster with helm and uses it as a
// platform and its teams would: objects applied with kubectl, a gate that waits
// for Ready, pods that exchange their projected tokens, a target that verifies
// what it got, an upgrade, an uninstall that leaves nothing behind.
//
// `make e2e` runs it, on the cluster of KUBECONFIG or on one of hack/cluster. It
// needs nothing of the cluster but rights and the image: no ingress, no storage,
// no metrics. Without the build tag e2e it is empty, so that `make test` needs
// no cluster.
package e2e
