// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TokenService is an issuer that this installation is: its URL, its keys, and
// the bounds that no policy can exceed.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=xts,categories=exchequer
// +kubebuilder:metadata:annotations="exchequer.dev/schema=1"
// +kubebuilder:printcolumn:name="Issuer",type=string,JSONPath=`.spec.issuer`
// +kubebuilder:printcolumn:name="Algorithm",type=string,JSONPath=`.spec.signing.algorithm`,priority=1
// +kubebuilder:printcolumn:name="All Namespaces",type=boolean,JSONPath=`.spec.allowedNamespaces.all`
// +kubebuilder:printcolumn:name="Serving",type=integer,JSONPath=`.status.replicas.serving`
// +kubebuilder:printcolumn:name="Current",type=integer,JSONPath=`.status.replicas.current`
// +kubebuilder:printcolumn:name="Revision",type=integer,JSONPath=`.status.replicas.revision`,priority=1
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule=`size(self.metadata.name) <= 189`,message=`the name must have at most 189 characters, so that <namespace>/<name> fits the 253 of a client ID`
type TokenService struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the token service shall be.
	//
	// +required
	Spec TokenServiceSpec `json:"spec"`

	// status is what was made of it.
	//
	// +optional
	Status TokenServiceStatus `json:"status,omitempty"`
}

// TokenServiceSpec is what a token service shall be.
//
// +kubebuilder:validation:XValidation:rule=`self.issuer == oldSelf.issuer`,message=`issuer cannot be changed: tokens carry it, and verifiers compare it exactly; create another TokenService`
type TokenServiceSpec struct {
	// suspend, when true, makes the object count as absent, at once.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// issuer is the exact iss of the tokens, and the base of the endpoints. It
	// is an https URL, or an http one on a loopback host, which is served by
	// the serve command only. It cannot be changed.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule=`!self.endsWith('/')`,message=`must not end with a slash: the endpoints are the issuer, a slash and a name`
	Issuer URL `json:"issuer"`

	// hosts are further names by which clients reach this token service, for
	// instance that of its Kubernetes Service, each with its port where that
	// is not 443.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=261
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$`
	Hosts []string `json:"hosts,omitempty"`

	// signing is how tokens are signed.
	//
	// +optional
	// +kubebuilder:default={source: Managed}
	Signing Signing `json:"signing,omitempty"`

	// lifetimes bound how long tokens live.
	//
	// +optional
	// +kubebuilder:default={}
	Lifetimes Lifetimes `json:"lifetimes,omitempty"`

	// limits are caps that policies may only narrow.
	//
	// +optional
	// +kubebuilder:default={}
	Limits Limits `json:"limits,omitempty"`

	// clientAssertionAudiences are what a client's assertion may name as aud,
	// besides the issuer. They must not be subject audiences of a TrustedIssuer
	// that authenticates clients.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule=`self.matches('^[!-)+-~]+$')`,message=`must not contain spaces, control characters or *: audiences are compared exactly`
	ClientAssertionAudiences []string `json:"clientAssertionAudiences,omitempty"`

	// clientCertificateAuthorities are the authorities of the certificates with
	// which clients authenticate.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	ClientCertificateAuthorities []PEM `json:"clientCertificateAuthorities,omitempty"`

	// allowedNamespaces are the namespaces whose objects may belong to this
	// token service. Absent, it is the operator's namespace only.
	//
	// +optional
	AllowedNamespaces *NamespaceSet `json:"allowedNamespaces,omitempty"`

	// names delegate names to namespaces. A namespace needs no delegation for
	// what starts with its own name and a slash.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Names []NameDelegation `json:"names,omitempty"`

	// revokeIssuedBefore revokes every token that this token service issued
	// before this time.
	//
	// +optional
	RevokeIssuedBefore Time `json:"revokeIssuedBefore,omitempty"`
}

// Lifetimes bound how long tokens live, by type.
type Lifetimes struct {
	// accessToken bounds access tokens.
	//
	// +optional
	// +kubebuilder:default={default: "5m", max: "1h"}
	AccessToken TokenLifetime `json:"accessToken,omitempty"`

	// idToken bounds ID tokens.
	//
	// +optional
	// +kubebuilder:default={default: "5m", max: "1h"}
	IDToken TokenLifetime `json:"idToken,omitempty"`

	// saml2 bounds SAML assertions.
	//
	// +optional
	// +kubebuilder:default={default: "5m", max: "1h"}
	SAML2 TokenLifetime `json:"saml2,omitempty"`

	// refreshToken bounds refresh tokens.
	//
	// +optional
	// +kubebuilder:default={idle: "24h", max: "720h", offlineMax: "2160h"}
	RefreshToken RefreshLifetime `json:"refreshToken,omitempty"`
}

// TokenLifetime bounds how long tokens of one type live.
type TokenLifetime struct {
	// default is how long they live when neither policy nor target says so. One
	// longer than max is cut there.
	//
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('24h')`,message=`must be between 60s and 24h`
	Default Duration `json:"default,omitempty"`

	// max is the longest that a policy or target may say.
	//
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('24h')`,message=`must be between 60s and 24h`
	Max Duration `json:"max,omitempty"`
}

// RefreshLifetime bounds how long refresh tokens live.
type RefreshLifetime struct {
	// idle is how long an unused refresh token lives, never longer than max.
	//
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('8760h')`,message=`must be between 60s and 8760h, which is a year`
	Idle Duration `json:"idle,omitempty"`

	// max is how long a family of refresh tokens lives.
	//
	// +optional
	// +kubebuilder:default="720h"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('8760h')`,message=`must be between 60s and 8760h, which is a year`
	Max Duration `json:"max,omitempty"`

	// offlineMax is how long a family of offline refresh tokens lives.
	//
	// +optional
	// +kubebuilder:default="2160h"
	// +kubebuilder:validation:XValidation:rule=`duration(self) >= duration('60s') && duration(self) <= duration('8760h')`,message=`must be between 60s and 8760h, which is a year`
	OfflineMax Duration `json:"offlineMax,omitempty"`
}

