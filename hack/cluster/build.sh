#!/usr/bin/env bash
# Builds the programs that tests and the local cluster run, from Go modules
# pinned in hack/tools/*/go.mod, into a cache that survives the checkout.
#
# usage: hack/cluster/build.sh [--where] test|cluster|oldest
#
#   test      kube-apiserver, etcd, kubectl, helm: what `make test` needs
#   cluster   these, everything else that a node runs, and the program that verifies
#             what is loaded into it
#   oldest    what `make test-oldest` needs: the oldest API server that we support
#   --where   build nothing; print the folder, fail when something is missing
#
# The folder is printed on stdout, everything for people goes to stderr.
# EXCHEQUER_CACHE is the cache, by default ~/.cache/exchequer. What stands there
# is keyed by its go.mod, go.sum, build flags and toolchain: a changed pin
# builds anew, and two checkouts with different pins do not disturb each other.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cache=${EXCHEQUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exchequer}
GO=${GO:-go}

where=
if [ "${1:-}" = --where ]; then
	where=yes
	shift
fi
set_name=${1:-}
case $set_name in
test) programs=(kubernetes/kube-apiserver kubernetes/kubectl etcd/etcd helm/helm) ;;
oldest) programs=(kubernetes-oldest/kube-apiserver kubernetes/kubectl etcd/etcd helm/helm) ;;
cluster) programs=(
	kubernetes/kube-apiserver kubernetes/kubectl etcd/etcd helm/helm
	kubernetes/kube-controller-manager kubernetes/kube-scheduler kubernetes/kubelet kubernetes/kube-proxy
	containerd/containerd containerd/containerd-shim-runc-v2 containerd/ctr
	cni/bridge cni/loopback cni/host-local cni/portmap
	coredns/coredns cosign/cosign
) ;;
*)
	sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac

command -v "$GO" >/dev/null || { echo "build.sh: no Go found; install Go 1.26, see https://go.dev/dl" >&2; exit 1; }
toolchain=$("$GO" env GOVERSION GOOS GOARCH CGO_ENABLED | tr '\n' ' ')

digest() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-16
}

# pinned MODULE of the go.mod in hack/tools/FOLDER: its version.
pinned() {
	sed -n "s#^[[:space:]]*\(require \)\{0,1\}$2 \(v[^ ]*\).*#\2#p" "hack/tools/$1/go.mod" | head -n 1
}

# package PROGRAM: what `go build` is given.
package() {
	case $1 in
	kubernetes/* | kubernetes-oldest/*) echo "k8s.io/kubernetes/cmd/${1#*/}" ;;
	etcd/etcd) echo go.etcd.io/etcd/server/v3 ;;
	helm/helm) echo helm.sh/helm/v3/cmd/helm ;;
	containerd/*) echo "github.com/containerd/containerd/v2/cmd/${1#*/}" ;;
	cni/host-local) echo github.com/containernetworking/plugins/plugins/ipam/host-local ;;
	cni/portmap) echo github.com/containernetworking/plugins/plugins/meta/portmap ;;
	cni/*) echo "github.com/containernetworking/plugins/plugins/main/${1#*/}" ;;
	coredns/coredns) echo github.com/coredns/coredns ;;
	cosign/cosign) echo github.com/sigstore/cosign/v2/cmd/cosign ;;
	esac
}

# flags FOLDER: one per line. A program without its version in it says so on
# every request (kube-apiserver would call itself v0.0.0), so the version that
# go.mod pins is linked in.
flags() {
	local version
	case $1 in
	kubernetes | kubernetes-oldest)
		version=$(pinned "$1" k8s.io/kubernetes)
		local p=k8s.io/component-base/version minor=${version#v1.}
		echo "-ldflags=-s -w -X $p.gitVersion=$version -X $p.gitMajor=1 -X $p.gitMinor=${minor%%.*} -X $p.gitTreeState=clean -X $p.buildDate=2026-01-01T00:00:00Z -X $p.gitCommit=module -X k8s.io/client-go/pkg/version.gitVersion=$version"
		;;
	helm)
		echo "-ldflags=-s -w -X helm.sh/helm/v3/internal/version.version=$(pinned helm helm.sh/helm/v3)"
		;;
	containerd)
		# Without these three snapshotters there is nothing to link from C.
		echo "-tags=no_btrfs,no_zfs,no_devmapper"
		echo "-ldflags=-s -w -X github.com/containerd/containerd/v2/version.Version=$(pinned containerd github.com/containerd/containerd/v2)"
		;;
	*) echo "-ldflags=-s -w" ;;
	esac
}

# estimate PROGRAM: how long the first build takes on two cores; people should
# know whether to wait or to fetch a coffee.
estimate() {
	case $1 in
	*/kube-apiserver) echo "about 2 min" ;;
	cosign/cosign) echo "about 3 min" ;;
	kubernetes/kubelet | kubernetes/kube-controller-manager | kubernetes/kubectl | helm/helm | etcd/etcd | containerd/containerd | coredns/coredns) echo "about 1 min" ;;
	*) echo "some seconds" ;;
	esac
}

declare -A built
for folder in $(printf '%s\n' "${programs[@]%%/*}" | sort -u); do
	key=$({
		cat "hack/tools/$folder/go.mod" "hack/tools/$folder/go.sum"
		flags "$folder"
		echo "$toolchain"
	} | digest)
	built[$folder]=$cache/builds/$folder-$key
done
set_key=$(for p in "${programs[@]}"; do echo "${built[${p%%/*}]}/$p"; done | digest)
out=$cache/$set_name-$set_key

complete() {
	local p
	for p in "${programs[@]}"; do
		[ -x "$out/${p#*/}" ] || return 1
	done
}

if complete; then
	echo "$out"
	exit 0
fi
if [ -n "$where" ]; then
	echo "$out"
	exit 1
fi

mkdir -p "$cache/builds"
# One builder at a time; whoever waits finds everything there.
if command -v flock >/dev/null; then
	exec 9>"$cache/builds/lock"
	if ! flock -n 9; then
		echo "another build into $cache is under way; waiting for it" >&2
		flock 9
	fi
fi

# build PROGRAM: the cache of `go build` holds the packages, so that only what
# a changed pin changes is compiled again.
build() {
	local folder=${1%%/*} name=${1#*/} started=$SECONDS args
	[ -x "${built[$folder]}/$name" ] && return 0
	mapfile -t args < <(flags "$folder")
	printf 'building %s (once, %s) … ' "$name" "$(estimate "$1")" >&2
	mkdir -p "${built[$folder]}"
	(cd "hack/tools/$folder" &&
		nice -n 5 "$GO" build "${args[@]}" -o "${built[$folder]}/.$name.$$" "$(package "$1")") >&2 9>&- ||
		{ echo "FAILED" >&2; return 1; }
	mv "${built[$folder]}/.$name.$$" "${built[$folder]}/$name"
	echo "$((SECONDS - started)) s" >&2
}

for p in "${programs[@]}"; do
	build "$p"
done
mkdir -p "$out"
for p in "${programs[@]}"; do
	ln -sfn "${built[${p%%/*}]}/${p#*/}" "$out/${p#*/}"
done
echo "$out"
