#!/usr/bin/env bash
# Writes what a release consists of into dist/: images and SBOMs for both
# platforms, the CLI, the manifests of the CRDs, and SHA256SUMS over all of them.
# Two machines that run this write the same bytes; .github/workflows/release.yml
# compares, pushes and signs them.
#
# usage: hack/release.sh VERSION [IMAGE]      v1.2.3 ghcr.io/exchequer-dev/exchequer
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
version=${1:?which version? for example v1.2.3}
image=${2:-ghcr.io/exchequer-dev/exchequer}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || { echo "$version is no version like v1.2.3" >&2; exit 2; }

rm -rf dist && mkdir dist
for arch in amd64 arm64; do
	make --no-print-directory image-tar IMAGE_ARCH="$arch" VERSION="$version" IMAGE_TAR_TAG="$image:$version"
	mv bin/image.tar "dist/image-$arch.tar"
	mv bin/sbom.cdx.json "dist/sbom-$arch.cdx.json"
done
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do
	GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 $GO build -trimpath -buildvcs=false \
		-ldflags="-s -w -buildid= -X main.version=$version" -o "dist/exchequer-${platform/\//-}" ./cmd/exchequer
done
for file in config/crd/exchequer.dev_*.yaml; do cat "$file"; done >dist/crds.yaml
$GO -C hack/tools/image run ./publish -n -t "$image:$version" "$PWD"/dist/image-*.tar >dist/image.digest
(cd dist && sha256sum -- * >SHA256SUMS)
cat dist/SHA256SUMS
