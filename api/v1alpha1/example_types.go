// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Example is a test of a policy: what is given, and what is expected of it.
type Example struct {
	// name says what the example shows, in words.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`

	// given is a request, as far as it matters.
	//
	// +required
	Given ExampleRequest `json:"given"`

	// expect is what must come of it.
	//
	// +required
	Expect ExampleResult `json:"expect"`
}

// ExampleRequest is a request for an exchange. The rules and mappings of the
// issuers are run on the claims. A missing aud is the client's ID; a missing
// iat is time, a missing exp five minutes later.
type ExampleRequest struct {
	// client is the ID of the asking client.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._/-]+$`
	Client string `json:"client"`

	// issuer is the TrustedIssuer of the subject token, or self.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Issuer string `json:"issuer"`

	// origin is the TrustedIssuer of the first subject token in the chain,
	// when issuer is self. Absent, it is the only one among the origins that
	// the policy admits; with several, or none, it must be written.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$`
	Origin string `json:"origin,omitempty"`

	// claims are the claims of the subject token.
	//
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:pruning:PreserveUnknownFields
	Claims JSON `json:"claims,omitzero"`

	// tokenType is the class of the subject token, whatever its claims look
	// like. The tokens of a kubernetes issuer are JWT, also by default; our own
	// are access tokens, also when they are given as JWT.
	//
	// +optional
	// +kubebuilder:default=AccessToken
	TokenType TokenClass `json:"tokenType,omitempty"`

	// audience are the audiences that are asked for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audience []string `json:"audience,omitempty"`

	// resource are the resource URIs that are asked for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Resource []string `json:"resource,omitempty"`

	// scope are the scopes that are asked for, separated by spaces.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Scope string `json:"scope,omitempty"`

	// actor is the actor token. Its issuer must be there, else the example is
	// not judged.
	//
	// +optional
	Actor *ExampleActor `json:"actor,omitempty"`

	// requestedTokenType is the type of token that is asked for.
	//
	// +optional
	RequestedTokenType RequestedTokenType `json:"requestedTokenType,omitempty"`

	// requestedSubject is the subject to impersonate.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	RequestedSubject string `json:"requestedSubject,omitempty"`

	// reason is the reason that the request gives. It belongs to requests for
	// a subject to impersonate; any other is refused for it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Reason string `json:"reason,omitempty"`

	// proof is the key whose possession the request proves.
	//
	// +optional
	Proof *ExampleProof `json:"proof,omitempty"`

	// time is when the request is made. Absent, it is 2030-01-01T12:00:00Z.
	//
	// +optional
	// +kubebuilder:default="2030-01-01T12:00:00Z"
	Time Time `json:"time,omitempty"`
}

// RequestedTokenType is a type of token that a request can ask for, whether or
// not an exchange may give it.
//
// +kubebuilder:validation:Enum=AccessToken;JWT;IDToken;SAML2;TransactionToken;Handover;RefreshToken;IDJAG
type RequestedTokenType string

// RequestedTokenTypes are all types of tokens that a request can ask for.
func RequestedTokenTypes() []RequestedTokenType {
	return []RequestedTokenType{"AccessToken", "JWT", "IDToken", "SAML2", "TransactionToken", "Handover", "RefreshToken", "IDJAG"}
}

// ExampleActor is an actor token.
type ExampleActor struct {
	// issuer is the TrustedIssuer of the actor token, or self.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=189
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Issuer string `json:"issuer"`

	// claims are the claims of the actor token.
	//
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:pruning:PreserveUnknownFields
	Claims JSON `json:"claims,omitzero"`
}

// ExampleProof are the keys whose possession a request proves, by the names of
// the members of cnf.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule=`!has(self.received) || self.received == "" || (has(self.jkt) && self.jkt != "")`,message=`received stands beside jkt: a key that replaces another one`
type ExampleProof struct {
	// jkt is the thumbprint (RFC 7638) of the key of a DPoP proof.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	JKT string `json:"jkt,omitempty"`

	// x5t#S256 is the thumbprint of a client certificate (RFC 8705).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	X5TS256 string `json:"x5t#S256,omitempty"`

	// received is the thumbprint of the key of the proof that the client received
	// with the subject token (subject_token_proof), for a policy with binding: Rebind.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Received string `json:"received,omitempty"`
}

// ExampleResult is what must come of a request. What is absent is not compared.
//
// +kubebuilder:validation:XValidation:rule=`!self.allowed || !has(self.reason) || self.reason == ""`,message=`reason is why an exchange is refused: it needs allowed: false`
// +kubebuilder:validation:XValidation:rule=`self.allowed || (!has(self.scope) && !has(self.audience))`,message=`scope and audience are of the token: they need allowed: true`
type ExampleResult struct {
	// allowed is whether the exchange is allowed.
	//
	// +required
	Allowed bool `json:"allowed"`

	// reason is why it is refused.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([A-Z][A-Za-z]+)?$`
	Reason string `json:"reason,omitempty"`

	// scope are the scopes of the token, separated by spaces, in any order. An
	// empty string is a token without scope.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Scope *string `json:"scope,omitempty"`

	// audience are the audiences of the token, in any order.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audience []string `json:"audience,omitempty"`
}
