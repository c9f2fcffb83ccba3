// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExchangePolicy says who may exchange what for a token to the targets of its
// namespace. It only ever allows; what no policy allows is refused, and halves
// of two policies never combine.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=xp,categories=exchequer,path=exchangepolicies
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Scope Mode",type=string,JSONPath=`.spec.target.scopeMode`
// +kubebuilder:printcolumn:name="All Clients",type=boolean,JSONPath=`.spec.clients[*].all`
// +kubebuilder:printcolumn:name="Impersonation",type=string,JSONPath=`.spec.impersonation`
// +kubebuilder:printcolumn:name="Refresh",type=string,JSONPath=`.spec.token.refresh`
// +kubebuilder:printcolumn:name="Examples",type=string,JSONPath=`.status.conditions[?(@.type=="ExamplesPassed")].status`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
type ExchangePolicy struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the policy allows.
	//
	// +required
	Spec ExchangePolicySpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status ExchangePolicyStatus `json:"status,omitempty"`
}

// PolicyMode is whether a policy is in force.
//
// +kubebuilder:validation:Enum=Enforce;Audit
type PolicyMode string

// Whether a policy is in force.
const (
	// PolicyModeEnforce grants.
	PolicyModeEnforce PolicyMode = "Enforce"
	// PolicyModeAudit decides and records, and grants nothing.
	PolicyModeAudit PolicyMode = "Audit"
)

// ImpersonationMode is whether tokens made by impersonation may reach a target.
//
// +kubebuilder:validation:Enum=Forbidden;Allowed
type ImpersonationMode string

// Whether tokens made by impersonation may reach a target.
const (
	// ImpersonationForbidden refuses them.
	ImpersonationForbidden ImpersonationMode = "Forbidden"
	// ImpersonationAllowed admits them, under an ImpersonationGrant.
	ImpersonationAllowed ImpersonationMode = "Allowed"
)

// ExchangePolicySpec is what a policy allows.
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
// +kubebuilder:validation:XValidation:rule=`self.token.binding == 'Require' || ((self.subject.audience.match == 'Client' && self.actor.audience.match == 'Client') || self.clients.all(c, has(c.name) && c.name != ""))`,message=`audience match Issuer and AnyOf need clients by name, or token.binding: Require`
type ExchangePolicySpec struct {
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

	// mode is Enforce, or Audit, which decides and records and grants nothing.
	//
	// +optional
	// +kubebuilder:default=Enforce
	Mode PolicyMode `json:"mode,omitempty"`

	// clients are who may ask.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []PolicyClient `json:"clients"`

	// subject is whose tokens may be exchanged.
	//
	// +required
	Subject PolicySubject `json:"subject"`

	// actor is who may act for the subject.
	//
	// +optional
	// +kubebuilder:default={use: Forbidden}
	Actor PolicyActor `json:"actor,omitempty"`

	// impersonation says whether tokens made under an ImpersonationGrant may
	// reach the targets.
	//
	// +optional
	// +kubebuilder:default=Forbidden
	Impersonation ImpersonationMode `json:"impersonation,omitempty"`

	// target is what may be asked for.
	//
	// +required
	Target PolicyTarget `json:"target"`

	// token is what the token may be.
	//
	// +optional
	// +kubebuilder:default={}
	Token PolicyToken `json:"token,omitempty"`

	// rules must hold, over request, client, subject, actor and target.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []Rule `json:"rules,omitempty"`

	// examples are tests that travel with the policy and gate it: a policy
	// with an example that gives something else than it expects is not in
	// force. They are never published.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Examples []Example `json:"examples,omitempty"`
}

// ExchangePolicyStatus is what was made of an ExchangePolicy.
type ExchangePolicyStatus struct {
	ObjectStatus `json:",inline"`
}

// ExchangePolicyList is a list of ExchangePolicies.
//
// +kubebuilder:object:root=true
type ExchangePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ExchangePolicies.
	Items []ExchangePolicy `json:"items"`
}
