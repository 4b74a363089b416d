#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
#   scripts/test.sh            everything, as CI does
#   scripts/test.sh REGEX      only the tests whose name matches
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

step "packages"
scripts/deps.sh test
step "MongoDB for the tests"
scripts/mongod.sh path >/dev/null
step "building with AddressSanitizer and UBSan"
scripts/build.sh dev
step "building the release"
scripts/build.sh release

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
step "tests"
cd build/dev
ctest --output-on-failure --no-tests=error -j 2 ${1:+-R "$1"}
