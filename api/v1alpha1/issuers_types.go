// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// VerificationAlgorithm is an algorithm with which a foreign token may be
// signed. Symmetric algorithms and none are not among them.
//
// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
type VerificationAlgorithm string

// JWTClass is the class of a JSON Web Token: what it was made to be.
//
// +kubebuilder:validation:Enum=AccessToken;IDToken;JWT
type JWTClass string

// JWTIssuer is an issuer of JSON Web Tokens.
type JWTIssuer struct {
	// issuer is who signs, after Kubernetes' AuthenticationConfiguration.
	//
	// +required
	Issuer JWTIssuerEndpoint `json:"issuer"`

	// keys is where the issuer's public keys come from.
	//
	// +optional
	// +kubebuilder:default={discovery: {}}
	Keys KeysFrom `json:"keys,omitempty"`

	// algorithms are the signature algorithms that are accepted.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={RS256,PS256,ES256,ES384,EdDSA}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Algorithms []VerificationAlgorithm `json:"algorithms,omitempty"`

	// tokenTypes are the classes of tokens that the issuer may present.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={AccessToken,IDToken,JWT}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	TokenTypes []JWTClass `json:"tokenTypes,omitempty"`

	// classify tells access tokens and ID tokens apart, for issuers whose typ
	// header does not.
	//
	// +optional
	Classify *Classify `json:"classify,omitempty"`
}

// JWTIssuerEndpoint is who signs JSON Web Tokens.
type JWTIssuerEndpoint struct {
	// url is the exact iss of the tokens: an https URL. An http URL on a
	// loopback host is accepted by the serve command only. It cannot be changed.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	URL URL `json:"url"`

	// discoveryURL is where the discovery document is, when it is not below url.
	//
	// +optional
	DiscoveryURL URL `json:"discoveryURL,omitempty"`

	// certificateAuthority verifies the issuer's TLS certificate, instead of
	// the system's authorities.
	//
	// +optional
	CertificateAuthority PEM `json:"certificateAuthority,omitempty"`

	// audiences are the values of aud that mean "for this token service".
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	Audiences []string `json:"audiences,omitempty"`
}

