#!/usr/bin/env bash
# From a fresh checkout to a search over real emote names: installs what is
# missing, builds, starts MongoDB with demo data and Tailfin beside it.
# Ctrl-C stops everything; a second run takes up where the first ended.
#
#   TAILFIN_MONGODB_URI   use this database (mongodb://HOST/DATABASE) instead of a demo one
#   TAILFIN_PORT          where Tailfin listens (default 8108)
#   TAILFIN_HOME          where the demo keeps its data (default ~/.cache/tailfin/quickstart)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

port=${TAILFIN_PORT:-8108}
home=${TAILFIN_HOME:-$cache/quickstart}
url=http://127.0.0.1:$port
mongo_dir=
tailfin_pid=

stop_all() {
    trap - EXIT INT TERM
    if [ -n "$tailfin_pid" ]; then
        kill "$tailfin_pid" 2>/dev/null || true
        wait "$tailfin_pid" 2>/dev/null || true
    fi
    [ -z "$mongo_dir" ] || "$root/scripts/mongod.sh" stop "$mongo_dir"
    [ -z "$tailfin_pid" ] || step "stopped"
}

start_mongodb() {
    if [ -n "${TAILFIN_MONGODB_URI:-}" ]; then
        step "using the MongoDB of TAILFIN_MONGODB_URI"
        uri=$TAILFIN_MONGODB_URI
        return
    fi
    step "starting MongoDB in $home/mongodb"
    # A server that an earlier run left behind (killed hard, say) is stopped first.
    "$root/scripts/mongod.sh" stop "$home/mongodb"
    mongo_dir=$home/mongodb
    local base
    base=$(cd / && setsid "$root/scripts/mongod.sh" start "$home/mongodb") || fail "MongoDB did not start: see $home/mongodb/mongod.log"
    uri=${base/\/\?/\/demo?}
    step "filling the demo database (60,000 emotes, 20,000 users, 6,000 emote sets, roles)"
    "$root/build/release/bench/tailfin-seed" "$uri" --data "$root/bench/data" || fail "the demo data could not be written"
}

start_tailfin() {
    port_is_free "$port" || fail "port $port is taken: stop what listens there, or set TAILFIN_PORT to another one"
    step "starting Tailfin on $url (log: $home/tailfin.log)"
    "$root/build/release/tailfin" serve --listen "127.0.0.1:$port" --data-dir "$home/index" \
        --mongodb-uri "$uri" --api-key demo >"$home/tailfin.log" 2>&1 &
    tailfin_pid=$!
    local i
    for ((i = 0; i < 1200; i++)); do
        kill -0 "$tailfin_pid" 2>/dev/null || {
            tail -n 3 "$home/tailfin.log" >&2
            fail "Tailfin ended: the whole log is $home/tailfin.log"
        }
        curl -fs -o /dev/null "$url/health" && return
        sleep 0.1
    done
    fail "Tailfin was not complete after two minutes: the log is $home/tailfin.log"
}

tell() {
    cat <<TEXT

Tailfin answers on $url (admin key: demo). Try, in another terminal:

  curl '$url/collections/emotes/documents/search?q=kappa&query_by=default_name,tags&per_page=5&include_fields=default_name,tags&x-typesense-api-key=demo'
  curl '$url/collections/emotes/documents/search?q=peepohapy&query_by=default_name&sort_by=score_top_all_time:desc&include_fields=default_name,score_top_all_time&x-typesense-api-key=demo'
  curl '$url/collections/users/documents/search?q=ninja&query_by=twitch_names&filter_by=role_rank:%3E0&include_fields=twitch_names&x-typesense-api-key=demo'

Or: build/release/tailfin search emotes kappa --url $url --api-key demo

Ctrl-C stops everything.
TEXT
}

main() {
    trap stop_all EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$home" || fail "cannot make $home: set TAILFIN_HOME to a directory that can be written"
    need_disk "$home" 1500
    port_is_free "$port" || fail "port $port is taken: stop what listens there, or set TAILFIN_PORT to another one"
    step "packages"
    "$root/scripts/deps.sh" build
    step "building (a minute the first time)"
    "$root/scripts/build.sh" release
    start_mongodb
    start_tailfin
    tell
    local status=0
    wait "$tailfin_pid" || status=$?
    [ "$status" -eq 0 ] || fail "Tailfin ended with status $status: see $home/tailfin.log"
}

main
