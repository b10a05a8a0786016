#!/usr/bin/env bash
# HTTP/2 beside HTTP/1.1 on the listener: exact hits, 100 requests in flight, by h2load and wrk.
# The load generator and the stub upstream on core 0, ibid on core 1.
#
#     bench/http2.sh [--requests N] [--rounds N] [--quiet]
#
# Needs build/release/ibid, h2load, wrk, curl, a C compiler. Prints one table; ends with 1 when
# a request failed, or when HTTP/2 on ten connections was slower than HTTP/1.1.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
requests=200000 rounds=3 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --requests) requests=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --quiet) quiet=1 ;;
    *) usage ;;
    esac
    shift
done
need_tools h2load wrk curl cc taskset python3
need_ibid

compile stub
read -r up port admin <<<"$(free_ports 3)"
start taskset -c 0 "$work/stub" "$up"
log=$work/log
start env IBID_LISTEN=127.0.0.1:"$port" IBID_ADMIN_LISTEN=127.0.0.1:"$admin" IBID_DATA_DIR="$work/data" \
    IBID_LOCAL_MODEL=off IBID_ENCODER_MODEL=off IBID_UPSTREAM_URL=http://127.0.0.1:"$up"/v1 taskset -c 1 "$ibid" serve
server=$pid
url=http://127.0.0.1:$port/v1/chat/completions
until_answered "127.0.0.1:$admin/healthz"
printf '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}' >"$work/body"
head=(-H 'content-type: application/json' -H 'authorization: Bearer k')
for _ in 1 2; do curl -sf "${head[@]}" -d @"$work/body" -o /dev/null "$url"; done
cat >"$work/load.lua" <<'LUA'
wrk.method = "POST"
wrk.body = '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}'
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer k"
LUA

ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$server/stat"; }
failed=0
h2load_rate() { # ARGUMENTS…: req/s and us of ibid's CPU a request
    local before out bad
    before=$(ticks)
    out=$(taskset -c 0 h2load -n "$requests" "$@" "${head[@]}" -d "$work/body" "$url")
    bad=$(awk '/^requests:/ { print $10 + $12 + $14 }' <<<"$out")
    grep -q "^status codes: $requests 2xx" <<<"$out" && [ "$bad" = 0 ] || { echo "$out" >&2; failed=1; }
    rate=$(awk -F'[ ,]+' '/^finished in/ { print int($4) }' <<<"$out")
    cpu=$(awk -v t=$(($(ticks) - before)) -v n="$requests" 'BEGIN { printf "%.1f", t * 10000 / n }')
}

declare -A rates cpus
add() { rates[$1]+="$rate"$'\n'; cpus[$1]+="$cpu"$'\n'; }
for r in $(seq "$rounds"); do
    say "round $r of $rounds"
    h2load_rate --h1 -c 100; add "HTTP/1.1, 100 connections"
    h2load_rate -c 10 -m 10; add "HTTP/2, 10 connections of 10 streams"
    h2load_rate -c 1 -m 100; add "HTTP/2, 1 connection of 100 streams"
    rate=$(taskset -c 0 wrk -t1 -c100 -d3s -s "$work/load.lua" "$url" | awk '/^Requests\/sec/ { print int($2) }') cpu=
    add "HTTP/1.1 by wrk, 100 connections"
done
printf '%-38s %10s %12s\n' "exact hits, 100 in flight" req/s "us CPU"
for name in "HTTP/1.1 by wrk, 100 connections" "HTTP/1.1, 100 connections" "HTTP/2, 10 connections of 10 streams" "HTTP/2, 1 connection of 100 streams"; do
    printf '%-38s %10s %12s\n' "$name" "$(printf %s "${rates[$name]}" | middle)" "$(printf %s "${cpus[$name]}" | middle)"
done
old=$(printf %s "${rates["HTTP/1.1, 100 connections"]}" | middle)
new=$(printf %s "${rates["HTTP/2, 10 connections of 10 streams"]}" | middle)
awk -v a="$new" -v b="$old" 'BEGIN { printf "HTTP/2 over HTTP/1.1: %.2f\n", a / b }'
[ "$failed" = 0 ] && [ "$new" -ge "$old" ]
