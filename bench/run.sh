#!/usr/bin/env bash
# The load bench: exact hits, misses, semantic hits and a mix, side by side with nginx in
# the same run. wrk and the stub upstream on core 0, the proxy on core 1; loads of one
# connection with everything on core 1.
#
#     bench/run.sh [--rounds N] [--seconds S] [--quick] [--large] [--quiet]
#
# --large: also 100,000 entries in one partition (some minutes to fill it).
#
# Needs build/release/ibid, nginx, wrk, curl, python3, a C compiler; the encoder's model for
# the semantic rows (they are left out, with a word, without it). Writes its figures to
# build/bench/load.json and prints one table.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/bench/load
work=$root/build/bench
rounds=3 seconds=5 quiet= large=
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --quick) rounds=1 seconds=2 ;;
    --large) large=1 ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,14p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
say() { [ -n "$quiet" ] || echo "bench: $*" >&2; }
for tool in wrk nginx curl cc python3 taskset; do
    command -v "$tool" >/dev/null || { echo "bench: $tool is missing (apt install wrk nginx-light curl gcc python3 util-linux)"; exit 77; }
done
ibid=$root/build/release/ibid
[ -x "$ibid" ] || { echo "bench: build/release/ibid is missing; build it first"; exit 77; }
[ "$(nproc)" -ge 2 ] || { echo "bench: two cores are needed"; exit 77; }
rm -rf "$work"
mkdir -p "$work"
models=${IBID_MODEL_DIR:-$HOME/.cache/ibid/models}
semantic=
[ -f "$models/all-minilm-l6-v2/model.safetensors" ] && semantic=1

pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop EXIT

cc -O2 -o "$work/stub" "$here/stub.c"
stub=9100
taskset -c 0 "$work/stub" $stub & stub_pid=$!
pids+=("$stub_pid")

nginx_conf() { # NAME PORT LOCATION
    mkdir -p "$work/$1"
    cat >"$work/$1.conf" <<EOF
daemon off; worker_processes 1; pid $work/$1.pid; error_log $work/$1/error.log warn;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_body_buffer_size 64k;
  client_body_temp_path $work/$1/b; proxy_temp_path $work/$1/p; fastcgi_temp_path $work/$1/f;
  uwsgi_temp_path $work/$1/u; scgi_temp_path $work/$1/s;
  upstream stub { server 127.0.0.1:$stub; keepalive 128; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:$2 backlog=1024; default_type application/json; location / { $3 } }
}
EOF
    taskset -c 1 nginx -c "$work/$1.conf" -e "$work/$1/error.log" &
    pids+=("$!")
    pid[$1]=$!
    url[$1]=http://127.0.0.1:$2/v1/chat/completions
}

start_ibid() { # NAME PORT VARIABLES…
    local name=$1 port=$2
    shift 2
    env "$@" IBID_LISTEN=127.0.0.1:"$port" IBID_ADMIN_LISTEN=127.0.0.1:$((port + 1)) \
        IBID_DATA_DIR="$work/$name" IBID_MODEL_DIR="$models" IBID_LOCAL_MODEL=off \
        IBID_UPSTREAM_URL=http://127.0.0.1:$stub/v1 taskset -c 1 "$ibid" serve 2>"$work/$name.log" &
    pids+=("$!")
    pid[$name]=$!
    url[$name]=http://127.0.0.1:$port/v1/chat/completions
    for _ in $(seq 200); do
        curl -sf "127.0.0.1:$((port + 1))/healthz" >/dev/null && return
        sleep 0.02
    done
    echo "bench: ibid did not start:" && cat "$work/$name.log" && exit 1
}

declare -A pid url
for _ in $(seq 100); do curl -s "127.0.0.1:$stub/stats" >/dev/null && break; sleep 0.02; done
body=$(curl -s "http://127.0.0.1:$stub/v1/chat/completions" -d '{}')
nginx_conf nginx-return 9201 "return 200 '${body//\'/\\\'}';"
nginx_conf nginx-proxy 9202 "proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection \"\";"
start_ibid ibid 9210 IBID_ENCODER_MODEL=off IBID_CACHE_SEMANTIC=off
start_ibid ibid-relay 9220 IBID_ENCODER_MODEL=off IBID_CACHE_SEMANTIC=off IBID_CACHE_EXACT=off
# A credential must be proven once before a hit is served to it.
for p in 9210 9220; do
    curl -s -o /dev/null "127.0.0.1:$p/v1/chat/completions" -H 'Authorization: Bearer sk-bench' \
        -d '{"model":"m","messages":[{"role":"user","content":"hello"}]}'
done

measure() { # NAME LOADS
    STATS=http://127.0.0.1:$stub/stats PID=${pid[$1]} STUB_PID=$stub_pid C1_CPU=1 DUR=$seconds LOADS=$2 \
        "$here/measure.sh" "$1" "${url[$1]}" >>"$work/runs.jsonl"
}
for round in $(seq "$rounds"); do
    say "round $round of $rounds"
    measure nginx-return "exact_1 exact_64"
    measure ibid "exact_1 exact_64"
    measure nginx-proxy "unique_1 unique_64"
    measure ibid "unique_1 unique_64"
    measure ibid-relay "unique_1 unique_64"
done
# A writer that gets no time of a busy core loses answers, and counts them.
sleep 1
curl -s 127.0.0.1:9211/metrics | awk '$1 == "ibid_cache_stored_total" { s = $2 } $1 == "ibid_store_dropped_total" { d = $2 }
    END { printf "{\"kept\": %d, \"not written (ibid_store_dropped_total)\": %d, \"share\": %.4f}\n", s, d, (s > 0 ? d / s : 0) }' >"$work/stored.json"
if [ -n "$semantic" ]; then
    start_ibid ibid-semantic 9230 IBID_ENCODER_MODEL=all-minilm-l6-v2 IBID_STORE_URL=memory: IBID_ENCODER_QUEUE_MAX=100000 IBID_STORE_MEMORY_BYTES_MAX=1GiB IBID_STORE_MEMORY_ENTRIES_MAX=1000000 IBID_CACHE_INDEX_BYTES_MAX=1GiB
    say "semantic hits at 10,000 entries of one partition"
    python3 "$here/semantic.py" "${url[ibid-semantic]}" http://127.0.0.1:9231 "$work/ibid-semantic/admin.token" \
        >"$work/semantic.json"
    if [ -n "$large" ]; then
        say "semantic hits at 100,000 entries of one partition"
        python3 "$here/semantic.py" "${url[ibid-semantic]}" http://127.0.0.1:9231 "$work/ibid-semantic/admin.token" 100000 \
            >"$work/semantic-large.json"
    fi
    say "exact hits while texts are embedded"
    python3 "$here/interference.py" "${url[ibid-semantic]}" "$here/load.lua" >"$work/interference.json"
else
    say "the encoder's model is missing: no semantic rows (ibid models pull all-minilm-l6-v2)"
fi
python3 "$here/table.py" "$work" | tee "$work/load.md"
