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
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Client ID",type=string,JSONPath=`.status.clientID`
// +kubebuilder:printcolumn:name="Grants",type=string,JSONPath=`.spec.grants`,priority=1
// +kubebuilder:printcolumn:name="Format",type=string,JSONPath=`.spec.token.format`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
type ExchangeClient struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is who the client is.
	//
	// +optional
	// +kubebuilder:default={tokenServiceRef: {name: default}}
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
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
// +kubebuilder:validation:XValidation:rule=`(has(self.clientID) ? self.clientID : "") == (has(oldSelf.clientID) ? oldSelf.clientID : "")`,message=`clientID cannot be changed: create another ExchangeClient`
// +kubebuilder:validation:XValidation:rule=`!has(oldSelf.saml) || (has(self.saml) && self.saml.entityID == oldSelf.saml.entityID)`,message=`saml.entityID cannot be changed or taken away: create another ExchangeClient`
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
	// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches('^[A-Za-z0-9._/-]+$')`,message=`must consist of letters, digits, dots, underscores, hyphens and slashes, and begin with the namespace and a slash`
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
	// +kubebuilder:validation:XValidation:rule=`size(self) == 1 || !self.exists(a, has(a.public))`,message=`public stands alone: a client that can keep a secret is not public`
	// +kubebuilder:validation:XValidation:rule=`self.filter(a, has(a.clientSecret)).size() <= 2`,message=`at most two client secrets: the old one and the new one`
	Authentication []ClientAuthentication `json:"authentication,omitempty"`

	// audiences are further names of this client as a target. Each is owned by
	// the client's namespace. They never make an incoming token one for it.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
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
// +kubebuilder:validation:XValidation:rule=`self.matches('^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$')`,message=`must be an absolute URI without spaces`
// +kubebuilder:validation:XValidation:rule=`!self.contains('#')`,message=`must not have a fragment (RFC 8707, section 2)`
// +kubebuilder:validation:XValidation:rule=`!self.matches('^[^/]*//[^/]*@')`,message=`must not contain a user name or password`
// +kubebuilder:validation:XValidation:rule=`!self.contains('*')`,message=`must not contain *: resources are compared exactly`
type ResourceURI string

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
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('24h')`,message=`must be between 60s and 24h`
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
