#!/usr/bin/env bash
# Says in one go what is missing on this machine to build and run; prints nothing when nothing is.
set -uo pipefail

missing=0
need() { # <program> <how to get it>
    if ! command -v "$1" >/dev/null; then
        echo "missing: $1. $2" >&2
        missing=1
    fi
}

need cargo "Install Rust from https://rustup.rs"
need cc "Install a C compiler (Debian: apt install build-essential)"
need python3 "Install Python 3.10 or newer (Debian: apt install python3 python3-pip)"
need node "Install Node.js 20.19 or newer"
need npm "Install npm (it comes with Node.js)"
[ "$missing" -eq 0 ] || exit 1

if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "missing: pip for $(command -v python3). (Debian: apt install python3-pip)" >&2
    missing=1
fi
if ! node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)'; then
    echo "too old: Node.js $(node --version); 20.19 or newer is needed" >&2
    missing=1
fi
exit "$missing"
