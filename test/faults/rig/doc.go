// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rig is a cluster to break: etcd, kube-apiserver, controllers and
// exchangers as processes of this machine, with proxies between them, and a load
// of exchanges that notices every failure.
//
// What a kubelet and a Service do, the rig does: a Pod is an object whose
// Ready condition follows the /readyz of its process, its token is bound to it,
// and the front sends a request to a replica that is Ready. Processes have the
// rights that config/rbac gives their ServiceAccounts and no others.
//
// It promises that what it starts has ended when Close returns, and that a
// program built with edits differs from the released one in those edits alone;
// an edit that finds no text to replace is an error.
//
// It refuses to know Kubernetes clients' retries: what it asks of the API server
// for itself goes past the proxies.
//
// It is imported by test/faults, test/usecases and test/benchcluster.
package rig
