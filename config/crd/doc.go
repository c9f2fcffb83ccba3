// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd carries the CustomResourceDefinitions of exchequer.dev into the
// programs, so that a directory of manifests is judged by the same schema,
// defaults and rules as a cluster would judge it.
//
// It promises that its files are the generated ones, and it refuses to hold
// anything else: what they say is written in api/v1alpha1.
//
// Anything may import it.
package crd