// KeysFrom is where public keys come from: exactly one of discovery, jwksURL,
// inline and configMapRef.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.discovery), has(self.jwksURL) && self.jwksURL != "", has(self.inline), has(self.configMapRef)].filter(x, x).size() == 1`,message=`exactly one of discovery, jwksURL, inline and configMapRef must be set`
type KeysFrom struct {
	// discovery finds the keys through the issuer's discovery document.
	//
	// +optional
	Discovery *Discovery `json:"discovery,omitempty"`

	// jwksURL is where the keys are.
	//
	// +optional
	JWKSURL URL `json:"jwksURL,omitempty"`

	// inline are the keys themselves.
	//
	// +optional
	Inline *JSONWebKeySet `json:"inline,omitempty"`

	// configMapRef names a ConfigMap that holds the keys as a JWK set.
	//
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`
}

// Discovery asks for the issuer's discovery document. It has no settings.
type Discovery struct{}

// Classify tells the classes of tokens apart, by CEL over header and claims.
// The expressions must exclude each other.
type Classify struct {
	// accessToken gives true for access tokens.
	//
	// +optional
	AccessToken Expression `json:"accessToken,omitempty"`

	// idToken gives true for ID tokens.
	//
	// +optional
	IDToken Expression `json:"idToken,omitempty"`
}

// ServiceAccountValidation is how service-account tokens are verified.
//
// +kubebuilder:validation:Enum=JWKS;TokenReview
type ServiceAccountValidation string

// How service-account tokens are verified.
const (
	// ValidationJWKS verifies the signature with the cluster's public keys,
	// which works while its API server is down.
	ValidationJWKS ServiceAccountValidation = "JWKS"
	// ValidationTokenReview asks the API server, which notices deleted pods.
	ValidationTokenReview ServiceAccountValidation = "TokenReview"
)

// KubernetesIssuer trusts the service-account tokens of a cluster.
//
// +kubebuilder:validation:XValidation:rule=`self.validation != 'TokenReview' || has(self.cluster.local)`,message=`validation TokenReview needs the local cluster: no other API server is asked`
type KubernetesIssuer struct {
	// cluster is whose service accounts: exactly one of local and remote.
	//
	// +required
	Cluster KubernetesCluster `json:"cluster"`

	// audiences are the values of aud that make a service-account token a
	// subject token for this token service.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	Audiences []string `json:"audiences,omitempty"`

	// validation is how tokens are verified. TokenReview needs the local cluster.
	//
	// +optional
	// +kubebuilder:default=JWKS
	Validation ServiceAccountValidation `json:"validation,omitempty"`
}

// KubernetesCluster is a cluster: exactly one of local and remote.
//
// +kubebuilder:validation:XValidation:rule=`has(self.local) != has(self.remote)`,message=`exactly one of local and remote must be set`
type KubernetesCluster struct {
	// local is the cluster that the operator runs in. Its subjects are
	// system:serviceaccount:<namespace>:<name>.
	//
	// +optional
	Local *LocalCluster `json:"local,omitempty"`

	// remote is another cluster. Its subjects carry the identity prefix.
	//
	// +optional
	Remote *RemoteCluster `json:"remote,omitempty"`
}

// LocalCluster is the cluster that the operator runs in. It has no settings.
type LocalCluster struct{}

// RemoteCluster is another cluster.
type RemoteCluster struct {
	// issuer is who signs its service-account tokens.
	//
	// +required
	Issuer ClusterIssuer `json:"issuer"`

	// keys is where its public keys come from.
	//
	// +optional
	// +kubebuilder:default={discovery: {}}
	Keys KeysFrom `json:"keys,omitempty"`
}

// ClusterIssuer is who signs the service-account tokens of a cluster.
type ClusterIssuer struct {
	// url is the exact iss of the tokens. Several clusters may have the same.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	URL URL `json:"url"`

	// discoveryURL is where the discovery document is, when it is not below url.
	//
	// +optional
	DiscoveryURL URL `json:"discoveryURL,omitempty"`

	// certificateAuthority verifies the cluster's TLS certificate, instead of
	// the system's authorities.
	//
	// +optional
	CertificateAuthority PEM `json:"certificateAuthority,omitempty"`
}

// SPIFFEIssuer trusts the SVIDs of a trust domain.
type SPIFFEIssuer struct {
	// trustDomain is the name of the trust domain.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[a-z0-9._-]+$`
	TrustDomain string `json:"trustDomain"`

	// bundle is where its keys come from.
	//
	// +required
	Bundle SPIFFEBundle `json:"bundle"`

	// audiences are the values of aud that make a JWT-SVID a subject token for
	// this token service.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	Audiences []string `json:"audiences,omitempty"`
}

// SPIFFEBundle is the trust bundle of a trust domain: exactly one of inline,
// configMapRef and url.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.inline), has(self.configMapRef), has(self.url) && self.url != ""].filter(x, x).size() == 1`,message=`exactly one of inline, configMapRef and url must be set`
type SPIFFEBundle struct {
	// inline is the bundle itself.
	//
	// +optional
	Inline *JSONWebKeySet `json:"inline,omitempty"`

	// configMapRef names a ConfigMap that holds the bundle as a JWK set.
	//
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`

	// url is where the bundle is.
	//
	// +optional
	URL URL `json:"url,omitempty"`
}

// SAMLIssuer trusts the assertions of a SAML 2.0 identity provider.
//
// +kubebuilder:validation:XValidation:rule=`has(self.certificates) != (has(self.metadataURL) && self.metadataURL != "")`,message=`exactly one of certificates and metadataURL must be set`
type SAMLIssuer struct {
	// entityID is the exact Issuer of the assertions. It cannot be changed.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	EntityID string `json:"entityID"`

	// certificates are the certificates with which assertions are signed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Certificates []PEM `json:"certificates,omitempty"`

	// metadataURL is where the provider's metadata is, which has the certificates.
	//
	// +optional
	MetadataURL URL `json:"metadataURL,omitempty"`

	// audiences are the audience restrictions that mean "for this token service".
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	Audiences []string `json:"audiences"`

	// recipient is the Recipient that the subject confirmation must name.
	// Absent, it is the token endpoint.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Recipient string `json:"recipient,omitempty"`
}
