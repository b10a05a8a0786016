#!/usr/bin/env bash
# Shared by the benches that start programs and load them; sourced after `set -euo pipefail`,
# never run. Bash. Whatever `start` began is ended, and $work removed, when the bench ends.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bench=$(basename "$0" .sh)
ibid=${IBID_BIN:-$root/build/release/ibid}
quiet=${quiet:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/ibid-$bench.XXXXXX")
started=()

say() { [ -n "$quiet" ] || echo "$bench: $*" >&2; }
# The status by which a bench says that it could not be run here.
skip() { echo "$bench: $*" >&2; exit 77; }

# The comment at a bench's top is its help.
usage() {
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
    exit 2
}

end_all() {
    for p in "${started[@]}"; do kill "$p" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end_all EXIT

# start COMMAND…: runs it beside; its id is in $pid, standard error in the file $log if set.
start() {
    "$@" 2>"${log:-/dev/stderr}" &
    pid=$!
    started+=("$pid")
}

need_tools() {
    local tool
    declare -A package=([h2load]=nghttp2-client [nginx]=nginx-light [cc]=gcc [taskset]=util-linux)
    for tool; do
        command -v "$tool" >/dev/null || skip "$tool is missing (apt install ${package[$tool]:-$tool})"
    done
}

need_ibid() {
    [ -x "$ibid" ] || skip "${ibid#"$root"/} is missing; build it first"
}

need_models() {
    local model
    for model; do
        "$ibid" models show "$model" >/dev/null 2>&1 || skip "the model is missing: ibid models pull $model"
    done
}

# compile NAME [ARGUMENTS…]: bench/load/NAME.c to $work/NAME.
compile() {
    cc -O2 -o "$work/$1" "$root/bench/load/$1.c" "${@:2}"
}

# free_ports N: as many ports that nobody listened to a moment ago, in one line.
free_ports() {
    python3 -c 'import socket, sys
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[x.getsockname()[1] for x in s])' "$1"
}

# certificate: $work/cert.pem and $work/key.pem, for 127.0.0.1.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" \
        -days 2 -subj /CN=bench -addext subjectAltName=IP:127.0.0.1 2>/dev/null
    chmod 600 "$work/key.pem"
}

# until_answered URL: waits for it, at most ten seconds.
until_answered() {
    for _ in $(seq 200); do
        curl -sf -o /dev/null "$1" && return
        sleep 0.05
    done
    echo "$bench: nothing answers at $1" >&2
    [ ! -s "${log:-}" ] || cat "$log" >&2
    exit 1
}

# middle: the median of the lines it is given (of an even number the lower one).
middle() {
    sort -n | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'
}
