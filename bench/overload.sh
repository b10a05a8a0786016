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
. "$(dirname "$0")/lib.sh"
seconds=60 parts="encoder model"
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift ;;
    --quick) seconds=10 ;;
    --part) parts=$2; shift ;;
    *) usage ;;
    esac
    shift
done
need_tools cc curl python3 taskset
need_ibid
need_models all-minilm-l6-v2 smollm2-135m-instruct
compile stub
read -r up port admin <<<"$(free_ports 3)"
start taskset -c 0 "$work/stub" "$up"
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
    start taskset -c 1 "$ibid" serve -c "$work/$part.yaml"
    until_answered "127.0.0.1:$admin/readyz"
    taskset -c 0 python3 "$root/bench/load/overload.py" "$part" "$port" "$admin" "$seconds" || status=$?
    kill "$pid" && wait "$pid" || true
done
exit $status
