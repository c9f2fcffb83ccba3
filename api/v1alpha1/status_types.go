// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ObjectStatus is what the status of every kind has.
type ObjectStatus struct {
	// observedGeneration is the generation that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the state of the object. Every condition is true when
	// things are as they should be; Ready sums them up.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// inputDigest is the hash of this generation together with everything it
	// refers to, as of the last time that either changed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	InputDigest string `json:"inputDigest,omitempty"`

	// unmatched are the clients and issuers that this object names and that
	// contribute nothing, because they do not exist or may not be named here.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=512
	Unmatched []string `json:"unmatched,omitempty"`
}
