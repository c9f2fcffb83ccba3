#!/usr/bin/env bash
# Copyright The Exchequer Authors.
# SPDX-License-Identifier: Apache-2.0

# Prints where kube-apiserver and etcd for tests are, and builds them when they are
# not there yet (once, about 4 min).
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
	echo "$KUBEBUILDER_ASSETS"
	exit
fi
hack/cluster/build.sh test >/dev/null
exec hack/cluster/build.sh --where test
