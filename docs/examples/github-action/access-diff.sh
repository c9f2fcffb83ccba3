#!/bin/sh
# access-diff.sh BASE DIR: writes what DIR changes in comparison with the point at
# which this branch left commit BASE, as a comment.
#
# Ends with 0 whether access changes or not: people decide that. Ends with another
# code when the question cannot be answered.
set -eu

base=${1:?usage: access-diff.sh BASE DIR}
dir=${2:?usage: access-diff.sh BASE DIR}

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT

# What came to the base branch since then is not this pull request's doing.
start=$(git merge-base "$base" HEAD)
mkdir "$old/manifests"
if git cat-file -e "$start:$dir" 2>/dev/null; then
  git archive "$start" -- "$dir" | tar -x -C "$old"
fi

# A directory without manifests is a mistake to exchequer. Before the first of them
# there was none: then an empty list stands in.
if [ ! -d "$old/$dir" ] || [ -z "$(find "$old/$dir" -name '*.y*ml' -o -name '*.json')" ]; then
  mkdir -p "$old/$dir"
  printf 'apiVersion: v1\nkind: List\nitems: []\n' > "$old/$dir/empty.yaml"
fi

code=0
exchequer diff "$old/$dir" "$dir" -o markdown || code=$?
case $code in
0|1) ;;                       # the same, or not: both are an answer
*) exit "$code" ;;
esac
