#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing, of these purposes: packaging/install-dependencies.sh build run test
# (packaging/dependencies has the list).
set -euo pipefail
cd "$(dirname "$0")"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
while read -r package command; do
	[ -n "$command" ] && command -v "$command" >/dev/null && continue
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done < <(awk -v purposes=" $* " 'index(purposes, " " $1 " ") { print $2, $3 }' dependencies)
[ ${#missing[@]} -gt 0 ] || exit 0
echo "Installing what is missing: ${missing[*]}"
as_root apt-get -q update
as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"
