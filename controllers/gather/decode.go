// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
	"github.com/exchequer-dev/exchequer/exchanger/translate"
)

// decoded is what one stored object gives: itself, or why not.
type decoded struct {
	// object is a pointer to one of the API types; nil when it is broken.
	object any
	broken translate.Undecodable
	refs   []ref
}

// decode reads one object. Only what identifies it, its labels and its spec are
// read: nothing that a status or an annotation says can count, and nothing in them
// can make the object undecodable. A panic in a decoder is that object's.
func decode(kind string, u *unstructured.Unstructured) (d decoded) {
	broken := translate.Undecodable{Kind: kind, Namespace: u.GetNamespace(), Name: u.GetName(), Generation: u.GetGeneration(), IdentityPrefix: identityPrefix(kind, u)}
	defer func() {
		if recover() != nil {
			broken.Message = "it cannot be read; please report it, with the object, as a bug"
			d = decoded{broken: broken}
		}
	}()
	if message, is := tooLarge(u); is {
		broken.Reason, broken.Message = v1alpha1.ReasonQuotaExceeded, message
		return decoded{broken: broken}
	}
	object, spec := typed(kind, u)
	text, err := json.Marshal(u.Object["spec"])
	if err != nil {
		broken.Message = "its spec cannot be written as JSON"
		return decoded{broken: broken}
	}
	unknown, err := kjson.UnmarshalStrict(text, spec)
	switch {
	case err != nil:
		broken.Message = "spec: " + plain(err)
		return decoded{broken: broken}
	case len(unknown) > 0:
		// The schema knows the field, or it would have been pruned, and this build
		// does not. It may narrow, so that it must not be passed over.
		broken.Reason = v1alpha1.ReasonNotSupported
		broken.Message = fmt.Sprintf("spec: %s: the CRD knows it and this controller does not: upgrade the controller, or take the field out", plain(unknown[0]))
		return decoded{broken: broken}
	}
	return decoded{object: object, refs: refsOf(spec)}
}

// plain takes away what a person who writes YAML has no use for.
func plain(err error) string {
	s := strings.TrimPrefix(err.Error(), "json: ")
	const most = 256 // A stored value can be a megabyte, and a decoder may quote it.
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " …"
	}
	return s
}

// typed returns an object of the kind with its metadata, and its spec to decode into.
func typed(kind string, u *unstructured.Unstructured) (object, spec any) {
	meta := metav1.ObjectMeta{
		Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
		Labels: u.GetLabels(), DeletionTimestamp: u.GetDeletionTimestamp(),
	}
	switch kind {
	case TokenService:
		o := &v1alpha1.TokenService{ObjectMeta: meta}
		return o, &o.Spec
	case TrustedIssuer:
		o := &v1alpha1.TrustedIssuer{ObjectMeta: meta}
		return o, &o.Spec
	case ExchangeClient:
		o := &v1alpha1.ExchangeClient{ObjectMeta: meta}
		return o, &o.Spec
	case ClientScope:
		o := &v1alpha1.ClientScope{ObjectMeta: meta}
		return o, &o.Spec
	case ExchangePolicy:
		o := &v1alpha1.ExchangePolicy{ObjectMeta: meta}
		return o, &o.Spec
	case ImpersonationGrant:
		o := &v1alpha1.ImpersonationGrant{ObjectMeta: meta}
		return o, &o.Spec
	case ExternalTarget:
		o := &v1alpha1.ExternalTarget{ObjectMeta: meta}
		return o, &o.Spec
	default:
		o := &v1alpha1.TokenRevocation{ObjectMeta: meta}
		return o, &o.Spec
	}
}

// identityPrefix reads the one field of a broken TrustedIssuer that others hang
// on. An absent one has the schema's default; of another type, nobody knows it.
func identityPrefix(kind string, u *unstructured.Unstructured) string {
	if kind != TrustedIssuer {
		return ""
	}
	spec, ok := u.Object["spec"].(map[string]any)
	if !ok {
		return ""
	}
	v, present := spec["identityPrefix"]
	if !present {
		return u.GetName() + ":"
	}
	s, _ := v.(string)
	return s
}

// room makes room for n objects of a kind, so that thousands are not copied again
// and again while their list grows.
func room(to *translate.Objects, kind string, n int) {
	switch kind {
	case ExchangeClient:
		to.ExchangeClients = slices.Grow(to.ExchangeClients, n)
	case ClientScope:
		to.ClientScopes = slices.Grow(to.ClientScopes, n)
	case ExchangePolicy:
		to.ExchangePolicies = slices.Grow(to.ExchangePolicies, n)
	}
}

// add puts a decoded object where translation looks for it.
func (d *decoded) add(to *translate.Objects) {
	switch o := d.object.(type) {
	case *v1alpha1.TokenService:
		to.TokenServices = append(to.TokenServices, *o)
	case *v1alpha1.TrustedIssuer:
		to.TrustedIssuers = append(to.TrustedIssuers, *o)
	case *v1alpha1.ExchangeClient:
		to.ExchangeClients = append(to.ExchangeClients, *o)
	case *v1alpha1.ClientScope:
		to.ClientScopes = append(to.ClientScopes, *o)
	case *v1alpha1.ExchangePolicy:
		to.ExchangePolicies = append(to.ExchangePolicies, *o)
	case *v1alpha1.ImpersonationGrant:
		to.ImpersonationGrants = append(to.ImpersonationGrants, *o)
	case *v1alpha1.ExternalTarget:
		to.ExternalTargets = append(to.ExternalTargets, *o)
	case *v1alpha1.TokenRevocation:
		to.TokenRevocations = append(to.TokenRevocations, *o)
	default:
		to.Undecodable = append(to.Undecodable, d.broken)
	}
}
