// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ClaimValidationRule is a rule over the claims of a token: either an
// expression with its message, or a claim with its required value.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.claim) && self.claim != "") != (has(self.expression) && self.expression != "")`,message=`exactly one of claim and expression must be set`
// +kubebuilder:validation:XValidation:rule=`(has(self.requiredValue) && self.requiredValue != "") == (has(self.claim) && self.claim != "")`,message=`requiredValue belongs to claim: set both or neither`
type ClaimValidationRule struct {
	// expression is a CEL expression over claims that must give true.
	//
	// +optional
	Expression Expression `json:"expression,omitempty"`

	// message is what the audit record and explain say when the rule does not hold.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// claim is the name of a claim that must be there as a string.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// requiredValue is the value that the claim must have.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	RequiredValue string `json:"requiredValue,omitempty"`
}

// ClaimMappings say what the claims of a token mean.
type ClaimMappings struct {
	// subject is who the token is about.
	//
	// +optional
	// +kubebuilder:default={claim: sub}
	Subject ClaimOrExpression `json:"subject,omitempty"`

	// username is what people call the subject. A token without the claim has none.
	//
	// +optional
	// +kubebuilder:default={claim: preferred_username}
	Username *ClaimOrExpression `json:"username,omitempty"`

	// groups are the subject's groups: a string or a list of strings. Of a
	// token without the claim they are not known, and a rule that reads them
	// refuses.
	//
	// +optional
	// +kubebuilder:default={claim: groups}
	Groups *ClaimOrExpression `json:"groups,omitempty"`

	// scopes are the scopes that the token carries. A token without the claim
	// carries none.
	//
	// +optional
	// +kubebuilder:default={claim: scope}
	Scopes *ScopeMapping `json:"scopes,omitempty"`

	// extra are further values that policies may ask about.
	//
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MaxItems=32
	Extra []ExtraMapping `json:"extra,omitempty"`

	// authentication says how and when the subject logged in. What is not
	// mapped is not carried on.
	//
	// +optional
	Authentication *AuthenticationMapping `json:"authentication,omitempty"`
}

// ScopeMapping says which scopes a token carries. It has no more than one of
// claim and expression; with neither, the claim is scope.
//
// +kubebuilder:validation:XValidation:rule=`!(has(self.claim) && self.claim != "" && has(self.expression) && self.expression != "")`,message=`at most one of claim and expression can be set`
type ScopeMapping struct {
	// claim is the name of the claim whose value is taken: a string with
	// spaces between the scopes, or a list. Absent, without expression, it is
	// scope.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// expression is a CEL expression over claims that gives the scopes.
	//
	// +optional
	Expression Expression `json:"expression,omitempty"`

	// prefix is stripped from every scope; a scope without it is dropped.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Prefix string `json:"prefix,omitempty"`

	// map translates scopes, after the prefix was stripped. A scope that is
	// not in it stays as it is.
	//
	// +optional
	// +listType=map
	// +listMapKey=from
	// +kubebuilder:validation:MaxItems=64
	Map []ScopeTranslation `json:"map,omitempty"`
}

// ScopeTranslation is a foreign scope and what it is called here.
type ScopeTranslation struct {
	// from is the scope in the token.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[!#-\\[\\]-~]+$')`,message=`must be printable ASCII without spaces, quotes or backslashes`
	From string `json:"from"`

	// to is what it is called here.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[!#-\\[\\]-~]+$')`,message=`must be printable ASCII without spaces, quotes or backslashes`
	To string `json:"to"`
}

// ExtraMapping is a further value that policies may ask about: a string or a
// list of strings. A missing claim is an absent value; an expression that errs
// refuses the token.
type ExtraMapping struct {
	// key is the name under which expressions find it in extra.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key"`

	ClaimOrExpression `json:",inline"`
}

// AuthenticationMapping says how and when the subject logged in.
type AuthenticationMapping struct {
	// acr is the authentication context class.
	//
	// +optional
	ACR *ClaimOrExpression `json:"acr,omitempty"`

	// amr are the authentication methods.
	//
	// +optional
	AMR *ClaimOrExpression `json:"amr,omitempty"`

	// authTime is when the subject logged in, in seconds since 1970.
	//
	// +optional
	AuthTime *ClaimOrExpression `json:"authTime,omitempty"`
}

// Directory is a webhook that knows more about subjects than their tokens say.
// It is given issuer, subject and claims, and answers with subject, groups and
// extra, each optional.
type Directory struct {
	// url is where the review is sent, by HTTPS POST. Empty: there is no directory.
	//
	// +optional
	URL URL `json:"url,omitempty"`

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
