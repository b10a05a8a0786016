#!/usr/bin/env bash
# What further loops are worth: exact hits a second, plain and through TLS, with 1, 2, … loops, and
# the processor time of a hit by thread: of the first loop, which works on requests, and of those
# that read and write sockets. Then how long one client waits that asks alone.
#
#     bench/loops.sh [--loops "1 2"] [--requests N] [--rounds N] [--quiet]
#
# The load generator and the stub share the processors with ibid: on a machine of two the rates say
# little; the time of a hit by thread says what a larger one would do. Needs build/release/ibid,
# h2load, curl, openssl, a C compiler. Ends with 1 when a request failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/build/bench/loops
loops="1 2" requests=100000 rounds=3 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --loops) loops=$2; shift ;;
    --requests) requests=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
for tool in h2load curl openssl cc; do
    command -v "$tool" >/dev/null || { echo "bench: $tool is missing (apt install nghttp2-client curl openssl gcc)"; exit 77; }
done
ibid=$root/build/release/ibid
[ -x "$ibid" ] || { echo "bench: build/release/ibid is missing; build it first"; exit 77; }
rm -rf "$work"
mkdir -p "$work"
pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 30 \
    -subj /CN=bench -addext subjectAltName=IP:127.0.0.1 2>/dev/null
cc -O2 -o "$work/stub" "$root/bench/load/stub.c"
"$work/stub" 9300 & pids+=("$!")
printf '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}' >"$work/body"
head=(-H 'content-type: application/json' -H 'authorization: Bearer k')
path=/v1/chat/completions
declare -A pid port rates times waits
at=9301
for n in $loops; do
    port[$n]=$at
    IBID_LOOPS=$n IBID_LISTEN=127.0.0.1:$at,tls:127.0.0.1:$((at + 1)) IBID_ADMIN_LISTEN=127.0.0.1:$((at + 2)) \
        IBID_TLS_CERT_FILE=$work/cert.pem IBID_TLS_KEY_FILE=$work/key.pem IBID_DATA_DIR=$work/data$n \
        IBID_LOCAL_MODEL=off IBID_ENCODER_MODEL=off IBID_UPSTREAM_URL=http://127.0.0.1:9300/v1 "$ibid" serve 2>"$work/log$n" &
    pid[$n]=$! pids+=("$!")
    for _ in $(seq 200); do curl -sf "127.0.0.1:$((at + 2))/healthz" >/dev/null && break; sleep 0.05; done
    for _ in 1 2; do curl -sf "${head[@]}" -d @"$work/body" -o /dev/null "http://127.0.0.1:$at$path"; done
    at=$((at + 3))
done

failed=0
# Ticks (10 ms) of the first thread, and of all.
ticks() {
    local first all
    first=$(sed 's/.*) //' "/proc/$1/task/$1/stat" | awk '{ print $12 + $13 }')
    all=$(cat "/proc/$1"/task/*/stat | sed 's/.*) //' | awk '{ n += $12 + $13 } END { print n }')
    echo "$first $all"
}
# KIND LOOPS URL: a round; what is measured goes to the tables.
round() {
    local out a b
    read -r -a a <<<"$(ticks "${pid[$2]}")"
    out=$(h2load --h1 -c 64 -n "$requests" "${head[@]}" -d "$work/body" "$3")
    read -r -a b <<<"$(ticks "${pid[$2]}")"
    grep -q "^status codes: $requests 2xx" <<<"$out" || { echo "$out" >&2; failed=1; }
    rates[$1 $2]+="$(awk -F'[ ,]+' '/^finished in/ { print int($4) }' <<<"$out")"$'\n'
    times[$1 $2]+="$(awk -v f=$((b[0] - a[0])) -v t=$((b[1] - a[1])) -v n="$requests" \
        'BEGIN { printf "%.1f + %.1f", f * 1e4 / n, (t - f) * 1e4 / n }')"$'\n'
    # One after the other: the way of a request is what counts.
    out=$(h2load --h1 -c 1 -n 3000 "${head[@]}" -d "$work/body" "$3")
    waits[$1 $2]+="$(awk '/^time for request/ { print $6 }' <<<"$out")"$'\n'
}
middle() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }
for r in $(seq "$rounds"); do
    [ -n "$quiet" ] || echo "bench: round $r of $rounds" >&2
    for n in $loops; do
        round plain "$n" "http://127.0.0.1:${port[$n]}$path"
        round TLS "$n" "https://127.0.0.1:$((port[$n] + 1))$path"
    done
done
printf '%-8s %-6s %12s %28s %16s\n' loops "" "hits/s" "µs a hit: first + others" "alone, mean"
for kind in plain TLS; do
    for n in $loops; do
        printf '%-8s %-6s %12s %28s %16s\n' "$n" "$kind" "$(printf %s "${rates[$kind $n]}" | middle)" \
            "$(printf %s "${times[$kind $n]}" | middle)" "$(printf %s "${waits[$kind $n]}" | middle)"
    done
done
[ "$failed" = 0 ]
