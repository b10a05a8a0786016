#!/usr/bin/env bash
# HTTP/2 beside HTTP/1.1 on the listener: exact hits, 100 requests in flight, by h2load and wrk.
# The load generator and the stub upstream on core 0, ibid on core 1.
#
#     bench/http2.sh [--requests N] [--rounds N] [--quiet]
#
# Needs build/release/ibid, h2load, wrk, curl, a C compiler. Prints one table; ends with 1 when
# a request failed, or when HTTP/2 on ten connections was slower than HTTP/1.1.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/build/bench/http2
requests=200000 rounds=3 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --requests) requests=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
for tool in h2load wrk curl cc taskset; do
    command -v "$tool" >/dev/null || { echo "bench: $tool is missing (apt install nghttp2-client wrk curl gcc util-linux)"; exit 77; }
done
ibid=$root/build/release/ibid
[ -x "$ibid" ] || { echo "bench: build/release/ibid is missing; build it first"; exit 77; }
rm -rf "$work"
mkdir -p "$work"
pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop EXIT

cc -O2 -o "$work/stub" "$root/bench/load/stub.c"
taskset -c 0 "$work/stub" 9190 & pids+=("$!")
IBID_LISTEN=127.0.0.1:9191 IBID_ADMIN_LISTEN=127.0.0.1:9192 IBID_DATA_DIR=$work/data IBID_LOCAL_MODEL=off \
    IBID_ENCODER_MODEL=off IBID_UPSTREAM_URL=http://127.0.0.1:9190/v1 taskset -c 1 "$ibid" serve 2>"$work/log" & pids+=("$!")
url=http://127.0.0.1:9191/v1/chat/completions
for _ in $(seq 200); do curl -sf 127.0.0.1:9192/healthz >/dev/null && break; sleep 0.05; done
printf '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}' >"$work/body"
head=(-H 'content-type: application/json' -H 'authorization: Bearer k')
for _ in 1 2; do curl -sf "${head[@]}" -d @"$work/body" -o /dev/null "$url"; done
cat >"$work/load.lua" <<'LUA'
wrk.method = "POST"
wrk.body = '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}'
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer k"
LUA

ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/${pids[1]}/stat"; }
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
middle() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

declare -A rates cpus
add() { rates[$1]+="$rate"$'\n'; cpus[$1]+="$cpu"$'\n'; }
for r in $(seq "$rounds"); do
    [ -n "$quiet" ] || echo "bench: round $r of $rounds" >&2
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
