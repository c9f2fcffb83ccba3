#!/usr/bin/env bash
# What CI checks besides the tests. Every step runs, so that one call shows
# everything there is to mend; the exit code is that of the worst.
#
# usage: hack/verify.sh PATH...   the paths that generators write
set -uo pipefail

failed=()

step() {
	local name=$1
	shift
	local started=$SECONDS
	printf '── %s\n' "$name"
	if "$@"; then
		printf '   ok (%ds)\n' $((SECONDS - started))
	else
		printf '   FAILED (%ds)\n' $((SECONDS - started))
		failed+=("$name")
	fi
}

# generated runs the generators and compares what they wrote with what was
# there before, not with the last commit: a developer's own edits are no fault.
generated() {
	local before after
	before=$(fingerprint "$@")
	make --no-print-directory generate manifests || return 1
	after=$(fingerprint "$@")
	[ "$before" = "$after" ] && return 0
	echo "   these files are not what the generators write; they are now: commit them" >&2
	diff <(echo "$before") <(echo "$after") | sed -n 's/^[<>] [0-9a-f]*  /   /p' | sort -u >&2
	return 1
}

fingerprint() {
	git ls-files --cached --others --exclude-standard -- "$@" | sort -u |
		while read -r file; do [ -f "$file" ] && sha256sum "$file"; done
}

formatted() {
	local files
	files=$(git ls-files --cached --others --exclude-standard '*.go' | sort -u |
		while read -r file; do [ -f "$file" ] && echo "$file"; done | xargs gofmt -l)
	[ -z "$files" ] && return 0
	echo "$files" | sed 's/^/   gofmt: /' >&2
	echo "   run: make fmt" >&2
	return 1
}

tidy() {
	local module code=0
	for module in $(git ls-files '*go.mod'); do
		(cd "$(dirname "$module")" && go mod tidy -diff) || code=1
	done
	[ "$code" -eq 0 ] || echo "   run: make tidy" >&2
	return "$code"
}

step "generated files are fresh" generated "$@"
step "Go sources are formatted" formatted
step "every go.mod is tidy" tidy
step "modules have not changed since they were pinned" go mod verify
step "go vet" go vet -p 2 -tags e2e ./...
step "pages are true: links, commands, manifests, field tables" go run ./hack/docs
step "every numbered case has a test or a reason" go run ./hack/coverage-spec -check -quiet
step "linters" make --no-print-directory lint

if [ ${#failed[@]} -gt 0 ]; then
	echo
	printf 'verify FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo
echo "verify: all good"
