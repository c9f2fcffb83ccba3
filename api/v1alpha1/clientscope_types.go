// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ClientScope is a scope of the targets of a namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=xcs,categories=exchequer
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Scope",type=string,JSONPath=`.spec.scope`
// +kubebuilder:printcolumn:name="Parametric",type=string,JSONPath=`.spec.parameter.expression`,priority=1
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
// +kubebuilder:validation:XValidation:rule=`(has(self.spec.scope) && self.spec.scope != "" ? self.spec.scope : self.metadata.name) == (has(oldSelf.spec.scope) && oldSelf.spec.scope != "" ? oldSelf.spec.scope : oldSelf.metadata.name)`,message=`scope cannot be changed: make another ClientScope and move its users`
type ClientScope struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the scope is.
	//
	// +optional
	// +kubebuilder:default={tokenServiceRef: {name: default}}
	Spec ClientScopeSpec `json:"spec,omitempty"`

	// status is what was made of it.
	//
	// +optional
	Status ClientScopeStatus `json:"status,omitempty"`
}

// ClientScopeSpec is what a scope is.
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
type ClientScopeSpec struct {
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

	// scope is the scope as clients ask for it. Absent, it is the object's
	// name. It is local to the namespace and cannot be changed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches('^[!#-)+-\\[\\]-~]+$')`,message=`must be printable ASCII without spaces, quotes, backslashes or *`
	// +kubebuilder:validation:XValidation:rule=`self != 'offline_access'`,message=`offline_access is reserved: it asks for a refresh token`
	Scope string `json:"scope,omitempty"`

	// description says what the scope allows, for people.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// targets are the clients that the scope is of. Absent, it is of every
	// target of the namespace, and then never implies one.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Targets []LocalReference `json:"targets,omitempty"`

	// includeInTokenScope says whether the scope stands in the scope claim of
	// the token when it was granted.
	//
	// +optional
	// +kubebuilder:default=true
	IncludeInTokenScope *bool `json:"includeInTokenScope,omitempty"`

	// parameter makes the scope parametric: it is asked for as <scope>:<value>.
	// An empty expression means absent.
	//
	// +optional
	Parameter *ScopeParameter `json:"parameter,omitempty"`

	// claims are put into the token when the scope was granted.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Claims []TokenClaim `json:"claims,omitempty"`

	// rules must hold for the scope to be granted.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Rules []Rule `json:"rules,omitempty"`
}

// ScopeParameter makes a scope parametric.
type ScopeParameter struct {
	// expression is a CEL expression over parameter, subject and client that
	// must give true for the value that is asked for.
	//
	// +optional
	Expression Expression `json:"expression,omitempty"`
}

// ClientScopeStatus is what was made of a ClientScope.
type ClientScopeStatus struct {
	ObjectStatus `json:",inline"`
}

// ClientScopeList is a list of ClientScopes.
//
// +kubebuilder:object:root=true
type ClientScopeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ClientScopes.
	Items []ClientScope `json:"items"`
}
