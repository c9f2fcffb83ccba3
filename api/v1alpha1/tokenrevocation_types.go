// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TokenRevocation refuses tokens at once, together with everything that was
// derived from them. It is state rather than policy, and the one kind whose
// removal gives something back.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=xtr,categories=exchequer
type TokenRevocation struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is revoked.
	//
	// +required
	Spec TokenRevocationSpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status TokenRevocationStatus `json:"status,omitempty"`
}

// TokenRevocationSpec is what is revoked: the tokens that match every field
// that is set. At least one of subject, client and tokenID is.
type TokenRevocationSpec struct {
	// suspend, when true, makes the object count as absent, at once: what it
	// revokes is no longer revoked.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// tokenServiceRef names the TokenService that this object belongs to. It
	// cannot be changed.
	//
	// +optional
	// +kubebuilder:default={name: default}
	TokenServiceRef *TokenServiceReference `json:"tokenServiceRef,omitempty"`

	// issuer names the TrustedIssuer of the tokens. Empty, they are ours.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	Issuer string `json:"issuer,omitempty"`

	// subject is whom the tokens are about, with the prefix of the issuer. It
	// also matches actors at any depth, and impersonators.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject,omitempty"`

	// client is the ID of the client that the tokens were issued to.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Client string `json:"client,omitempty"`

	// tokenID is the jti of one token.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	TokenID string `json:"tokenID,omitempty"`

	// issuedBefore revokes tokens that were issued before this time. It is
	// required unless only tokenID is set.
	//
	// +optional
	IssuedBefore Time `json:"issuedBefore,omitempty"`

	// expiresAt is when the revocation may be forgotten. It must outlive the
	// longest lifetime of a token that it revokes.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	ExpiresAt Time `json:"expiresAt"`
}

// TokenRevocationStatus is what was made of a TokenRevocation.
type TokenRevocationStatus struct {
	ObjectStatus `json:",inline"`
}

// TokenRevocationList is a list of TokenRevocations.
//
// +kubebuilder:object:root=true
type TokenRevocationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the TokenRevocations.
	Items []TokenRevocation `json:"items"`
}
