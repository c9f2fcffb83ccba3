// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ImpersonationGrant says who may be, or act for, whom, and until when.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=xig,categories=exchequer
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Semantics",type=string,JSONPath=`.spec.semantics`
// +kubebuilder:printcolumn:name="From",type=string,JSONPath=`.spec.subjectFrom`
// +kubebuilder:printcolumn:name="Not After",type=string,JSONPath=`.spec.notAfter`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
type ImpersonationGrant struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is granted.
	//
	// +required
	Spec ImpersonationGrantSpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status ImpersonationGrantStatus `json:"status,omitempty"`
}

// ImpersonationSemantics is what the token says about the impersonator.
//
// +kubebuilder:validation:Enum=Impersonation;Delegation
type ImpersonationSemantics string

// What the token says about the impersonator.
const (
	// SemanticsImpersonation names the subject only; impersonator is for the audit.
	SemanticsImpersonation ImpersonationSemantics = "Impersonation"
	// SemanticsDelegation names the impersonator in act.
	SemanticsDelegation ImpersonationSemantics = "Delegation"
)

// SubjectSource is where the impersonated subject comes from.
//
// +kubebuilder:validation:Enum=SubjectToken;RequestedSubject
type SubjectSource string

// Where the impersonated subject comes from.
const (
	// SubjectFromSubjectToken takes it from a token of the subject's.
	SubjectFromSubjectToken SubjectSource = "SubjectToken"
	// SubjectFromRequestedSubject takes it from the request.
	SubjectFromRequestedSubject SubjectSource = "RequestedSubject"
)

// ImpersonationGrantSpec is what is granted.
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
// +kubebuilder:validation:XValidation:rule=`!has(self.notBefore) || self.notBefore == "" || timestamp(self.notBefore) < timestamp(self.notAfter)`,message=`notBefore must be before notAfter`
type ImpersonationGrantSpec struct {
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

	// impersonators are who may impersonate: a listed client, in the hands of
	// a listed person, for whom the expression holds.
	//
	// +required
	Impersonators Impersonators `json:"impersonators"`

	// subjects are who may be impersonated.
	//
	// +required
	Subjects ImpersonatedSubjects `json:"subjects"`

	// semantics is Impersonation, where the token says only the subject, or
	// Delegation, where act names the impersonator.
	//
	// +optional
	// +kubebuilder:default=Impersonation
	Semantics ImpersonationSemantics `json:"semantics,omitempty"`

	// subjectFrom is where the subject may come from.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	SubjectFrom []SubjectSource `json:"subjectFrom"`

	// requestedSubjects are what is known of subjects that come from the
	// request. Of others the TrustedIssuer's directory is asked.
	//
	// +optional
	// +listType=map
	// +listMapKey=subject
	// +kubebuilder:validation:MaxItems=256
	RequestedSubjects []RequestedSubject `json:"requestedSubjects,omitempty"`

	// targets are where the token may go. The policies of these targets must
	// allow impersonation, too.
	//
	// +required
	Targets ImpersonationTargets `json:"targets"`

	// notBefore is when the grant begins.
	//
	// +optional
	NotBefore Time `json:"notBefore,omitempty"`

	// notAfter is when the grant ends.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	NotAfter Time `json:"notAfter"`

	// maxTokenLifetime is the longest that a token lives that was made under
	// this grant.
	//
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('24h')`,message=`must be between 60s and 24h`
	MaxTokenLifetime Duration `json:"maxTokenLifetime,omitempty"`

	// reason says whether the request must give a reason.
	//
	// +optional
	// +kubebuilder:default={}
	Reason ImpersonationReason `json:"reason,omitempty"`
}

// Impersonators are who may impersonate: a client of clients AND a person of
// subjects or groups AND, if it is set, the expression.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.groups) && size(self.groups) > 0) || (has(self.subjects) && size(self.subjects) > 0)`,message=`at least one entry in groups or subjects is required: an empty list is nobody`
type Impersonators struct {
	// clients are the clients that may ask.
	//
	// +required
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []NamespacedReference `json:"clients"`

	// groups are groups of people, with the prefix of their issuer.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`

	// subjects are people, with the prefix of their issuer.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Subjects []string `json:"subjects,omitempty"`

	// expression is a CEL expression over request, client, subject (the
	// impersonated), actor (the impersonator) and target.
	//
	// +optional
	Expression Expression `json:"expression,omitempty"`
}

// ImpersonatedSubjects are who may be impersonated: a person of subjects or
// groups AND, if it is set, the expression, and of no group of excludeGroups.
// A subject whose groups are unknown is refused.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.groups) && size(self.groups) > 0) || (has(self.subjects) && size(self.subjects) > 0)`,message=`at least one entry in groups or subjects is required: an empty list is nobody`
type ImpersonatedSubjects struct {
	// groups are groups of people, with the prefix of their issuer.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`

	// subjects are people, with the prefix of their issuer.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Subjects []string `json:"subjects,omitempty"`

	// expression is a CEL expression over request, client, subject (the
	// impersonated), actor (the impersonator) and target.
	//
	// +optional
	Expression Expression `json:"expression,omitempty"`

	// excludeGroups are groups whose members are never impersonated under this grant.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	ExcludeGroups []string `json:"excludeGroups,omitempty"`
}

// RequestedSubject is what is known of a subject that has no token.
type RequestedSubject struct {
	// subject is who it is, with the prefix of the issuer.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Subject string `json:"subject"`

	// username is what people call the subject.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Username string `json:"username,omitempty"`

	// groups are the subject's groups, with the prefix of their issuer.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`

	// extra are further values that policies may ask about.
	//
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=32
	Extra []ExtraValue `json:"extra,omitempty"`
}

// ImpersonationTargets are where a token made by impersonation may go.
type ImpersonationTargets struct {
	// clients are the targets.
	//
	// +required
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Clients []NamespacedReference `json:"clients"`

	// scopes are the most that is granted. Empty, tokens have no scope.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []ScopeName `json:"scopes,omitempty"`
}

// ImpersonationReason says whether a request must give a reason.
type ImpersonationReason struct {
	// required says that the form parameter reason must be there. It is kept
	// in the audit record.
	//
	// +optional
	// +kubebuilder:default=true
	Required *bool `json:"required,omitempty"`
}

// ImpersonationGrantStatus is what was made of an ImpersonationGrant.
type ImpersonationGrantStatus struct {
	ObjectStatus `json:",inline"`
}

// ImpersonationGrantList is a list of ImpersonationGrants.
//
// +kubebuilder:object:root=true
type ImpersonationGrantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the ImpersonationGrants.
	Items []ImpersonationGrant `json:"items"`
}
