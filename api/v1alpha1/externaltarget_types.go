// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExternalTarget is a target whose tokens another server mints. It is its own
// policy, and is asked for alone.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=xet,categories=exchequer
type ExternalTarget struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is who may get a token there, and how.
	//
	// +required
	Spec ExternalTargetSpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status ExternalTargetStatus `json:"status,omitempty"`
}

// ExternalTargetSpec is who may get a token at another server, and how:
// exactly one of tokenExchange, jwtBearer, idJAG, clientCredentials,
// linkedToken and webhook, which cannot be exchanged for another.
type ExternalTargetSpec struct {
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

	// audiences are the names by which clients ask for this target.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audiences []string `json:"audiences"`

	// clients are who may ask.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []ExternalTargetClient `json:"clients"`

	// subject is whose tokens may be exchanged.
	//
	// +required
	Subject PolicySubject `json:"subject"`

	// actor is who may act for the subject.
	//
	// +optional
	// +kubebuilder:default={}
	Actor PolicyActor `json:"actor,omitempty"`

	// rules must hold, over request, client, subject, actor and target.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []Rule `json:"rules,omitempty"`

	// scopes are the most that may be asked of the other server, in its own
	// names. Empty, none may be asked for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeName `json:"scopes,omitempty"`

	// token bounds what is minted here for the other server.
	//
	// +optional
	// +kubebuilder:default={}
	Token ExternalToken `json:"token,omitempty"`

	// tokenExchange asks another token service (RFC 8693).
	//
	// +optional
	TokenExchange *UpstreamTokenExchange `json:"tokenExchange,omitempty"`

	// jwtBearer presents an assertion (RFC 7523): identity chaining.
	//
	// +optional
	JWTBearer *UpstreamJWTBearer `json:"jwtBearer,omitempty"`

	// idJAG mints an identity assertion for the other domain's server, which
	// is not called.
	//
	// +optional
	IDJAG *UpstreamIDJAG `json:"idJAG,omitempty"`

	// clientCredentials federates a workload with a cloud: the assertion's
	// subject is the asking client.
	//
	// +optional
	ClientCredentials *UpstreamClientCredentials `json:"clientCredentials,omitempty"`

	// linkedToken hands out a token of the user's that was stored here.
	//
	// +optional
	LinkedToken *UpstreamLinkedToken `json:"linkedToken,omitempty"`

	// webhook asks a webhook of the platform's for the token.
	//
	// +optional
	Webhook *Webhook `json:"webhook,omitempty"`

	// forward, when true, sends the caller's own token upstream. Otherwise the
	// upstream gets a fresh assertion that was made for it.
	//
	// +optional
	// +kubebuilder:default=false
	Forward bool `json:"forward,omitempty"`

	// cache says whether tokens are kept until shortly before they expire.
	//
	// +optional
	// +kubebuilder:default={}
	Cache UpstreamCache `json:"cache,omitempty"`

	// network says which private addresses may be dialled for this target.
	//
	// +optional
	Network *Network `json:"network,omitempty"`
}

// ExternalTargetClient is who may ask: exactly one of name and namespaceSelector.
type ExternalTargetClient struct {
	// namespace is the namespace of the client that name names.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name is the name of an ExchangeClient.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	Name string `json:"name,omitempty"`

	// namespaceSelector selects the clients of namespaces.
	//
	// +optional
	NamespaceSelector *Selector `json:"namespaceSelector,omitempty"`
}

// ExternalToken bounds what is minted here for another server.
type ExternalToken struct {
	// lifetime is the longest that it lives. Absent, it is the default of the
	// TokenService, which is 5m unless that says otherwise.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`
}

// ExternalTargetStatus is what was made of an ExternalTarget.
type ExternalTargetStatus struct {
	ObjectStatus `json:",inline"`
}

// ExternalTargetList is a list of ExternalTargets.
//
// +kubebuilder:object:root=true
type ExternalTargetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ExternalTargets.
	Items []ExternalTarget `json:"items"`
}
