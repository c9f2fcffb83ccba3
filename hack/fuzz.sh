#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: Go fuzzes one
# target of one package at a time. Crashers land in testdata/fuzz of their
# package, and belong into the commit that mends them.
set -euo pipefail

fuzz_time=${1:-1m}
failed=()
count=0
while IFS=: read -r file target; do
	package=./$(dirname "$file")
	count=$((count + 1))
	echo "── $package $target ($fuzz_time)"
	go test -run='^$' -fuzz="^${target}\$" -fuzztime="$fuzz_time" -fuzzminimizetime=5x "$package" || failed+=("$package $target")
done < <(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' ./* | sed 's/:func /:/; s,^\./,,' | sort)

if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "$count fuzz targets, no findings"
