#!/bin/bash
# Copyright The Exchequer Authors.
# SPDX-License-Identifier: Apache-2.0

# Tests the example against OpenLDAP. On Debian and Ubuntu it installs slapd when
# that is missing; elsewhere it says what is.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v slapd >/dev/null && [ ! -x /usr/sbin/slapd ]; then
  if ! command -v apt-get >/dev/null; then
    echo "slapd is missing: install OpenLDAP's server so that /usr/sbin/slapd, /usr/lib/ldap and /etc/ldap/schema are there" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  sudo=""; [ "$(id -u)" = 0 ] || sudo="sudo -E"
  $sudo apt-get install -y --no-install-recommends slapd >/dev/null || { $sudo apt-get update >/dev/null && $sudo apt-get install -y --no-install-recommends slapd >/dev/null; }
fi
exec "${GO:-go}" test -count=1 -timeout 5m "$@" ./...
