#!/usr/bin/env bash
# Process 1 of the cluster's namespaces (up.sh starts it): runs every component,
# starts it again when it ends, and takes all of them along when it ends itself.
# `component.sh stop NAME` keeps one down.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
use_programs

mount --make-rshared /
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/containerd /run/node

# The kubelet sets a few sysctls of the whole machine: here it finds private
# files that already say what it wants.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	file=/run/sysctl/${setting%%=*}
	mkdir -p "$(dirname "$file")"
	echo "${setting#*=}" >"$file"
	mount --bind "$file" "/proc/sys/${setting%%=*}"
done

cgroup=/sys/fs/cgroup
if [ -f $cgroup/cgroup.controllers ]; then # v2
	mkdir -p "$cgroup/$name"
	for controller in cpuset cpu io memory hugetlb pids; do
		echo "+$controller" >$cgroup/cgroup.subtree_control || true
	done 2>/dev/null
else # v1: one folder in each hierarchy
	for controller in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
		mkdir -p "$cgroup/$controller/$name"
	done
	for file in cpuset.cpus cpuset.mems; do
		cat "$cgroup/cpuset/$file" >"$cgroup/cpuset/$name/$file"
	done
fi

ip link set lo up
until ip link show node0 >/dev/null 2>&1; do sleep 0.05; done
ip addr add "$node_ip/24" dev node0
ip link set node0 up
# Only so that a connection from the node itself to a Service has a route before
# its address is rewritten: the API server calls webhooks and aggregated APIs.
ip route add "$service_cidr" via "$host_ip"
echo 1 >/proc/sys/net/ipv4/ip_forward
# Nothing outside can be resolved or reached, and there is no default route: an
# image that was not loaded fails at once instead of after two minutes.
: >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf

# run NAME COMMAND...
run() {
	local component=$1
	shift
	(
		trap - TERM INT
		while :; do
			while [ -e "$state/stopped/$component" ]; do sleep 0.1; done
			"$@" >>"$logs/$component.log" 2>&1 &
			echo $! >"/run/node/$component.pid"
			wait $! && code=0 || code=$?
			rm -f "/run/node/$component.pid"
			echo "$component ended ($code)"
			sleep 0.3
		done
	) &
}

run etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
	--listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
run kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --advertise-address="$node_ip" --secure-port=6443 \
	--client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
	--service-cluster-ip-range="$service_cidr" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
	--kubelet-client-certificate="$pki/apiserver-kubelet.crt" --kubelet-client-key="$pki/apiserver-kubelet.key" \
	--kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
	--requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
	--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra-
run containerd containerd -c "$state/etc/containerd.toml"

until [ -S /run/containerd/containerd.sock ]; do sleep 0.05; done
until ctr -a /run/containerd/containerd.sock -n k8s.io images import --snapshotter overlayfs --local "$state/pause.tar" >>"$logs/import.log" 2>&1; do sleep 0.2; done
until kubectl --kubeconfig "$kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done

run kube-controller-manager kube-controller-manager --bind-address=127.0.0.1 --leader-elect=false \
	--kubeconfig="$pki/controller-manager.kubeconfig" --authentication-kubeconfig="$pki/controller-manager.kubeconfig" --authorization-kubeconfig="$pki/controller-manager.kubeconfig" \
	--service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --use-service-account-credentials --allocate-node-cidrs=false \
	--cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key"
run kube-scheduler kube-scheduler --bind-address=127.0.0.1 --leader-elect=false \
	--kubeconfig="$pki/scheduler.kubeconfig" --authentication-kubeconfig="$pki/scheduler.kubeconfig" --authorization-kubeconfig="$pki/scheduler.kubeconfig"
run kubelet kubelet --config="$state/etc/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" --root-dir="$state/kubelet" \
	--hostname-override="$name" --node-ip="$node_ip"
run kube-proxy kube-proxy --config="$state/etc/proxy.yaml"
run coredns coredns -conf "$state/etc/Corefile"

# Process 1 ends, and the kernel ends all others of the namespace with it.
trap 'exit 0' TERM INT
while :; do
	sleep 60 &
	wait $! || true
done
