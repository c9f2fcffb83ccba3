// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// SigningAlgorithm is an algorithm with which tokens are signed.
//
// +kubebuilder:validation:Enum=ES256;ES384;EdDSA;RS256;PS256
type SigningAlgorithm string

// KeySource is where the signing keys come from.
//
// +kubebuilder:validation:Enum=Managed;SecretRef;External
type KeySource string

// The sources of signing keys.
const (
	// KeySourceManaged has the controller make and rotate the keys.
	KeySourceManaged KeySource = "Managed"
	// KeySourceSecretRef takes the key from a Secret.
	KeySourceSecretRef KeySource = "SecretRef"
	// KeySourceExternal asks a signer that keeps the key.
	KeySourceExternal KeySource = "External"
)

// KeyRetention is what happens to the keys when the TokenService is deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type KeyRetention string

// What happens to signing keys at deletion.
const (
	// KeyRetentionRetain keeps them.
	KeyRetentionRetain KeyRetention = "Retain"
	// KeyRetentionDelete deletes them.
	KeyRetentionDelete KeyRetention = "Delete"
)

// Signing is how tokens are signed.
//
// +kubebuilder:validation:XValidation:rule=`(self.source == 'SecretRef') == has(self.secretRef)`,message=`secretRef is required when source is SecretRef, and must be absent otherwise`
// +kubebuilder:validation:XValidation:rule=`(self.source == 'External') == has(self.external)`,message=`external is required when source is External, and must be absent otherwise`
type Signing struct {
	// algorithm is the signature algorithm.
	//
	// +optional
	// +kubebuilder:default=ES256
	Algorithm SigningAlgorithm `json:"algorithm,omitempty"`

	// source is where the keys come from: Managed (made and rotated here),
	// SecretRef, or External (a signer that keeps them).
	//
	// +optional
	// +kubebuilder:default=Managed
	Source KeySource `json:"source,omitempty"`

	// secretRef names the private key, in PEM or JWK form, when the source is SecretRef.
	//
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`

	// external is the signer when the source is External.
	//
	// +optional
	External *ExternalSigner `json:"external,omitempty"`

	// rotation is how often keys change.
	//
	// +optional
	// +kubebuilder:default={period: "720h", prePublish: "1h"}
	Rotation KeyRotation `json:"rotation,omitempty"`

	// rotateAfter asks for a new key once this time has come.
	//
	// +optional
	RotateAfter Time `json:"rotateAfter,omitempty"`

	// revokedKeyIDs are keys that are never trusted again, whatever they signed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	RevokedKeyIDs []string `json:"revokedKeyIDs,omitempty"`

	// keyRetention is what happens to the keys when this object is deleted.
	//
	// +optional
	// +kubebuilder:default=Retain
	KeyRetention KeyRetention `json:"keyRetention,omitempty"`
}

// ExternalSigner is a signer that keeps the keys and is asked by gRPC.
//
// +kubebuilder:validation:XValidation:rule=`self.address.matches('^unix:///[!-~]+$') || self.address.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[0-9]{1,5}$')`,message=`address must be unix:///path or host:port`
// +kubebuilder:validation:XValidation:rule=`self.address.startsWith('unix:') || (has(self.caBundle) && self.caBundle != "" && has(self.clientCertificateRef))`,message=`a signer at host:port needs caBundle and clientCertificateRef: it is reached by mutual TLS only`
type ExternalSigner struct {
	// address is where the signer listens: unix:///path, or host:port, which
	// needs caBundle and clientCertificateRef.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Address string `json:"address"`

	// caBundle verifies the signer's certificate.
	//
	// +optional
	CABundle PEM `json:"caBundle,omitempty"`

	// clientCertificateRef names the Secret with the certificate that is shown
	// to the signer; its key is the one under which the certificate stands.
	//
	// +optional
	ClientCertificateRef *KeyReference `json:"clientCertificateRef,omitempty"`
}

// KeyRotation is how often keys change.
//
// +kubebuilder:validation:XValidation:rule=`duration(self.prePublish) < duration(self.period)`,message=`prePublish must be shorter than period, or the next key would be due before its turn`
type KeyRotation struct {
	// period is how long a key signs.
	//
	// +optional
	// +kubebuilder:default="720h"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('1s') && duration(self) <= duration('17520h')`,message=`must be between 1s and 17520h, which is two years`
	Period Duration `json:"period,omitempty"`

	// prePublish is how long a key is published before it signs. It must cover
	// the time for which verifiers cache the key set.
	//
	// +optional
	// +kubebuilder:default="1h"
	PrePublish Duration `json:"prePublish,omitempty"`
}

// SigningKeyState is where a signing key stands in its life.
//
// +kubebuilder:validation:Enum=Prepared;Active;Retired
type SigningKeyState string

// The states of a signing key.
const (
	// SigningKeyPrepared is published and does not sign yet.
	SigningKeyPrepared SigningKeyState = "Prepared"
	// SigningKeyActive signs.
	SigningKeyActive SigningKeyState = "Active"
	// SigningKeyRetired is published and signs no more.
	SigningKeyRetired SigningKeyState = "Retired"
)

// SigningKeyStatus is one signing key.
type SigningKeyStatus struct {
	// kid is the ID of the key.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	KeyID string `json:"kid"`

	// algorithm is the algorithm of the key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Algorithm string `json:"algorithm,omitempty"`

	// state is where the key stands in its life.
	//
	// +optional
	State SigningKeyState `json:"state,omitempty"`

	// activatedAt is when the key began, or will begin, to sign.
	//
	// +optional
	ActivatedAt Time `json:"activatedAt,omitempty"`

	// retiresAt is when the key stops to sign.
	//
	// +optional
	RetiresAt Time `json:"retiresAt,omitempty"`
}
