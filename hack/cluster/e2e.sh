#!/usr/bin/env bash
# Runs a command against a cluster: that of KUBECONFIG, else one of up.sh, which
# is taken down again unless it was there before. The image of this checkout is
# loaded where it can be.
#
# usage: hack/cluster/e2e.sh COMMAND...      (make e2e)
#
#   E2E_IMAGE   NAME:TAG that the cluster of KUBECONFIG has or can pull; for a
#               cluster of up.sh it is built and loaded
#   E2E_VERIFIED
#               the digest of that image's configuration, where its signature was
#               verified; for a cluster of up.sh it is signed and verified here
#   E2E_KEEP=1  leave the cluster up, to look at what went wrong
. "$(dirname "$(readlink -f "$0")")/lib.sh"
[ $# -gt 0 ] || die "which command?"

given=${KUBECONFIG:-}
if [ -z "$given" ] || [ "$(readlink -f "$given")" = "$(readlink -f "$kubeconfig")" ]; then
	there=$(node_pid)
	"$here/up.sh"
	[ -n "$there" ] || [ -n "${E2E_KEEP:-}" ] || trap '"$here/down.sh"' EXIT
	export KUBECONFIG=$kubeconfig
	# Tests may stop parts of this one.
	export E2E_CLUSTER=hack/cluster
	export E2E_IMAGE=${E2E_IMAGE:-exchequer.local/exchequer:dev}
	make --no-print-directory -C "$here/../.." image-tar IMAGE_TAR_TAG="$E2E_IMAGE"
	# What is loaded is what was signed, and the suite looks for just that in every Pod.
	E2E_VERIFIED=$("$here/admit.sh" "$E2E_IMAGE")
	export E2E_VERIFIED
	"$here/load.sh" "$here/../../bin/verified.tar"
elif [ -z "${E2E_IMAGE:-}" ]; then
	die "KUBECONFIG names a cluster of yours: set E2E_IMAGE to an image of this checkout that it has or can pull.
  make image-tar && kind load image-archive bin/image.tar && E2E_IMAGE=exchequer.local/exchequer:dev make e2e"
fi
started=$SECONDS
"$@"
echo "On the cluster: $((SECONDS - started)) s." >&2
