// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ClientAuth is how this installation authenticates itself to another server:
// exactly one of secretRef, privateKeyJWT and mutualTLS.
//
// +kubebuilder:validation:XValidation:rule=`[has(self.secretRef), has(self.privateKeyJWT), has(self.mutualTLS)].filter(x, x).size() == 1`,message=`exactly one of secretRef, privateKeyJWT and mutualTLS must be set`
// +kubebuilder:validation:XValidation:rule=`!has(self.method) || has(self.secretRef)`,message=`method says where a client secret is sent: it needs secretRef`
type ClientAuth struct {
	// clientID is the client ID by which the other server knows this installation.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID"`

	// secretRef names the client secret.
	//
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`

	// method says where the client secret is sent: Basic, in the Authorization
	// header, which is meant when it is absent, or Post, in the form.
	//
	// +optional
	Method ClientSecretMethod `json:"method,omitempty"`

	// privateKeyJWT authenticates with a signed assertion (RFC 7523).
	//
	// +optional
	PrivateKeyJWT *PrivateKeyJWTAuth `json:"privateKeyJWT,omitempty"`

	// mutualTLS authenticates with a client certificate (RFC 8705).
	//
	// +optional
	MutualTLS *MutualTLSAuth `json:"mutualTLS,omitempty"`
}

// ClientSecretMethod is where a client secret is sent.
//
// +kubebuilder:validation:Enum=Basic;Post
type ClientSecretMethod string

// The places where a client secret is sent.
const (
	// ClientSecretBasic sends it in the Authorization header.
	ClientSecretBasic ClientSecretMethod = "Basic"
	// ClientSecretPost sends it in the form.
	ClientSecretPost ClientSecretMethod = "Post"
)

// PrivateKeyJWTAuth is the key of our own assertions at another server. Empty,
// it is the signing key of the TokenService.
type PrivateKeyJWTAuth struct {
	// secretRef names a private key of its own for this server.
	//
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`
}

// MutualTLSAuth is the client certificate that is shown to another server.
type MutualTLSAuth struct {
	// secretRef names a Secret of type kubernetes.io/tls; its key is the one
	// under which the certificate stands.
	//
	// +required
	SecretRef KeyReference `json:"secretRef"`
}

// Webhook is an HTTPS endpoint of the platform's that answers a review.
type Webhook struct {
	// url is where the review is sent, by HTTPS POST.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	URL URL `json:"url"`

	// caBundle is what its certificate is verified with, instead of the
	// system's authorities.
	//
	// +optional
	CABundle PEM `json:"caBundle,omitempty"`

	// timeout is how long an answer may take, at most 5s. No answer in time is
	// an outage, never an approval.
	//
	// +optional
	// +kubebuilder:default="2s"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('1ms') && duration(self) <= duration('5s')`,message=`must be more than nothing and at most 5s`
	Timeout Duration `json:"timeout,omitempty"`
}

// Network says which private addresses may be dialled.
type Network struct {
	// allowedCIDRs are the private or loopback ranges that may be dialled for
	// this object. Link-local addresses never are. Empty: public addresses only.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule=`isCIDR(self)`,message=`must be an address range such as 10.0.0.0/8`
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
}
