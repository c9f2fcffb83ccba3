// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ClientAuthentication is one way in which a client proves who it is: exactly
// one of its members.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.kubernetesServiceAccount), has(self.privateKeyJWT), has(self.clientSecret), has(self.mutualTLS), has(self.spiffe), has(self.public)].filter(x, x).size() == 1`,message=`exactly one of kubernetesServiceAccount, privateKeyJWT, clientSecret, mutualTLS, spiffe and public must be set`
type ClientAuthentication struct {
	// kubernetesServiceAccount takes the projected token of a service account
	// as the client assertion, so that there is no secret to keep.
	//
	// +optional
	KubernetesServiceAccount *ServiceAccountAuthentication `json:"kubernetesServiceAccount,omitempty"`

	// privateKeyJWT takes an assertion that the client signed (RFC 7523).
	//
	// +optional
	PrivateKeyJWT *PrivateKeyJWTAuthentication `json:"privateKeyJWT,omitempty"`

	// clientSecret takes a client secret. There may be two for rotation.
	//
	// +optional
	ClientSecret *ClientSecretAuthentication `json:"clientSecret,omitempty"`

	// mutualTLS takes a client certificate (RFC 8705).
	//
	// +optional
	MutualTLS *MutualTLSAuthentication `json:"mutualTLS,omitempty"`

	// spiffe takes a JWT-SVID or X.509-SVID.
	//
	// +optional
	SPIFFE *SPIFFEAuthentication `json:"spiffe,omitempty"`

	// public is a client that can keep no secret. It stands alone, and may
	// exchange sender-constrained subject tokens only.
	//
	// +optional
	Public *PublicAuthentication `json:"public,omitempty"`
}

// ServiceAccountAuthentication is a service account in the client's namespace.
type ServiceAccountAuthentication struct {
	// name is the name of the service account.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`

	// issuer names the TrustedIssuer of the service account's cluster. Absent,
	// it is that of the local cluster.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	Issuer string `json:"issuer,omitempty"`

	// uid is the UID that the service account must have. Absent, one that was
	// deleted and made again under the same name is taken for the same.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	UID string `json:"uid,omitempty"`
}

// PrivateKeyJWTAuthentication are the public keys of a client: exactly one of
// inline and configMapRef.
//
// +kubebuilder:validation:XValidation:rule=`has(self.inline) != has(self.configMapRef)`,message=`exactly one of inline and configMapRef must be set`
type PrivateKeyJWTAuthentication struct {
	// inline are the keys themselves.
	//
	// +optional
	Inline *JSONWebKeySet `json:"inline,omitempty"`

	// configMapRef names a ConfigMap that holds the keys as a JWK set.
	//
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`
}

// ClientSecretAuthentication is a client secret: exactly one of secretRef and sha256.
//
// +kubebuilder:validation:XValidation:rule=`has(self.secretRef) != (has(self.sha256) && self.sha256 != "")`,message=`exactly one of secretRef and sha256 must be set`
type ClientSecretAuthentication struct {
	// secretRef names the secret, which has at least 32 characters.
	//
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`

	// sha256 is the SHA-256 of the secret, in lower-case hexadecimal. The secret
	// must be random and have at least 32 characters, because its hash is public.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches('^[0-9a-f]{64}$')`,message=`must be the SHA-256 of the secret as 64 lower-case hexadecimal digits; the secret itself must not stand here`
	SHA256 string `json:"sha256,omitempty"`
}

// MutualTLSAuthentication is what a client certificate must say: exactly one
// of sanDNS, sanURI, subjectDN and thumbprints.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.sanDNS) && self.sanDNS != "", has(self.sanURI) && self.sanURI != "", has(self.subjectDN) && self.subjectDN != "", has(self.thumbprints)].filter(x, x).size() == 1`,message=`exactly one of sanDNS, sanURI, subjectDN and thumbprints must be set`
type MutualTLSAuthentication struct {
	// sanDNS is a DNS name that the certificate must have.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')`,message=`must be a DNS name in lower case, without *`
	SANDNS string `json:"sanDNS,omitempty"`

	// sanURI is a URI that the certificate must have.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	SANURI string `json:"sanURI,omitempty"`

	// subjectDN is the subject that the certificate must have, as RFC 4514 writes it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	SubjectDN string `json:"subjectDN,omitempty"`

	// thumbprints are the SHA-256 hashes of the certificates themselves, in
	// lower-case hexadecimal or, as in x5t#S256, in base64url.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=43
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^([0-9a-f]{64}|[A-Za-z0-9_-]{43})$')`,message=`must be a SHA-256 hash: 64 lower-case hexadecimal digits or 43 base64url characters`
	Thumbprints []string `json:"thumbprints,omitempty"`
}

// SPIFFEAuthentication is the SPIFFE ID of a client.
type SPIFFEAuthentication struct {
	// id is the SPIFFE ID.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule=`self.matches('^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$')`,message=`must be a SPIFFE ID: spiffe://, the trust domain and a path`
	ID string `json:"id"`

	// issuer names the TrustedIssuer of the trust domain. Absent, it is the
	// one whose trust domain the ID has.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	Issuer string `json:"issuer,omitempty"`
}

// PublicAuthentication is a client without a credential. It has no settings.
type PublicAuthentication struct{}
