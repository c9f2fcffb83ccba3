// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storetest is the contract of package store as a test suite.
//
// Every backend's tests call Run; a backend that passes may be wired, one that
// does not may not. It is imported by tests only.
package storetest
