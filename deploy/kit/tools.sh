#!/usr/bin/env bash
# Makes the cargo tools named as arguments (cargo-nextest …) available: those on PATH as they are, others prebuilt and
# pinned by tools.lock in .kit-tools/bin, else built by cargo into the same place. The Makefile has that on its PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(cd "$here/../.." && pwd)/.kit-tools

prebuilt() {
    local name=$1 lock=$tools/$1.lock
    # The block of this one tool: pip refuses a file of several where one of them does not fit.
    awk -v name="astral-dev-toolchain-$name==" 'index($0, name) == 1 { on = 1 } on { print } on && !/\\$/ { exit }' \
        "$here/tools.lock" >"$lock"
    rm -rf "${tools:?}/$name"
    PIP_USER=0 PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --require-hashes --only-binary :all: --no-deps \
        --no-compile --no-input --disable-pip-version-check --target "$tools/$name" -r "$lock" &&
        ln -sf "../$name/bin/$name" "$tools/bin/$name"
}

mkdir -p "$tools/bin"
PATH=$tools/bin:$PATH
for name in "$@"; do
    if command -v "$name" >/dev/null; then continue; fi
    echo "tools: $name is missing: fetching it" >&2
    if prebuilt "$name"; then continue; fi
    echo "tools: no prebuilt $name for this platform: building it, which takes minutes" >&2
    cargo install --locked --root "$tools" "$name"
done
