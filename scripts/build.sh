#!/usr/bin/env bash
# Builds build/release/tailfin (or another preset: dev, tsan, fuzz).
#   scripts/build.sh [preset]
set -euo pipefail
. "$(dirname "$0")/lib.sh"

preset=${1:-release}
"$root/scripts/deps.sh" build
need_disk "$root/build" 300
cd "$root"
log=$(mktemp)
cmake --preset "$preset" >"$log" 2>&1 || {
    cat "$log" >&2
    fail "cmake could not configure the preset $preset"
}
cmake --build "build/$preset" >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    fail "the build of the preset $preset failed"
}
rm -f "$log"
