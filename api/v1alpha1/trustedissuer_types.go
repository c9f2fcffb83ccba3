// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TrustedIssuer says whose tokens are accepted, and what their claims mean.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=xti,categories=exchequer
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.jwt.issuer.url`
// +kubebuilder:printcolumn:name="Use",type=string,JSONPath=`.spec.use`
// +kubebuilder:printcolumn:name="All Namespaces",type=boolean,JSONPath=`.spec.allowedNamespaces.all`
// +kubebuilder:printcolumn:name="Verified",type=string,JSONPath=`.status.conditions[?(@.type=="Verified")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
// +kubebuilder:validation:XValidation:rule=`!(self.metadata.name in ['system', 'self', 'userinfo'])`,message=`the names system, self and userinfo are reserved: choose another name`
type TrustedIssuer struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata. The names system, self and
	// userinfo are reserved.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is whom to trust, and how.
	//
	// +required
	Spec TrustedIssuerSpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status TrustedIssuerStatus `json:"status,omitempty"`
}

// IssuerUse is what the tokens of an issuer are good for.
//
// +kubebuilder:validation:Enum=Subject;Actor;Client
type IssuerUse string

// What the tokens of an issuer are good for.
const (
	// IssuerUseSubject lets them be subject tokens.
	IssuerUseSubject IssuerUse = "Subject"
	// IssuerUseActor lets them be actor tokens.
	IssuerUseActor IssuerUse = "Actor"
	// IssuerUseClient lets them authenticate clients.
	IssuerUseClient IssuerUse = "Client"
)

