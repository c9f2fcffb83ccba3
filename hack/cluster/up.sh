#!/usr/bin/env bash
# Brings up a Kubernetes cluster of one node on this machine, without Docker:
# the real programs, built from pinned Go modules, in network, mount and PID
# namespaces of their own. Asked again, it says that the cluster is up.
#
# usage: hack/cluster/up.sh [--kubeconfig]     (make cluster)
#
#   --kubeconfig   print the path of its kubeconfig and do nothing else
#
# EXCHEQUER_CLUSTER=1 is a second one beside the first; all scripts of this
# folder read it.
#
# Needs root on Linux. With Docker, `kind create cluster` serves as well: every
# `make e2e` runs on the cluster of KUBECONFIG when that is set.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
started=$(date +%s%N)

case ${1:-} in
"") ;;
--kubeconfig)
	[ -f "$kubeconfig" ] || die "no cluster was brought up; run: make cluster"
	echo "$kubeconfig"
	exit 0
	;;
*) die "unknown argument $1" ;;
esac

# missing: what keeps this machine from running it, all at once.
missing() {
	if [ "$(uname -s)" != Linux ]; then
		echo "it needs Linux, this is $(uname -s)"
		return
	fi
	[ "$(id -u)" = 0 ] || echo "it needs root: network, mount and PID namespaces of its own (sudo make cluster)"
	local command package
	while read -r command package; do
		command -v "$command" >/dev/null || echo "it needs the command $command (Debian: apt-get install $package)"
	done <<-LIST
		unshare util-linux
		nsenter util-linux
		mount mount
		ip iproute2
		openssl openssl
	LIST
	grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || echo "it needs the kernel's overlay file system"
	[ -d /sys/fs/cgroup/memory ] || [ -f /sys/fs/cgroup/cgroup.controllers ] || echo "it needs cgroups in /sys/fs/cgroup"
	if [ "$(id -u)" = 0 ]; then
		unshare --net --mount --pid --fork true 2>/dev/null || echo "it may not make namespaces: run it on the machine, or in a privileged container"
	fi
}

# how to use it, for people who have neither kubectl nor helm.
how() {
	printf '\n  export KUBECONFIG=%s PATH=%s:$PATH\n\n' "$kubeconfig" "$programs" >&2
	echo "make cluster-load brings in the image of this checkout, make cluster-down takes the cluster down." >&2
}

problems=$(missing)
if [ -n "$problems" ]; then
	echo "A cluster cannot run here:" >&2
	while read -r line; do echo "  - $line"; done <<<"$problems" >&2
	echo "With Docker:  kind create cluster && make image-tar && kind load image-archive bin/image.tar, then go on with that KUBECONFIG." >&2
	exit 1
fi

if [ -n "$(node_pid)" ]; then
	use_programs
	echo "The cluster is up already." >&2
	how
	exit 0
fi
"$here/down.sh" --quiet # what a machine that lost power left behind

for cidr in "$service_cidr" "$pod_cidr" "$host_ip/24"; do
	if [ -n "$(ip route show to root "${cidr%.*}.0/${cidr#*/}" 2>/dev/null)" ]; then
		die "this machine already routes $cidr; choose other networks with EXCHEQUER_CLUSTER_{HOST_IP,NODE_IP,POD_CIDR,SERVICE_CIDR}"
	fi
done

"$here/build.sh" cluster >/dev/null
"$here/debian.sh"
use_programs
mkdir -p "$logs" "$state/stopped"
"$here/pki.sh"
"$here/configure.sh"
(
	cd "$here/../tools/image"
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -buildid=" -o "$state/pause" ./pause
	go run ./mkimage -o "$state/pause.tar" -t "$name.local/pause:1" -roots=false -entrypoint /pause -arch "$(go env GOARCH)" "$state/pause=/pause"
)

setsid unshare --net --mount --pid --fork --kill-child=SIGKILL --mount-proc --propagation private \
	"$here/node.sh" >"$logs/node.log" 2>&1 </dev/null &
echo $! >"$state/unshare.pid"
node=
for _ in $(seq 200); do
	node=$(cat "/proc/$(cat "$state/unshare.pid")/task/"*/children 2>/dev/null | tr -d ' ') || true
	[ -n "$node" ] && [ "$(readlink "/proc/$node/ns/net")" != "$(readlink /proc/self/ns/net)" ] && break
	sleep 0.05
done
[ -n "$node" ] || die "no namespaces came about; see $logs/node.log"
echo "$node" >"$state/node.pid"

ip link add "$link" type veth peer name node0 netns "$node"
ip addr add "$host_ip/24" dev "$link"
ip link set "$link" up
ip route add "$service_cidr" via "$node_ip"
ip route add "$pod_cidr" via "$node_ip"

ready() {
	[ "$(kubectl --kubeconfig "$kubeconfig" get node "$name" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ] &&
		kubectl --kubeconfig "$kubeconfig" get serviceaccount default >/dev/null 2>&1
}
for _ in $(seq 400); do
	ready && break
	[ -n "$(node_pid)" ] || die "the cluster ended while it started; see $logs/node.log"
	sleep 0.3
done
ready || die "no Ready node after two minutes; see $logs"
elapsed=$((($(date +%s%N) - started) / 1000000))
printf 'A node of Kubernetes %s is ready after %d.%d s.\n' \
	"$(kubectl --kubeconfig "$kubeconfig" get node "$name" -o jsonpath='{.status.nodeInfo.kubeletVersion}')" \
	$((elapsed / 1000)) $((elapsed % 1000 / 100)) >&2
how
