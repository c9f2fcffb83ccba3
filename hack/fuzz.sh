#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: Go fuzzes one
# target of one package at a time. Crashers land in testdata/fuzz of their
# package, and belong into the commit that mends them.
#
# usage: hack/fuzz.sh [TIME [PACKAGE TARGET]]   1m each; or one target only
#        hack/fuzz.sh --list                    PACKAGE TARGET, one a line
#        hack/fuzz.sh --keep                    copy what fuzzing found into testdata/fuzz
#
# Inputs that reached new code are in Go's cache, which a machine may lose.
# --keep picks some of every target's for the repository, where `go test` runs
# them and the next fuzzing starts from them: KEEP (12) a target, of at most
# 4 KiB, spread over their sizes, so that repeating it changes little.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
KEEP=${KEEP:-12}

targets() {
	local found
	found=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' ./* | sed -E 's,^(.*)/[^/]*:func (.*)$,\1 \2,' | sort)
	[ -n "$found" ] || { echo "no fuzz target found in $PWD" >&2; return 1; }
	echo "$found"
}

# spread N: every line of the input when there are no more, else N of them.
spread() {
	awk -v n="$1" '{ line[NR] = $0 } END {
	  if (NR <= n) { for (i = 1; i <= NR; i++) print line[i] }
	  else for (i = 0; i < n; i++) print line[int(i * (NR - 1) / (n - 1)) + 1] }'
}

keep() {
	local module cache package target from to kept
	module=$($GO list -m) cache=$($GO env GOCACHE)/fuzz
	while read -r package target; do
		from=$cache/$module/${package#./}/$target to=$package/testdata/fuzz/$target kept=0
		[ -d "$from" ] || { echo "$package $target: never fuzzed on this machine"; continue; }
		mkdir -p "$to"
		while read -r _ name; do
			cp --no-preserve=mode "$from/$name" "$to/$name" && kept=$((kept + 1))
		done < <(find "$from" -type f -size -5k -printf '%s %f\n' | sort -n -k1,1 -k2,2 | spread "$KEEP")
		echo "$package $target: $kept kept"
	done < <(targets)
}

case ${1:-} in
--list) targets; exit ;;
--keep) keep; exit ;;
esac

fuzz_time=${1:-1m}
if [ $# -eq 3 ]; then chosen="$2 $3"; else chosen=$(targets); fi
failed=()
count=0
while read -r package target; do
	count=$((count + 1))
	echo "── $package $target ($fuzz_time)"
	$GO test -run='^$' -fuzz="^${target}\$" -fuzztime="$fuzz_time" -fuzzminimizetime=5x "$package" || failed+=("$package $target")
done <<<"$chosen"

if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "$count fuzz targets, no findings"
