#!/bin/bash
# Copyright The Exchequer Authors.
# SPDX-License-Identifier: Apache-2.0

# Installs redis-server for the tests of exchanger/store, where it is missing and this
# is Debian or Ubuntu; elsewhere it says what is missing. The service that the package
# would start is not wanted: tests start their own.
set -euo pipefail
least=6.2

if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "redis-server is missing: install Redis $least or Valkey 7.2 or later, so that redis-server or valkey-server is on the PATH" >&2
    exit 1
  fi
  sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
  install() { $sudo env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends redis-server >/dev/null; }
  install 2>/dev/null || { $sudo apt-get update -qq && install; }
fi
server=$(command -v redis-server || command -v valkey-server)
version=$("$server" --version | sed -n 's/.* v=\([0-9.]*\).*/\1/p')
if [ "$(printf '%s\n%s\n' "$least" "$version" | sort -V | head -1)" != "$least" ]; then
  echo "$server is version $version: expected $least or later" >&2
  exit 1
fi
echo "$server $version"