// Limits are caps that policies may only narrow.
type Limits struct {
	// delegationDepth is the most actors that a token may name.
	//
	// +optional
	// +kubebuilder:default=4
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=8
	DelegationDepth *int32 `json:"delegationDepth,omitempty"`

	// tokenBytes is the most bytes of a token that is minted.
	//
	// +optional
	// +kubebuilder:default=8192
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=65536
	TokenBytes int32 `json:"tokenBytes,omitempty"`

	// requestsPerSecond limits how fast each replica answers.
	//
	// +optional
	// +kubebuilder:default={}
	RequestsPerSecond RequestRate `json:"requestsPerSecond,omitempty"`
}

// RequestRate is how many requests each replica answers in a second. Failed
// authentication is limited whatever it says.
type RequestRate struct {
	// perClient is the rate for one client; 0 is no limit.
	//
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	PerClient int32 `json:"perClient,omitempty"`

	// burst is how many requests a client may make at once; 0 is as many as
	// perClient.
	//
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Burst int32 `json:"burst,omitempty"`
}

// NameDelegation gives names to namespaces. A trailing * makes a prefix, which
// must end in / : or . before it.
type NameDelegation struct {
	// namespaces are the namespaces that may use the names.
	//
	// +required
	Namespaces NamespaceSet `json:"namespaces"`

	// audiences are audiences, and SAML entity IDs.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Audiences []NamePattern `json:"audiences,omitempty"`

	// resources are resource URIs (RFC 8707).
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Resources []NamePattern `json:"resources,omitempty"`

	// scopes are scopes that can be asked for without an audience.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	Scopes []NamePattern `json:"scopes,omitempty"`

	// identities are the names in credentials: SPIFFE IDs, and the names of
	// certificates as dns:, uri: and dn:. Thumbprints need no delegation.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule=`self.startsWith('spiffe://') || self.startsWith('dns:') || self.startsWith('uri:') || self.startsWith('dn:')`,message=`must begin with spiffe://, dns:, uri: or dn:`
	Identities []NamePattern `json:"identities,omitempty"`
}

// NamePattern is a name, or a prefix of names when it ends in *.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule=`self.matches('^[!-)+-~]*([!-)+-~]|[/:.][*])$')`,message=`must be a name without spaces, or a prefix: * is possible at the end only, after / or : or .`
type NamePattern string

// TokenServiceStatus is what was made of a TokenService.
type TokenServiceStatus struct {
	ObjectStatus `json:",inline"`

	// keys are the signing keys that verifiers may meet.
	//
	// +optional
	// +listType=map
	// +listMapKey=kid
	// +kubebuilder:validation:MaxItems=64
	Keys []SigningKeyStatus `json:"keys,omitempty"`

	// replicas counts the replicas of the exchanger.
	//
	// +optional
	Replicas *ReplicaStatus `json:"replicas,omitempty"`

	// samlCertificate is the certificate with which SAML assertions are signed.
	//
	// +optional
	SAMLCertificate PEM `json:"samlCertificate,omitempty"`
}

// ReplicaStatus counts the replicas of the exchanger.
type ReplicaStatus struct {
	// serving is how many replicas serve.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Serving int32 `json:"serving"`

	// current is how many of them serve the newest revision.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Current int32 `json:"current"`

	// revision is the newest revision.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Revision int64 `json:"revision"`
}

// TokenServiceList is a list of TokenServices.
//
// +kubebuilder:object:root=true
type TokenServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// Items are the TokenServices.
	Items []TokenService `json:"items"`
}
