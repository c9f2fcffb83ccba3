#!/usr/bin/env bash
# Builds the image twice, the second time in another folder and with nothing of
# the first in the compiler's cache, and compares the bytes. Two machines do the
# same in .github/workflows/release.yml.
#
# usage: hack/reproduce.sh      (make reproduce; some minutes)
#
#   VERSION=dev   what the programs call themselves
set -euo pipefail
cd "$(dirname "$0")/.."
version=${VERSION:-dev}
other=$(mktemp -d)
trap 'chmod -R u+w "$other" && rm -rf "$other"' EXIT

# What is committed, and what is edited since: as image-tar sees it here.
mkdir "$other/somewhere-else"
git ls-files --cached --others --exclude-standard -z |
	while IFS= read -r -d '' file; do [ -f "$file" ] && printf '%s\0' "$file"; done |
	tar --null -T - -cf - | tar -C "$other/somewhere-else" -xf -

make --no-print-directory image-tar VERSION="$version"
GOCACHE="$other/cache" make --no-print-directory -C "$other/somewhere-else" image-tar VERSION="$version"

failed=0
for file in image.tar sbom.cdx.json; do
	if cmp "bin/$file" "$other/somewhere-else/bin/$file"; then
		printf '%s  %s: the same bytes twice\n' "$(sha256sum <"bin/$file" | cut -d' ' -f1)" "$file"
	else
		failed=1
	fi
done
[ "$failed" -eq 0 ] || { echo "the image is not reproducible: compare with  go version -m bin/image/exchanger" >&2; exit 1; }
