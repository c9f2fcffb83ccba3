// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// TokenTypeURI is what is sent as subject_token_type to select an issuer of
// opaque tokens. It is unique among the issuers of a TokenService.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$')`,message=`must be an absolute URI without spaces`
// +kubebuilder:validation:XValidation:rule=`!self.startsWith('urn:ietf:params:oauth:token-type:') && self != 'https://exchequer.dev/token-type/handover'`,message=`must be a URI of your own: this one has a meaning already`
type TokenTypeURI string

// IntrospectionIssuer asks the issuer what an opaque token is (RFC 7662).
type IntrospectionIssuer struct {
	// tokenTypeURI is sent as subject_token_type and selects this issuer.
	//
	// +required
	TokenTypeURI TokenTypeURI `json:"tokenTypeURI"`

	// endpoint is the introspection endpoint.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Endpoint URL `json:"endpoint"`

	// clientAuth is how this installation authenticates there.
	//
	// +required
	ClientAuth ClientAuth `json:"clientAuth"`

	// audiences are the values of aud that mean "for this token service".
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	Audiences []string `json:"audiences,omitempty"`

	// certificateAuthority verifies the endpoint's TLS certificate, instead of
	// the system's authorities.
	//
	// +optional
	CertificateAuthority PEM `json:"certificateAuthority,omitempty"`
}

// UserInfoIssuer asks an OpenID provider's userinfo endpoint who the subject
// is. Such a subject has the aud userinfo:<name of the TrustedIssuer>.
type UserInfoIssuer struct {
	// tokenTypeURI is sent as subject_token_type and selects this issuer.
	//
	// +required
	TokenTypeURI TokenTypeURI `json:"tokenTypeURI"`

	// endpoint is the userinfo endpoint.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Endpoint URL `json:"endpoint"`

	// certificateAuthority verifies the endpoint's TLS certificate, instead of
	// the system's authorities.
	//
	// +optional
	CertificateAuthority PEM `json:"certificateAuthority,omitempty"`
}

// RefreshTokenIssuer redeems a legacy provider's refresh token there.
type RefreshTokenIssuer struct {
	// tokenTypeURI is sent as subject_token_type and selects this issuer.
	//
	// +required
	TokenTypeURI TokenTypeURI `json:"tokenTypeURI"`

	// tokenEndpoint is the provider's token endpoint.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	TokenEndpoint URL `json:"tokenEndpoint"`

	// clientAuth is how this installation authenticates there.
	//
	// +required
	ClientAuth ClientAuth `json:"clientAuth"`

	// certificateAuthority verifies the endpoint's TLS certificate, instead of
	// the system's authorities.
	//
	// +optional
	CertificateAuthority PEM `json:"certificateAuthority,omitempty"`
}

// WebhookIssuer asks a webhook of the platform's what a token is. An answer
// without aud is refused, and it cannot set iss, act, may_act or cnf.
type WebhookIssuer struct {
	// tokenTypeURI is sent as subject_token_type and selects this issuer.
	//
	// +required
	TokenTypeURI TokenTypeURI `json:"tokenTypeURI"`

	Webhook `json:",inline"`
}
