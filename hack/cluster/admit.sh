#!/usr/bin/env bash
# Signs bin/image.tar and what is said of it with a key that is thrown away,
# verifies both, and writes what was verified to bin/verified.tar: what is loaded
# into a cluster is what somebody signed. It prints the digest by which the node
# knows that image.
#
# usage: hack/cluster/admit.sh NAME:TAG      (make e2e)
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
GO=${GO:-go}
tag=${1:?which name has it in the cluster?}

cosign=$(hack/cluster/build.sh cluster)/cosign

# Where it comes from, in the form of SLSA: the release has GitHub say this.
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || revision="$revision, and what was edited since"
cat >bin/provenance.json <<JSON
{"buildDefinition": {"buildType": "https://exchequer.dev/build/image-tar/v1",
  "externalParameters": {"target": "image-tar", "tag": "$tag"},
  "resolvedDependencies": [{"uri": "git+https://github.com/exchequer-dev/exchequer", "name": "$revision"}]},
 "runDetails": {"builder": {"id": "https://exchequer.dev/build/local"}}}
JSON
$GO -C hack/tools/cosign run ./admit -cosign "$cosign" -t "$tag" \
	-sbom "$PWD/bin/sbom.cdx.json" -provenance "$PWD/bin/provenance.json" -o "$PWD/bin/verified.tar" "$PWD/bin/image.tar"
