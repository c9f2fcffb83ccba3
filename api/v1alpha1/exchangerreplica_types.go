// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExchangerReplica is the acknowledgement of one exchanger Pod: which revision
// of the policy it serves. The exchanger writes it, the Pod owns it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=xr,categories=exchequer
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.spec.revision`
// +kubebuilder:printcolumn:name="Refused",type=integer,JSONPath=`.spec.refused.revision`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ExchangerReplica struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The name is that of the Pod.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the replica acknowledges.
	//
	// +required
	Spec ExchangerReplicaSpec `json:"spec"`
}

// ExchangerReplicaSpec is what a replica acknowledges.
type ExchangerReplicaSpec struct {
	// revision is the revision that the replica serves; 0 is none yet.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	Revision int64 `json:"revision"`

	// digest is the hash of what it serves.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Digest string `json:"digest,omitempty"`

	// readsFormats are the formats of snapshots that the replica can read.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	ReadsFormats []int32 `json:"readsFormats,omitempty"`

	// refused is the newest revision that the replica would not serve.
	//
	// +optional
	Refused *RefusedRevision `json:"refused,omitempty"`
}

// RefusedRevision is a revision that a replica would not serve.
type RefusedRevision struct {
	// revision is the revision.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9007199254740991
	Revision int64 `json:"revision"`

	// reason is why, as a word.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message is why, for people.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ExchangerReplicaList is a list of ExchangerReplicas.
//
// +kubebuilder:object:root=true
type ExchangerReplicaList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ExchangerReplicas.
	Items []ExchangerReplica `json:"items"`
}
