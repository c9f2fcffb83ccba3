#!/usr/bin/env bash
# Runs a command in the namespaces of the running cluster, with its programs in
# front of PATH, to look at it or to break it: a shell, ip, nft, or
#
#   hack/cluster/inside.sh ctr -a /run/containerd/containerd.sock -n k8s.io tasks list
#
# usage: hack/cluster/inside.sh COMMAND...
. "$(dirname "$(readlink -f "$0")")/lib.sh"
[ $# -gt 0 ] || die "which command?"
use_programs
inside "$@"
