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
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Subject",type=string,JSONPath=`.spec.subject`
// +kubebuilder:printcolumn:name="Client",type=string,JSONPath=`.spec.client`
// +kubebuilder:printcolumn:name="Issued Before",type=string,JSONPath=`.spec.issuedBefore`
// +kubebuilder:printcolumn:name="Expires At",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
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
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
// +kubebuilder:validation:XValidation:rule=`(has(self.subject) && self.subject != "") || (has(self.client) && self.client != "") || (has(self.tokenID) && self.tokenID != "")`,message=`at least one of subject, client and tokenID must be set`
// +kubebuilder:validation:XValidation:rule=`(has(self.issuedBefore) && self.issuedBefore != "") || ((!has(self.subject) || self.subject == "") && (!has(self.client) || self.client == ""))`,message=`issuedBefore is required with subject or client: without it, new tokens would be refused, too`
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
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
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
