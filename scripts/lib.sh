# Shared by the scripts: where things are, how a step is told, how one fails.
# Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${TAILFIN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailfin}

step() {
    printf '==> %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need_disk DIR MEGABYTES: fails if the file system of DIR has less room.
need_disk() {
    mkdir -p "$1" || fail "cannot make the directory $1"
    local free
    free=$(df -Pm "$1" | awk 'NR == 2 {print $4}')
    [ "${free:-0}" -ge "$2" ] ||
        fail "$1 has ${free:-0} MB free, $2 MB are needed: free some space or set TAILFIN_CACHE and TMPDIR to a larger disk"
}

# free_port: prints a TCP port of the loopback that nobody listens on.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# port_is_free PORT
port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}
