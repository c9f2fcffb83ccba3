#!/usr/bin/env bash
# Stops one component of the running cluster, as a fault would, and starts it
# again: etcd, kube-apiserver, containerd, kube-controller-manager,
# kube-scheduler, kubelet, kube-proxy, coredns.
#
# usage: hack/cluster/component.sh stop|kill|start NAME
#
#   stop   SIGTERM, and SIGKILL when it has not ended after 5 s
#   kill   SIGKILL
. "$(dirname "$(readlink -f "$0")")/lib.sh"
action=${1:-} component=${2:-}
[ -f "$logs/$component.log" ] || die "no component $component; expected one of: $(cd "$logs" 2>/dev/null && echo *.log)"

running() { inside test -e "/run/node/$component.pid"; }

case $action in
stop | kill)
	touch "$state/stopped/$component"
	signal=TERM
	[ "$action" = stop ] || signal=KILL
	# An API server with open watches would take a minute to end by itself.
	for _ in $(seq 50); do
		running || exit 0
		[ -z "$signal" ] || inside bash -c "kill -$signal \$(cat /run/node/$component.pid)"
		signal=
		sleep 0.1
	done
	inside bash -c "kill -KILL \$(cat /run/node/$component.pid)"
	while running; do sleep 0.1; done
	;;
start) rm -f "$state/stopped/$component" ;;
*) die "expected stop, kill or start, found \"$action\"" ;;
esac
