#!/usr/bin/env bash
# Installs valgrind where there is none and we may: by apt as root. Else says what is missing.
set -euo pipefail

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "valgrind: none found: installing Debian's" >&2
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends valgrind; } >&2
else
    echo "missing: valgrind, which counts instructions. (Debian: apt install valgrind)" >&2
    exit 1
fi
