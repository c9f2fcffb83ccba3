#!/usr/bin/env bash
# Copyright The Exchequer Authors.
# SPDX-License-Identifier: Apache-2.0

# Installs the JavaScript libraries of test/interop, as package-lock.json pins them,
# into the cache, and prints where they are. What stands there already is used as it
# is: its folder's name is that of the lockfile's content.
#
# EXCHEQUER_CACHE is the cache, by default ~/.cache/exchequer.
set -euo pipefail
cd "$(dirname "$0")/../../test/interop/js"

for command in node npm sha256sum; do
	command -v "$command" >/dev/null || {
		echo "$command is missing: install Node.js 20 or later (on Debian: apt-get install nodejs npm)" >&2
		exit 1
	}
done

cache=${EXCHEQUER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/exchequer}
key=$(cat package.json package-lock.json | sha256sum | cut -c1-16)
out=$cache/interop-$key

if [ ! -e "$out/node_modules" ]; then
	mkdir -p "$cache"
	# Made beside it and moved there whole: what is cut short is not found later.
	work=$(mktemp -d "$cache/interop.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	cp package.json package-lock.json "$work/"
	(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
	mv -T "$work" "$out" 2>/dev/null || [ -e "$out/node_modules" ]
fi
echo "$out"
