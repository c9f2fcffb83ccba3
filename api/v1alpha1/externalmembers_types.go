// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// UpstreamTokenExchange asks another token service (RFC 8693).
type UpstreamTokenExchange struct {
	// tokenEndpoint is its token endpoint.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	TokenEndpoint URL `json:"tokenEndpoint"`

	// clientAuth is how this installation authenticates there.
	//
	// +optional
	ClientAuth *ClientAuth `json:"clientAuth,omitempty"`

	// audience is the audience that is asked for there.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience,omitempty"`

	// resource is the resource that is asked for there.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Resource string `json:"resource,omitempty"`

	// scope is asked for there when the client asks for none, separated by spaces.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Scope string `json:"scope,omitempty"`

	// caBundle verifies the endpoint's TLS certificate, instead of the
	// system's authorities.
	//
	// +optional
	CABundle PEM `json:"caBundle,omitempty"`
}

// UpstreamJWTBearer presents an assertion to another server (RFC 7523).
type UpstreamJWTBearer struct {
	// tokenEndpoint is its token endpoint.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	TokenEndpoint URL `json:"tokenEndpoint"`

	// clientAuth is how this installation authenticates there.
	//
	// +optional
	ClientAuth *ClientAuth `json:"clientAuth,omitempty"`

	// audience is the aud of the assertion. Absent, it is the token endpoint.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience,omitempty"`

	// scope is asked for there when the client asks for none, separated by spaces.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Scope string `json:"scope,omitempty"`

	// caBundle verifies the endpoint's TLS certificate, instead of the
	// system's authorities.
	//
	// +optional
	CABundle PEM `json:"caBundle,omitempty"`
}

// UpstreamIDJAG mints an identity assertion authorization grant for another
// domain's server, which is not called.
type UpstreamIDJAG struct {
	// audience is the issuer of the other domain's server.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience"`

	// clients are what our clients are called there.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Clients []UpstreamClient `json:"clients,omitempty"`

	// scopes are the most that the assertion may ask for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeName `json:"scopes,omitempty"`
}

// UpstreamClient is what a client of ours is called at another server.
type UpstreamClient struct {
	// client is the ExchangeClient.
	//
	// +required
	Client NamespacedReference `json:"client"`

	// clientID is its client ID at the other server.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID"`
}

// UpstreamClientCredentials federates a workload with a cloud.
type UpstreamClientCredentials struct {
	// tokenEndpoint is the cloud's token endpoint.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	TokenEndpoint URL `json:"tokenEndpoint"`

	// audience is the aud of the assertion. Absent, it is the token endpoint.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience,omitempty"`

	// clientID is what is sent as client_id, where the cloud wants another one
	// than the asking client's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ClientID string `json:"clientID,omitempty"`

	// scope is asked for there when the client asks for none, separated by spaces.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Scope string `json:"scope,omitempty"`

	// caBundle verifies the endpoint's TLS certificate, instead of the
	// system's authorities.
	//
	// +optional
	CABundle PEM `json:"caBundle,omitempty"`
}

// UpstreamLinkedToken hands out a token of the user's that was stored here. Where
// tokenEndpoint is given, it is renewed there with the refresh token that was
// stored beside it; else it is good until it ends.
type UpstreamLinkedToken struct {
	// provider names the links that users stored.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Provider string `json:"provider"`

	// tokenEndpoint is where the provider renews tokens (RFC 6749, section 6).
	//
	// +optional
	TokenEndpoint URL `json:"tokenEndpoint,omitempty"`

	// clientAuth is how this installation authenticates there: as the client to
	// which the provider issued the refresh tokens. It is needed where
	// tokenEndpoint is given, and only there.
	//
	// +optional
	ClientAuth *ClientAuth `json:"clientAuth,omitempty"`

	// caBundle verifies the endpoint's TLS certificate, instead of the
	// system's authorities.
	//
	// +optional
	CABundle PEM `json:"caBundle,omitempty"`
}

// UpstreamCache says whether upstream tokens are kept.
type UpstreamCache struct {
	// enabled says whether a token is kept until 30 seconds before it expires.
	//
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
}
