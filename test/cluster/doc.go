// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster gives tests a real API server: kube-apiserver and etcd of the
// versions that hack/tools pins, with the CRDs of config/crd and RBAC in force.
//
// A package starts one and shares it between its tests:
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		plane := cluster.Shared(t)
//		c, _ := client.New(plane.Admin(), client.Options{Scheme: …})
//		namespace := plane.Namespace(t)
//	}
//
// A test that stops the API server or needs other flags takes its own with
// [Start].
//
// It promises that no check is skipped: programs that are missing fail the test
// with the command that builds them. It refuses to download anything itself.
// There is no controller manager: nothing makes default ServiceAccounts,
// deletes what an owner left behind or ends a Namespace. What needs those is
// tested by test/e2e.
//
// Tests of any package may import it; programs may not.
package cluster
