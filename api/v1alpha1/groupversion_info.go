// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// Group is the API group of every kind in this package.
	Group = "exchequer.dev"

	// Version is the version of the API that this package holds.
	Version = "v1alpha1"

	// SchemaAnnotation is the annotation under which every CRD says which
	// revision of the schema it carries. A controller that finds an older one
	// than SchemaRevision publishes nothing, because the API server prunes the
	// fields that the older schema does not know, and what was pruned may have
	// narrowed.
	SchemaAnnotation = "exchequer.dev/schema"

	// SchemaRevision is the revision of the schema that this package describes.
	SchemaRevision = 1

	// DefaultTokenService is the name of the TokenService that an object
	// without tokenServiceRef belongs to.
	DefaultTokenService = "default"

	// MaxNameLength is the longest name an object of this group may have, so
	// that <namespace>/<name> (63 + 1 + 189) fits the 253 characters of a
	// client ID.
	MaxNameLength = 189
)

var (
	// GroupVersion is the group and version that the types here are registered under.
	GroupVersion = schema.GroupVersion{Group: Group, Version: Version}

	// SchemeBuilder collects the functions that register the types here.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds of this package with a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&TokenService{}, &TokenServiceList{},
		&TrustedIssuer{}, &TrustedIssuerList{},
		&ExchangeClient{}, &ExchangeClientList{},
		&ClientScope{}, &ClientScopeList{},
		&ExchangePolicy{}, &ExchangePolicyList{},
		&ImpersonationGrant{}, &ImpersonationGrantList{},
		&ExternalTarget{}, &ExternalTargetList{},
		&TokenRevocation{}, &TokenRevocationList{},
		&ExchangerReplica{}, &ExchangerReplicaList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
