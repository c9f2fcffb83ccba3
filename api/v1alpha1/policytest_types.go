// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PolicyTestKind is the kind of a PolicyTest.
const PolicyTestKind = "PolicyTest"

// PolicyTest is the content of a *_test.yaml file: examples that stand beside
// the manifests instead of in a policy. It is a file format; the API server
// does not know it.
//
// +kubebuilder:object:generate=false
type PolicyTest struct {
	metav1.TypeMeta `json:",inline"`

	// Manifests are the files and directories to test, relative to this file.
	Manifests []string `json:"manifests"`

	// Examples are what is given and what is expected of it.
	Examples []Example `json:"examples"`
}
