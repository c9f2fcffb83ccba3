// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the Go types of the API group exchequer.dev, version
// v1alpha1: what platform teams and API owners write to say who may exchange
// which token for which.
//
// The package promises that its JSON names are the contract, that every field
// is bounded by the schema generated from its markers, and that every value
// that the schema admits can be parsed by the methods of its type: durations
// and times are strings, so that no stored object can break a list.
//
// It refuses to know anything about meaning. What an object does is decided in
// exchanger/translate and exchanger/policy; here are shapes only.
//
// Everything may import it. It imports apimachinery and nothing else.
//
// +kubebuilder:object:generate=true
// +groupName=exchequer.dev
package v1alpha1
