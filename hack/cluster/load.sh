#!/usr/bin/env bash
# Brings images into the running cluster.
#
# usage: hack/cluster/load.sh IMAGE.tar...     (make cluster-load)
. "$(dirname "$(readlink -f "$0")")/lib.sh"
[ $# -gt 0 ] || die "which image? usage: load.sh IMAGE.tar..."
use_programs
for tar; do
	tar=$(readlink -f "$tar")
	inside ctr -a /run/containerd/containerd.sock -n k8s.io images import --snapshotter overlayfs --local "$tar" 2>&1 |
		grep -v DEPRECAT >&2
done
