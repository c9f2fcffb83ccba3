// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gather reads everything that a translation depends on out of a cluster.
//
// It promises: each object is decoded alone, so that none can keep the others from
// being read; a stored status or annotation is never read; an object is decoded
// once, however often everything is gathered; Secrets and ConfigMaps are read only
// where an object refers to them, Secrets of a tenant's namespace only while a
// RoleBinding permits it, and a change of either is noticed; what could not be
// listed, or is not known to be current, is an error and never an empty list.
//
// It refuses: writing anything, and judging what it reads.
//
// The controllers import it.
package gather
