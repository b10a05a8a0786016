#!/usr/bin/env bash
# Three times what it can do: questions for the encoder (long ones never asked before, an upstream behind it), and for the
# built-in model alone. First as many as are answered when each client waits for its answer, then three times as many a
# second whatever becomes of those before, then a third of the peak.
#
#     bench/overload.sh [--seconds N] [--quick] [--part encoder|model]
#
# Needs build/release/ibid, both default models, a C compiler, python3; exit status 77 without them; 1 when less than 80 %
# of the peak is answered meanwhile, a request is neither answered nor refused with 503 and Retry-After, or it takes more
# than 5 s until requests are again answered as before. Nothing else should run meanwhile.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
seconds=60 parts="encoder model"
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift ;;
    --quick) seconds=10 ;;
    --part) parts=$2; shift ;;
    *) sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
ibid=${IBID_BIN:-$root/build/release/ibid}
for tool in cc python3 taskset; do
    command -v "$tool" >/dev/null || { echo "overload: $tool is missing (apt install gcc python3 util-linux)"; exit 77; }
done
[ -x "$ibid" ] || { echo "overload: build/release/ibid is missing; build it first"; exit 77; }
for model in all-minilm-l6-v2 smollm2-135m-instruct; do
    "$ibid" models show "$model" >/dev/null 2>&1 || { echo "overload: the model is missing: ibid models pull $model"; exit 77; }
done
work=$(mktemp -d)
pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
cc -O2 -o "$work/stub" "$root/bench/load/stub.c"
read -r up port admin <<<"$(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[x.getsockname()[1] for x in s])')"
taskset -c 0 "$work/stub" "$up" & pids+=($!)
status=0
for part in $parts; do
    {
        echo "listen: 127.0.0.1:$port"
        echo "admin: {listen: 127.0.0.1:$admin}"
        echo "data_dir: $work/$part"
        echo "store: {url: 'memory:'}"
        echo "log_level: warn"
        if [ "$part" = encoder ]; then
            echo "upstream: {url: 'http://127.0.0.1:$up'}"
            echo "local: {model: 'off'}"
        else
            echo "encoder: {model: 'off'}"
            echo "local: {model: smollm2-135m-instruct, priority: low, queue_max: 16}"
        fi
    } >"$work/$part.yaml"
    taskset -c 1 "$ibid" serve -c "$work/$part.yaml" & one=$!
    pids+=("$one")
    for _ in $(seq 100); do "$ibid" health -c "$work/$part.yaml" >/dev/null 2>&1 && break; sleep 0.1; done
    taskset -c 0 python3 "$root/bench/load/overload.py" "$part" "$port" "$admin" "$seconds" || status=$?
    kill "$one" && wait "$one" || true
done
exit $status
