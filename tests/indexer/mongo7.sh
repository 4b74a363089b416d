#!/usr/bin/env bash
# Runs tests on MongoDB 7.0, which is had through qemu only: mongo7.sh PROGRAM [TEST].
# Exit status 77 (skipped, for ctest) where it cannot be had; the last line says why.
set -euo pipefail
cd "$(dirname "$0")/../.."
skip() {
    echo "skipped: $*"
    exit 77
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
MONGOD=$(timeout 300 scripts/mongod7.sh path 2>"$log") || skip "no MongoDB 7.0 here: $(tail -n 1 "$log")"
export MONGOD
timeout 60 "$MONGOD" --version >"$log" 2>&1 || skip "MongoDB 7.0 does not run here: $(tail -n 1 "$log")"
"$@"
