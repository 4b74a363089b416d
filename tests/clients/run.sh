#!/usr/bin/env bash
# Runs the official clients against Tailfin (or the server of TYPESENSE_URL).
#   tests/clients/run.sh PROGRAM DIR
# DIR, which is made, gets the packages of package-lock.json and stays for the next run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1") dir=$2

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

command -v npm >/dev/null || fail "npm is missing: scripts/deps.sh test installs it"
mkdir -p "$dir"
dir=$(realpath "$dir")
cp "$here"/*.mjs "$here"/package.json "$here"/package-lock.json "$here"/.npmrc "$dir"/
cd "$dir"
if ! cmp -s package-lock.json installed; then
    rm -f installed
    npm ci --prefer-offline --no-audit --no-fund --ignore-scripts >npm.log 2>&1 || {
        tail -n 5 npm.log >&2
        fail "the client packages could not be installed: the npm registry cannot be reached, or $dir is not writable (whole log: $dir/npm.log)"
    }
    cp package-lock.json installed
fi
CLIENTS_PROGRAM=$program exec node --test --test-concurrency=1 typesense.test.mjs instantsearch.test.mjs