// TrustedIssuerSpec is whom to trust, and how: exactly one of jwt, kubernetes,
// spiffe, saml, introspection, userInfo, refreshToken and webhook, which cannot
// be exchanged for another.
//
// +kubebuilder:validation:XValidation:rule=`self.tokenServiceRef.name == oldSelf.tokenServiceRef.name`,message=`tokenServiceRef cannot be changed: delete the object and create it for the other TokenService`
// +kubebuilder:validation:XValidation:rule=`[has(self.jwt), has(self.kubernetes), has(self.spiffe), has(self.saml), has(self.introspection), has(self.userInfo), has(self.refreshToken), has(self.webhook)].filter(x, x).size() == 1`,message=`exactly one of jwt, kubernetes, spiffe, saml, introspection, userInfo, refreshToken and webhook must be set`
// +kubebuilder:validation:XValidation:rule=`has(self.jwt) == has(oldSelf.jwt) && has(self.kubernetes) == has(oldSelf.kubernetes) && has(self.spiffe) == has(oldSelf.spiffe) && has(self.saml) == has(oldSelf.saml) && has(self.introspection) == has(oldSelf.introspection) && has(self.userInfo) == has(oldSelf.userInfo) && has(self.refreshToken) == has(oldSelf.refreshToken) && has(self.webhook) == has(oldSelf.webhook)`,message=`the kind of issuer cannot be changed: create another TrustedIssuer`
// +kubebuilder:validation:XValidation:rule=`!has(self.jwt) || !has(oldSelf.jwt) || self.jwt.issuer.url == oldSelf.jwt.issuer.url`,message=`jwt.issuer.url cannot be changed: create another TrustedIssuer`
// +kubebuilder:validation:XValidation:rule=`!has(self.saml) || !has(oldSelf.saml) || self.saml.entityID == oldSelf.saml.entityID`,message=`saml.entityID cannot be changed: create another TrustedIssuer`
type TrustedIssuerSpec struct {
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

	// use is what the issuer's tokens are good for.
	//
	// +optional
	// +listType=set
	// +kubebuilder:default={Subject,Actor}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Use []IssuerUse `json:"use,omitempty"`

	// allowedNamespaces are the namespaces whose policies may name this issuer.
	// Absent, they are those of the TokenService.
	//
	// +optional
	AllowedNamespaces *NamespaceSet `json:"allowedNamespaces,omitempty"`

	// jwt trusts an issuer of JSON Web Tokens.
	//
	// +optional
	JWT *JWTIssuer `json:"jwt,omitempty"`

	// kubernetes trusts the service-account tokens of a cluster.
	//
	// +optional
	Kubernetes *KubernetesIssuer `json:"kubernetes,omitempty"`

	// spiffe trusts the SVIDs of a trust domain.
	//
	// +optional
	SPIFFE *SPIFFEIssuer `json:"spiffe,omitempty"`

	// saml trusts the assertions of a SAML 2.0 identity provider.
	//
	// +optional
	SAML *SAMLIssuer `json:"saml,omitempty"`

	// introspection asks the issuer what an opaque token is (RFC 7662).
	//
	// +optional
	Introspection *IntrospectionIssuer `json:"introspection,omitempty"`

	// userInfo asks an OpenID provider's userinfo endpoint who the subject is.
	//
	// +optional
	UserInfo *UserInfoIssuer `json:"userInfo,omitempty"`

	// refreshToken redeems a legacy provider's refresh token there.
	//
	// +optional
	RefreshToken *RefreshTokenIssuer `json:"refreshToken,omitempty"`

	// webhook asks a webhook of the platform's what a token is.
	//
	// +optional
	Webhook *WebhookIssuer `json:"webhook,omitempty"`

	// network says which private addresses may be dialled for this issuer.
	//
	// +optional
	Network *Network `json:"network,omitempty"`

	// clients are this issuer's client IDs that stand for our clients.
	//
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=256
	Clients []IssuerClient `json:"clients,omitempty"`

	// identityPrefix is put before the subject and the groups. Absent, it is
	// the object's name and a colon. None may be a prefix of another; one
	// issuer at most may have the empty prefix.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[!-~]*$`
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('system:')`,message=`must not begin with system:, which is Kubernetes' own`
	IdentityPrefix *string `json:"identityPrefix,omitempty"`

	// maxTokenAge is how long after its iat a token is accepted, however long
	// it says that it lives.
	//
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('1s') && duration(self) <= duration('8784h')`,message=`must be between 1s and 8784h, which is a year`
	MaxTokenAge Duration `json:"maxTokenAge,omitempty"`

	// clockSkew is by how much the issuer's clock may differ from ours, at most 60s.
	//
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule=`duration(self) <= duration('60s')`,message=`must be at most 60s`
	ClockSkew Duration `json:"clockSkew,omitempty"`

	// claimValidationRules must hold for the claims of every token.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	ClaimValidationRules []ClaimValidationRule `json:"claimValidationRules,omitempty"`

	// claimMappings say what the claims mean.
	//
	// +optional
	// +kubebuilder:default={}
	ClaimMappings ClaimMappings `json:"claimMappings,omitempty"`

	// directory asks a webhook about the subject: account links, groups.
	//
	// +optional
	Directory *Directory `json:"directory,omitempty"`

	// userValidationRules must hold for every subject, after mapping.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	UserValidationRules []Rule `json:"userValidationRules,omitempty"`

	// revokeIssuedBefore refuses every token of this issuer that was issued
	// before this time.
	//
	// +optional
	RevokeIssuedBefore Time `json:"revokeIssuedBefore,omitempty"`
}

// IssuerClient ties a client ID of a foreign issuer to a client of ours.
type IssuerClient struct {
	// id is the client ID at the foreign issuer.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ID string `json:"id"`

	// client is the ExchangeClient that it stands for.
	//
	// +required
	Client NamespacedReference `json:"client"`
}

// TrustedIssuerStatus is what was made of a TrustedIssuer.
type TrustedIssuerStatus struct {
	ObjectStatus `json:",inline"`

	// keys are the keys with which tokens of this issuer are verified.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Keys []VerificationKeyStatus `json:"keys,omitempty"`
}

// VerificationKeyStatus is one key of a foreign issuer.
type VerificationKeyStatus struct {
	// kid is the ID of the key, where it has one.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	KeyID string `json:"kid,omitempty"`

	// algorithm is the algorithm of the key.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Algorithm string `json:"algorithm,omitempty"`
}

// TrustedIssuerList is a list of TrustedIssuers.
//
// +kubebuilder:object:root=true
type TrustedIssuerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the TrustedIssuers.
	Items []TrustedIssuer `json:"items"`
}
