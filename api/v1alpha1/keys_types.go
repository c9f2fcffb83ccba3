// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PEM is one or more certificates in PEM form. An empty string means absent.
//
// +kubebuilder:validation:MaxLength=65536
// +kubebuilder:validation:XValidation:rule=`self == "" || self.contains('-----BEGIN CERTIFICATE-----')`,message=`must be one or more certificates in PEM form`
// +kubebuilder:validation:XValidation:rule=`!self.contains('PRIVATE KEY-----')`,message=`must not contain a private key: this object can be read by many`
type PEM string

// URL is an absolute URL. An empty string means absent.
//
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule=`self == "" || self.startsWith('https://') || self.matches('^http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:[0-9]+)?(/|$)')`,message=`must be an https URL; http is possible on a loopback host only: localhost, 127.x.x.x or [::1]`
// +kubebuilder:validation:XValidation:rule=`!self.matches('^[a-z]+://[^/]*@')`,message=`must not contain a user name or password`
// +kubebuilder:validation:XValidation:rule=`!self.contains('?') && !self.contains('#')`,message=`must not have a query or a fragment`
// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches('^[a-z]+://([^/@]*@)?(([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?[.])*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?|((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])[.]){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[!-~]*)?([?#].*)?$')`,message=`must have a host, which is a DNS name without trailing dot or a complete IP address, then perhaps a port and a path, and no spaces`
// +kubebuilder:validation:XValidation:rule=`!self.matches('^[a-z]+://([^/@]*@)?(169[.]254[.]|0[.]|22[4-9][.]|2[3-5][0-9][.]|\\[(::\\]|::ffff:|::FFFF:|[fF][eE][89abAB]|[fF][fF]))')`,message=`must not be a link-local, multicast or unspecified address`
type URL string

// JSONWebKeySet is a set of public keys (RFC 7517), written in the object itself.
type JSONWebKeySet struct {
	// keys are the public keys.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	Keys []JSONWebKey `json:"keys"`
}

// JSONWebKey is one public key (RFC 7517). The members of private and
// symmetric keys are declared only so that they can be refused: a schema that
// did not know them would prune them, and a private key that had been
// published to everyone who may read this object would go unnoticed.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.d) && !has(self.p) && !has(self.q) && !has(self.dp) && !has(self.dq) && !has(self.qi) && !has(self.oth) && !has(self.k)`,message=`is a private key: take out d, p, q, dp, dq, qi, oth and k, and replace the key, because it has been written down here`
// +kubebuilder:validation:XValidation:rule=`self.kty == 'RSA' ? has(self.n) && has(self.e) : self.kty == 'EC' ? has(self.crv) && has(self.x) && has(self.y) : has(self.crv) && has(self.x)`,message=`an RSA key has n and e, an EC key crv, x and y, an OKP key crv and x`
type JSONWebKey struct {
	// kty is the family of the key: RSA, EC or OKP.
	//
	// +required
	// +kubebuilder:validation:Enum=RSA;EC;OKP
	KeyType string `json:"kty"`

	// use is what the key is for.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Use string `json:"use,omitempty"`

	// key_ops is what the key may do.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=32
	KeyOperations []string `json:"key_ops,omitempty"`

	// alg is the algorithm that the key is for.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Algorithm string `json:"alg,omitempty"`

	// kid is the ID of the key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	KeyID string `json:"kid,omitempty"`

	// crv is the curve of an EC or OKP key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Curve string `json:"crv,omitempty"`

	// x is the x coordinate of an EC key, or the public key of an OKP key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	X string `json:"x,omitempty"`

	// y is the y coordinate of an EC key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Y string `json:"y,omitempty"`

	// n is the modulus of an RSA key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2732
	N string `json:"n,omitempty"`

	// e is the public exponent of an RSA key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	E string `json:"e,omitempty"`

	// x5u is accepted because key sets carry it, and ignored: nothing is fetched from it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	X5U string `json:"x5u,omitempty"`

	// x5c is a certificate chain. For a SPIFFE bundle it is the X.509
	// authority; elsewhere it is ignored.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=16384
	X5C []string `json:"x5c,omitempty"`

	// x5t is accepted because key sets carry it, and ignored.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	X5T string `json:"x5t,omitempty"`

	// x5t#S256 is accepted because key sets carry it, and ignored.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	X5TS256 string `json:"x5t#S256,omitempty"`

	// ext is accepted because browsers write it, and ignored.
	//
	// +optional
	Extractable *bool `json:"ext,omitempty"`

	// d is the private half of a key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	D *string `json:"d,omitempty"`

	// p is part of a private key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	P *string `json:"p,omitempty"`

	// q is part of a private key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Q *string `json:"q,omitempty"`

	// dp is part of a private key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	DP *string `json:"dp,omitempty"`

	// dq is part of a private key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	DQ *string `json:"dq,omitempty"`

	// qi is part of a private key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	QI *string `json:"qi,omitempty"`

	// oth is part of a private key, and refused.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	OTH []JSON `json:"oth,omitempty"`

	// k is a symmetric key, and refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	K *string `json:"k,omitempty"`
}
