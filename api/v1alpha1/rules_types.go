// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Expression is a CEL expression. It is compiled, type-checked and limited in
// cost when the object is accepted; one that errs at run time is never true.
//
// +kubebuilder:validation:MaxLength=4096
type Expression string

// Rule is a condition that must hold.
type Rule struct {
	// expression is a CEL expression that gives a boolean. The rule holds only
	// when it gives true; an error refuses.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Expression Expression `json:"expression"`

	// message is what the audit record and explain say when the rule does not hold.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// ClaimOrExpression says where a value comes from: exactly one of claim and expression.
//
// +kubebuilder:validation:XValidation:rule=`(has(self.claim) && self.claim != "") != (has(self.expression) && self.expression != "")`,message=`exactly one of claim and expression must be set`
type ClaimOrExpression struct {
	// claim is the name of the claim whose value is taken.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Claim string `json:"claim,omitempty"`

	// expression is a CEL expression over claims that gives the value.
	//
	// +optional
	Expression Expression `json:"expression,omitempty"`
}

// TokenClaim is a claim that is put into a token.
type TokenClaim struct {
	// name is the name of the claim. Claims that the protocol gives a meaning
	// to cannot be set this way.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`!(self in ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'client_id', 'azp', 'scope', 'scp', 'act', 'may_act', 'cnf', 'txn', 'impersonator', 'auth_time', 'acr', 'amr', 'sid', 'nonce', 'at_hash', 'c_hash', 'events', 'typ', 'token_use', 'email_verified', 'xqr'])`,message=`is a reserved claim: the protocol gives it its meaning, so no policy or scope can set it`
	Name string `json:"name"`

	// expression is a CEL expression that gives the value. An error refuses the
	// exchange; null leaves the claim out.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Expression Expression `json:"expression"`
}

// ExtraValue is a named list of strings that is known about a subject.
type ExtraValue struct {
	// key is the name under which expressions find it in extra.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key"`

	// values are its values.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=512
	Values []string `json:"values,omitempty"`
}
