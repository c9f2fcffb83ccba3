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
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Audiences",type=string,JSONPath=`.spec.audiences`
// +kubebuilder:printcolumn:name="Forward",type=boolean,JSONPath=`.spec.forward`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
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
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
// +kubebuilder:validation:XValidation:rule=`[has(self.tokenExchange), has(self.jwtBearer), has(self.idJAG), has(self.clientCredentials), has(self.linkedToken), has(self.webhook)].filter(x, x).size() == 1`,message=`exactly one of tokenExchange, jwtBearer, idJAG, clientCredentials, linkedToken and webhook must be set`
// +kubebuilder:validation:XValidation:rule=`has(self.tokenExchange) == has(oldSelf.tokenExchange) && has(self.jwtBearer) == has(oldSelf.jwtBearer) && has(self.idJAG) == has(oldSelf.idJAG) && has(self.clientCredentials) == has(oldSelf.clientCredentials) && has(self.linkedToken) == has(oldSelf.linkedToken) && has(self.webhook) == has(oldSelf.webhook)`,message=`the kind of target cannot be changed: create another ExternalTarget`
// +kubebuilder:validation:XValidation:rule=`(self.subject.audience.match == 'Client' && self.actor.audience.match == 'Client') || self.clients.all(c, has(c.name) && c.name != "")`,message=`audience match Issuer and AnyOf need clients by name`
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
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
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
	// +kubebuilder:default={use: Forbidden}
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
//
// +kubebuilder:validation:XValidation:rule=`(has(self.name) && self.name != "") != has(self.namespaceSelector)`,message=`exactly one of name and namespaceSelector must be set`
// +kubebuilder:validation:XValidation:rule=`(has(self.name) && self.name != "") == (has(self.__namespace__) && self.__namespace__ != "")`,message=`a client by name needs its namespace, and namespace needs name`
type ExternalTargetClient struct {
	// namespace is the namespace of the client that name names.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
	Namespace string `json:"namespace,omitempty"`

	// name is the name of an ExchangeClient.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
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
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('24h')`,message=`must be between 60s and 24h`
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
