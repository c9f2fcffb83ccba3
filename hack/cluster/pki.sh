#!/usr/bin/env bash
# The CA of one cluster, its certificates and the kubeconfigs that hold them.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
[ -f "$kubeconfig" ] && exit 0
umask 077
mkdir -p "$pki"
cd "$pki"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

authority() {
	key "$1"
	openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 365 -out "$1.crt"
}

# leaf FILE SUBJECT USAGE [NAMES]
leaf() {
	key "$1"
	openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
	{
		echo "extendedKeyUsage=$3"
		echo keyUsage=digitalSignature
		[ -z "${4:-}" ] || echo "subjectAltName=$4"
	} >"$1.ext"
	openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
	rm "$1.csr" "$1.ext"
}

# config USER FILE: a kubeconfig with the user's certificate in it.
config() {
	cat >"$2" <<-YAML
		apiVersion: v1
		kind: Config
		clusters:
		- name: $name
		  cluster: {server: "https://$node_ip:6443", certificate-authority-data: $(base64 -w0 ca.crt)}
		users:
		- name: $1
		  user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}
		contexts:
		- name: $name
		  context: {cluster: $name, user: $1}
		current-context: $name
	YAML
}

authority ca
authority front-proxy-ca
leaf apiserver /CN=kube-apiserver serverAuth "IP:$node_ip,IP:127.0.0.1,IP:$api_service_ip,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
leaf kubelet-server "/O=system:nodes/CN=system:node:$name" serverAuth "IP:$node_ip,DNS:$name"
leaf apiserver-kubelet /O=system:masters/CN=apiserver-kubelet-client clientAuth
leaf admin /O=system:masters/CN=admin clientAuth
leaf controller-manager /CN=system:kube-controller-manager clientAuth
leaf scheduler /CN=system:kube-scheduler clientAuth
leaf kubelet "/O=system:nodes/CN=system:node:$name" clientAuth
leaf proxy /CN=system:kube-proxy clientAuth
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
for user in controller-manager scheduler kubelet proxy; do
	config "$user" "$user.kubeconfig"
done
config admin "$kubeconfig"
