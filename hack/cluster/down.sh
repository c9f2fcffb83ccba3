#!/usr/bin/env bash
# Takes down what up.sh brought up: its processes by their ids, its cable with
# the routes over it, its cgroups and its state.
#
# usage: hack/cluster/down.sh [--keep] [--quiet]     (make cluster-down)
#
#   --keep   keep etcd, certificates and loaded images for the next up.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
keep= quiet=
for argument; do
	case $argument in
	--keep) keep=yes ;;
	--quiet) quiet=yes ;;
	*) die "unknown argument $argument" ;;
	esac
done
[ "$(uname -s)" = Linux ] || die "a cluster of up.sh runs on Linux only"
[ "$(id -u)" = 0 ] || die "needs root, as up.sh did (sudo make cluster-down)"

pid=$(node_pid)
if [ -n "$pid" ]; then
	unshare=$(cat "$state/unshare.pid" 2>/dev/null) || true
	kill -KILL "$pid" # process 1 of its namespace: all others end with it
	for _ in $(seq 100); do
		[ -d "/proc/$pid" ] || break
		sleep 0.05
	done
	[ -z "$unshare" ] || kill "$unshare" 2>/dev/null || true
fi
rm -f "$state/node.pid" "$state/unshare.pid"
ip link del "$link" 2>/dev/null || true

# A cgroup can go when the kernel has buried its last process.
for group in /sys/fs/cgroup/"$name" /sys/fs/cgroup/*/"$name"; do
	for _ in $(seq 50); do
		[ -d "$group" ] || break
		find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
		[ -d "$group" ] && sleep 0.1
	done
done
[ -n "$keep" ] || rm -rf "$state"
[ -n "$quiet" ] || echo "The cluster is down." >&2
