#!/usr/bin/env bash
# runc and nft are written in C or need its libraries, so they come from Debian:
# those of the machine, else packages that are unpacked into the cache. Nothing
# is installed.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
export PATH="$debian/usr/sbin:$PATH"
export LD_LIBRARY_PATH="$debian/usr/lib/$(uname -m)-linux-gnu"

work() { runc --version >/dev/null 2>&1 && nft --version >/dev/null 2>&1; }
work && exit 0

command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
	die "the cluster needs runc and nft; install them, this is no Debian that could be asked for them"
echo "fetching runc and nftables from Debian (once, some seconds) …" >&2
# libtinfo6 and libc6 are on every Debian; apt resolves nothing here, so the
# others are named.
packages=(runc libseccomp2 nftables libnftables1 libnftnl11 libmnl0 libjansson4 libgmp10 libxtables12 libedit2 libbsd0 libmd0)
mkdir -p "$debian/packages"
cd "$debian/packages"
apt-get download -q "${packages[@]}" >/dev/null 2>&1 || {
	apt-get update -qq
	apt-get download -q "${packages[@]}" >/dev/null
} || die "apt-get download ${packages[*]} failed: is a Debian mirror reachable?"
for package in *.deb; do
	dpkg -x "$package" "$debian"
done
# Debian 12 keeps some libraries in /lib, which is /usr/lib on a merged system.
if [ -d "$debian/lib" ] && [ ! -L "$debian/lib" ]; then
	cp -a "$debian/lib/." "$debian/usr/lib/"
fi
work || die "runc and nft were unpacked to $debian but do not run: $(runc --version 2>&1 >/dev/null | head -n 1) $(nft --version 2>&1 >/dev/null | head -n 1)"
