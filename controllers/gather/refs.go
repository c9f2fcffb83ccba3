// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/exchequer-dev/exchequer/api/v1alpha1"
)

// source is what a reference is to.
type source int

const (
	secrets source = iota
	configMaps
)

// ref is a reference of one object to a key of a Secret or of a ConfigMap.
type ref struct {
	source    source
	name, key string
}

// refsOf finds every reference to a Secret or a ConfigMap in a spec by its type,
// so that no field, and none of later versions, can be forgotten.
func refsOf(spec any) []ref {
	var out []ref
	walk(reflect.ValueOf(spec), "", &out)
	return out
}

func walk(v reflect.Value, field string, out *[]ref) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), field, out)
		}
	case reflect.Slice, reflect.Array:
		switch v.Type().Elem().Kind() {
		case reflect.Struct, reflect.Pointer, reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), field, out)
			}
		default:
		}
	case reflect.Struct:
		if r, ok := v.Interface().(v1alpha1.KeyReference); ok {
			from := secrets
			if strings.HasPrefix(field, "ConfigMap") {
				from = configMaps
			}
			*out = append(*out, ref{from, r.Name, r.Key})
			return
		}
		if m, ok := v.Interface().(v1alpha1.MutualTLSAuth); ok {
			// The certificate's key stands beside it, under the name that every Secret of
			// type kubernetes.io/tls has for it.
			*out = append(*out, ref{secrets, m.SecretRef.Name, corev1.TLSPrivateKeyKey})
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				walk(v.Field(i), f.Name, out)
			}
		}
	default:
	}
}
