#!/usr/bin/env bash
# Installs the Debian packages that Tailfin needs, where they are missing.
#   scripts/deps.sh build    to build and run it
#   scripts/deps.sh test     the same, and what the tests use
# With all of them there it changes nothing and needs no network and no root.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build_packages=(
    gcc libc6-dev cmake ninja-build pkg-config
    libmongoc-dev libbson-dev libcurl4-openssl-dev libroaring-dev libutf8proc-dev libev-dev
    libhttp-parser-dev libxxhash-dev libinih-dev libyajl-dev libzstd-dev zlib1g-dev
    python3 curl ca-certificates libcmocka-dev
)
test_packages=(python3-yaml binutils chromium qemu-user-static)

have() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

main() {
    local what=${1:-build} packages missing=()
    case $what in
    build) packages=("${build_packages[@]}") ;;
    test) packages=("${build_packages[@]}" "${test_packages[@]}") ;;
    *) fail "usage: scripts/deps.sh build|test" ;;
    esac
    command -v dpkg-query >/dev/null || fail "this script knows Debian's packages only: install ${packages[*]} by hand"
    for p in "${packages[@]}"; do
        have "$p" || missing+=("$p")
    done
    # Another Node.js than Debian's will do.
    if ! command -v npm >/dev/null; then
        missing+=(nodejs npm)
    fi
    [ ${#missing[@]} -eq 0 ] && return 0

    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "these packages are missing and only root can install them: ${missing[*]}"
        sudo=(sudo)
    fi
    step "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >"$log" 2>&1 ||
        ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        tail -n 5 "$log" >&2
        fail "the packages could not be installed (is there a network? the whole log is $log)"
    fi
    rm -f "$log"
}

main "$@"
