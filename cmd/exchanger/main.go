// Copyright The Exchequer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command exchanger is the exchanger of a cluster, which this build does not have
// yet. It says so and ends, so that a Deployment that starts it fails at once
// instead of seeming to work.
package main

import (
	"fmt"
	"os"
)

// version is set by the linker in images and releases.
var version = "dev"

const exitUsage = 2

func main() {
	fmt.Fprintf(os.Stderr, "exchanger %s: this build has no operator yet, and nothing runs in a cluster.\n"+
		"The whole exchange runs without one:\n\n  exchequer serve --manifests DIR\n\n"+
		"'exchequer serve --help' tells more.\n", version)
	os.Exit(exitUsage)
}
