# Settings and helpers of the scripts in this folder; sourced by each of them.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
cache=${EXCHEQUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exchequer}

# Several clusters can run beside each other: EXCHEQUER_CLUSTER is a number that
# tells them apart, 0 to 99.
number=${EXCHEQUER_CLUSTER:-0}
[[ $number =~ ^[0-9]{1,2}$ ]] || { echo "EXCHEQUER_CLUSTER: expected a number from 0 to 99, found \"$number\"" >&2; exit 2; }

state=$cache/node-$number  # all that the running cluster writes; gone after `down.sh`
pki=$state/pki
logs=$state/logs
debian=$cache/debian       # unpacked Debian packages, where the machine lacks them
kubeconfig=$state/kubeconfig

name=exchequer-$number     # of the node, of its cgroups
link=exchequer$number      # this machine's end of the cable
host_ip=${EXCHEQUER_CLUSTER_HOST_IP:-10.251.$number.1}
node_ip=${EXCHEQUER_CLUSTER_NODE_IP:-10.251.$number.2}
pod_cidr=${EXCHEQUER_CLUSTER_POD_CIDR:-10.245.$number.0/24}
service_cidr=${EXCHEQUER_CLUSTER_SERVICE_CIDR:-10.97.$number.0/24}
api_service_ip=${service_cidr%.*}.1

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# use_programs puts what was built, and what Debian's packages brought, in
# front of PATH.
use_programs() {
	programs=$("$here/build.sh" --where cluster) || die "the programs of the cluster are not built; run: make cluster"
	export PATH="$programs:$debian/usr/sbin:$debian/usr/bin:$PATH"
	export LD_LIBRARY_PATH="$debian/usr/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# node_pid is the process that the cluster lives in; empty when there is none.
node_pid() {
	local pid
	pid=$(cat "$state/node.pid" 2>/dev/null) || return 0
	[ -d "/proc/$pid" ] && grep -qs hack/cluster/node.sh "/proc/$pid/cmdline" && echo "$pid"
	return 0
}

# inside COMMAND...: in the cluster's namespaces.
inside() {
	local pid
	pid=$(node_pid)
	[ -n "$pid" ] || die "no cluster is running here; run: make cluster"
	nsenter --target "$pid" --mount --net --pid -- "$@"
}
