// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExchangeClient is a workload that asks for tokens, a service that tokens are
// asked for, or, as a rule, both.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=xc,categories=exchequer
type ExchangeClient struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is who the client is.
	//
	// +optional
	// +kubebuilder:default={}
	Spec ExchangeClientSpec `json:"spec,omitempty"`

	// status is what was made of it.
	//
	// +optional
	Status ExchangeClientStatus `json:"status,omitempty"`
}

// GrantType is a grant that a client may use.
//
// +kubebuilder:validation:Enum=TokenExchange;JWTBearer
type GrantType string

// The grants that a client may use.
const (
	// GrantTokenExchange is RFC 8693.
	GrantTokenExchange GrantType = "TokenExchange"
	// GrantJWTBearer is RFC 7523.
	GrantJWTBearer GrantType = "JWTBearer"
)

// ExchangeClientSpec is who a client is, and what a target of exchanges is called.
type ExchangeClientSpec struct {
	// suspend, when true, makes the object count as absent, at once.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// tokenServiceRef names the TokenService that this object belongs to. It
	// cannot be changed.
	//
	// +optional
	// +kubebuilder:default={name: default}
	TokenServiceRef *TokenServiceReference `json:"tokenServiceRef,omitempty"`

	// clientID is the client_id. Absent, it is <namespace>/<name>; another one
	// must start with <namespace>/. It cannot be changed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ClientID string `json:"clientID,omitempty"`

	// grants are the grants that the client may use.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={TokenExchange}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Grants []GrantType `json:"grants,omitempty"`

	// authentication is how the client proves who it is; any of them will do.
	// Without one it is only a target.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Authentication []ClientAuthentication `json:"authentication,omitempty"`

	// audiences are further names of this client as a target. Each is owned by
	// the client's namespace. They never make an incoming token one for it.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audiences []string `json:"audiences,omitempty"`

	// resources are the resource URIs (RFC 8707) of this client as a target.
	// They are compared exactly.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Resources []ResourceURI `json:"resources,omitempty"`

	// saml is how SAML assertions for this target look.
	//
	// +optional
	SAML *SAMLTarget `json:"saml,omitempty"`

	// token is how access tokens for this target look.
	//
	// +optional
	// +kubebuilder:default={}
	Token TargetToken `json:"token,omitempty"`

	// revokeIssuedBefore refuses every token that was issued to this client
	// before this time.
	//
	// +optional
	RevokeIssuedBefore Time `json:"revokeIssuedBefore,omitempty"`
}

// ResourceURI is an absolute URI without fragment (RFC 8707).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
type ResourceURI string

// ClientAuthentication is one way in which a client proves who it is: exactly
// one of its members.
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
	Name string `json:"name"`

	// issuer names the TrustedIssuer of the service account's cluster. Absent,
	// it is that of the local cluster.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
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
	SHA256 string `json:"sha256,omitempty"`
}

// MutualTLSAuthentication is what a client certificate must say: exactly one
// of sanDNS, sanURI, subjectDN and thumbprints.
type MutualTLSAuthentication struct {
	// sanDNS is a DNS name that the certificate must have.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
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
	Thumbprints []string `json:"thumbprints,omitempty"`
}

// SPIFFEAuthentication is the SPIFFE ID of a client.
type SPIFFEAuthentication struct {
	// id is the SPIFFE ID.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ID string `json:"id"`

	// issuer names the TrustedIssuer of the trust domain. Absent, it is the
	// one whose trust domain the ID has.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	Issuer string `json:"issuer,omitempty"`
}

// PublicAuthentication is a client without a credential. It has no settings.
type PublicAuthentication struct{}

// NameIDFormat is how a SAML assertion names its subject.
//
// +kubebuilder:validation:Enum=Unspecified;EmailAddress;Persistent;Transient
type NameIDFormat string

// SAMLTarget is how SAML assertions for a target look.
type SAMLTarget struct {
	// entityID is the audience of the assertions. It is owned by the client's
	// namespace and cannot be changed.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	EntityID string `json:"entityID"`

	// recipient is the Recipient of the subject confirmation.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Recipient string `json:"recipient,omitempty"`

	// nameIDFormat is how the subject is named.
	//
	// +optional
	NameIDFormat NameIDFormat `json:"nameIDFormat,omitempty"`

	// attributes are put into the assertion.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Attributes []SAMLAttribute `json:"attributes,omitempty"`
}

// SAMLAttribute is an attribute of an assertion.
type SAMLAttribute struct {
	// name is the name of the attribute.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`

	// expression is a CEL expression that gives the value: a string or a list
	// of strings. An error refuses the exchange; null leaves the attribute out.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Expression Expression `json:"expression"`
}

// TokenFormat is the form of access tokens.
//
// +kubebuilder:validation:Enum=JWT;Opaque
type TokenFormat string

// The forms of access tokens.
const (
	// TokenFormatJWT is a JSON Web Token (RFC 9068).
	TokenFormatJWT TokenFormat = "JWT"
	// TokenFormatOpaque is a handle that must be introspected.
	TokenFormatOpaque TokenFormat = "Opaque"
)

// TargetToken is how access tokens for a target look.
type TargetToken struct {
	// format is JWT (RFC 9068), or Opaque, which must be introspected.
	//
	// +optional
	// +kubebuilder:default=JWT
	Format TokenFormat `json:"format,omitempty"`

	// lifetime is the longest that tokens for this target live. Absent, it is
	// for the policy and the TokenService to say, whose default is 5m.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`
}

// ExchangeClientStatus is what was made of an ExchangeClient.
type ExchangeClientStatus struct {
	ObjectStatus `json:",inline"`

	// clientID is the client_id in force.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ClientID string `json:"clientID,omitempty"`
}

// ExchangeClientList is a list of ExchangeClients.
//
// +kubebuilder:object:root=true
type ExchangeClientList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ExchangeClients.
	Items []ExchangeClient `json:"items"`
}
