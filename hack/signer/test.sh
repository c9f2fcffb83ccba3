#!/bin/bash
# Copyright The Exchequer Authors.
# SPDX-License-Identifier: Apache-2.0

# Tests the sample signer against SoftHSM. On Debian and Ubuntu it installs softhsm2
# when that is missing; elsewhere it says what is.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v softhsm2-util >/dev/null || [ ! -e /usr/lib/softhsm/libsofthsm2.so ]; then
  if ! command -v apt-get >/dev/null; then
    echo "softhsm2 is missing: install SoftHSM 2 so that /usr/lib/softhsm/libsofthsm2.so is there" >&2
    exit 1
  fi
  sudo=""; [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get install -y --no-install-recommends softhsm2 >/dev/null || { $sudo apt-get update >/dev/null && $sudo apt-get install -y --no-install-recommends softhsm2 >/dev/null; }
fi
exec "${GO:-go}" test -count=1 -timeout 5m "$@" ./...
