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
. "$(dirname "$0")/lib.sh"
loops="1 2" requests=100000 rounds=3 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --loops) loops=$2; shift ;;
    --requests) requests=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --quiet) quiet=1 ;;
    *) usage ;;
    esac
    shift
done
need_tools h2load curl openssl cc python3
need_ibid

certificate
compile stub
read -r up <<<"$(free_ports 1)"
start "$work/stub" "$up"
printf '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}' >"$work/body"
head=(-H 'content-type: application/json' -H 'authorization: Bearer k')
path=/v1/chat/completions
declare -A server plain_port tls_port rates times waits
for n in $loops; do
    read -r plain tls admin <<<"$(free_ports 3)"
    log=$work/log$n
    start env IBID_LOOPS="$n" IBID_LISTEN=127.0.0.1:"$plain",tls:127.0.0.1:"$tls" \
        IBID_ADMIN_LISTEN=127.0.0.1:"$admin" IBID_TLS_CERT_FILE="$work/cert.pem" IBID_TLS_KEY_FILE="$work/key.pem" \
        IBID_DATA_DIR="$work/data$n" IBID_LOCAL_MODEL=off IBID_ENCODER_MODEL=off IBID_UPSTREAM_URL=http://127.0.0.1:"$up"/v1 \
        "$ibid" serve
    server[$n]=$pid plain_port[$n]=$plain tls_port[$n]=$tls
    until_answered "127.0.0.1:$admin/healthz"
    for _ in 1 2; do curl -sf "${head[@]}" -d @"$work/body" -o /dev/null "http://127.0.0.1:$plain$path"; done
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
    read -r -a a <<<"$(ticks "${server[$2]}")"
    out=$(h2load --h1 -c 64 -n "$requests" "${head[@]}" -d "$work/body" "$3")
    read -r -a b <<<"$(ticks "${server[$2]}")"
    grep -q "^status codes: $requests 2xx" <<<"$out" || { echo "$out" >&2; failed=1; }
    rates[$1 $2]+="$(awk -F'[ ,]+' '/^finished in/ { print int($4) }' <<<"$out")"$'\n'
    times[$1 $2]+="$(awk -v f=$((b[0] - a[0])) -v t=$((b[1] - a[1])) -v n="$requests" \
        'BEGIN { printf "%.1f + %.1f", f * 1e4 / n, (t - f) * 1e4 / n }')"$'\n'
    # One after the other: the way of a request is what counts.
    out=$(h2load --h1 -c 1 -n 3000 "${head[@]}" -d "$work/body" "$3")
    waits[$1 $2]+="$(awk '/^time for request/ { print $6 }' <<<"$out")"$'\n'
}
for r in $(seq "$rounds"); do
    say "round $r of $rounds"
    for n in $loops; do
        round plain "$n" "http://127.0.0.1:${plain_port[$n]}$path"
        round TLS "$n" "https://127.0.0.1:${tls_port[$n]}$path"
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
