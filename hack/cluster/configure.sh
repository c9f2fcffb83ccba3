#!/usr/bin/env bash
# The configuration files of kubelet, kube-proxy, containerd, CNI and CoreDNS.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
use_programs
mkdir -p "$state"/{etc,net.d,kubelet,containerd,etcd}
cd "$state/etc"

# cgroup v1 needs to be allowed, and knows no delegation: everything of the
# cluster hangs below one folder of each hierarchy. oomScoreAdj stays 0: in an
# unprivileged container (CI) it may not be lowered.
cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet-server.crt
tlsPrivateKeyFile: $pki/kubelet-server.key
address: $node_ip
healthzBindAddress: 127.0.0.1
cgroupDriver: cgroupfs
cgroupRoot: /$name
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: ""
clusterDNS: [$node_ip]
clusterDomain: cluster.local
seccompDefault: true
registerNode: true
evictionHard: {memory.available: 200Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
logging: {verbosity: 2}
YAML

# conntrack's sysctls belong to the machine: they stay as they are.
cat >proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
bindAddress: 0.0.0.0
clientConnection: {kubeconfig: $pki/proxy.kubeconfig}
clusterCIDR: $pod_cidr
hostnameOverride: $name
oomScoreAdj: 0
nftables: {minSyncPeriod: 100ms}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML

# restrict_oom_score_adj: without it every sandbox dies where the score may not
# be lowered, with no better word than "can't get final child's PID".
cat >containerd.toml <<TOML
version = 3
root = '$state/containerd'
state = '/run/containerd'
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '$name.local/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = '$(command -v runc)'
  SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['$programs']
  conf_dir = '$state/net.d'
TOML

cat >"$state/net.d/10-$name.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "$name", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pod_cidr"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni-ipam"}},
  {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"}]}
JSON

cat >Corefile <<DNS
.:53 {
  bind $node_ip
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $kubeconfig $name
    ttl 1
  }
}
DNS
