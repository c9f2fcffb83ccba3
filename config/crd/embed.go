// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

package crd

import "embed"

// Files are the CRDs, one file each, as `make manifests` writes them.
//
//go:embed exchequer.dev_*.yaml
var Files embed.FS
