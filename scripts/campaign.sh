#!/usr/bin/env bash
# The campaigns in full, of which CI runs a tenth: hundreds of kills, a million
# random requests. On the release build; an hour or more. Prints a line for each.
#   scripts/campaign.sh [kill] [heal] [world] [standalone] [oracle] [sink]     default: all
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

run() {
    local name=$1 begin=$SECONDS
    shift
    step "$name"
    "$@" || fail "$name failed: the seed above repeats it"
    printf '%s: passed in %d s, load %s\n' "$name" $((SECONDS - begin)) "$(cut -d' ' -f1-3 /proc/loadavg)"
}

campaign_kill() {
    run "100 kills under a writer, writeback none" \
        env TAILFIN_KILLS=100 python3 tests/journey/kill.py build/release/tailfin
    run "100 kills under a writer, writeback full" \
        env TAILFIN_KILLS=100 TAILFIN_WRITEBACK=full python3 tests/journey/kill.py build/release/tailfin
}

campaign_heal() {
    local mode
    for mode in none full; do
        run "10,000 operations, 200 kills, 5 step-downs of a primary, a bad network; writeback $mode" \
            env TAILFIN_OPERATIONS=10000 TAILFIN_KILLS=200 TAILFIN_STEPDOWNS=5 TAILFIN_WRITEBACK=$mode \
            python3 tests/journey/heal.py build/release/tailfin
    done
}

campaign_world() {
    run "506,000 documents of all kinds equal to an independent derivation" \
        env TAILFIN_USERS=100000 python3 tests/journey/world.py build/release/tailfin
    run "an edge under the global default group over 200,000 users" \
        env TAILFIN_USERS=200000 python3 tests/journey/group.py build/release/tailfin
    run "the lease's holder paused for 60 s" \
        env TAILFIN_PAUSE_S=60 python3 tests/journey/lease.py build/release/tailfin
}

campaign_standalone() {
    run "100 kills during imports and single writes" \
        env TAILFIN_KILLS=100 python3 tests/journey/standalone.py build/release/tailfin
}

campaign_oracle() {
    cmake --preset release -B build/campaign -DTAILFIN_TESTS=ON >/dev/null
    cmake --build build/campaign --target test_match test_wild >/dev/null
    run "1,000,000 random requests against the naive oracle" \
        env TAILFIN_REQUESTS=1000000 build/campaign/tests/test_match
}

campaign_sink() {
    run "100 kills of the sidecar that feeds Typesense" \
        env TAILFIN_KILLS=100 JOURNEY_PARTS=kills python3 tests/journey/sink.py build/release/tailfin
}

scripts/deps.sh test
scripts/build.sh release
[ $# -gt 0 ] || set -- kill heal world standalone oracle sink
for name in "$@"; do
    case $name in
    kill | heal | world | standalone | oracle | sink) "campaign_$name" ;;
    *) fail "there is no campaign $name" ;;
    esac
done
