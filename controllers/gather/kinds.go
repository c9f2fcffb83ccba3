// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// The kinds that translation reads.
const (
	TokenService       = "TokenService"
	TrustedIssuer      = "TrustedIssuer"
	ExchangeClient     = "ExchangeClient"
	ClientScope        = "ClientScope"
	ExchangePolicy     = "ExchangePolicy"
	ImpersonationGrant = "ImpersonationGrant"
	ExternalTarget     = "ExternalTarget"
	TokenRevocation    = "TokenRevocation"
)

// ExchangerReplica is the kind that replicas acknowledge with.
const ExchangerReplica = "ExchangerReplica"

// Kinds are the kinds that translation reads and that have a status.
func Kinds() []string {
	return []string{TokenService, TrustedIssuer, ExchangeClient, ClientScope, ExchangePolicy, ImpersonationGrant, ExternalTarget, TokenRevocation}
}

// AllKinds are all kinds of the group.
func AllKinds() []string { return append(slices.Clone(Kinds()), ExchangerReplica) }

// GVK is the group, version and kind of one of our kinds.
func GVK(kind string) schema.GroupVersionKind { return v1alpha1.GroupVersion.WithKind(kind) }

// New is an empty object of one of our kinds.
func New(kind string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(GVK(kind))
	return u
}

func newList(kind string) *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(GVK(kind + "List"))
	return l
}
