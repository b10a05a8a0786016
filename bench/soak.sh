#!/usr/bin/env bash
# Half an hour of everything at once: does memory or the number of open files grow? Stores and caches are small, so
# that they are full when the minutes begin that the last three are compared with (from the sixth on; of short runs one minute after a third).
#
#     bench/soak.sh [--minutes N] [--rate N] [--quiet]
#
# Needs build/release/ibid, both default models, a C compiler, python3; exit status 77 without them. Ends with 1 when memory
# grew by more than 1 %, files by more than 8, or an answer was lost. build/bench/soak.tsv has the samples.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
minutes=30 rate=40 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --minutes) minutes=$2; shift ;;
    --rate) rate=$2; shift ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,8p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
ibid=${IBID_BIN:-$root/build/release/ibid}
for tool in cc python3; do
    command -v "$tool" >/dev/null || { echo "soak: $tool is missing (apt install gcc python3)"; exit 77; }
done
[ -x "$ibid" ] || { echo "soak: build/release/ibid is missing; build it first"; exit 77; }
for model in all-minilm-l6-v2 smollm2-135m-instruct; do
    "$ibid" models show "$model" >/dev/null 2>&1 || { echo "soak: the model is missing: ibid models pull $model"; exit 77; }
done
work=$(mktemp -d)
pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
mkdir -p "$root/build/bench"
cc -O2 -o "$work/stub" "$root/bench/load/stub.c"
read -r up port admin <<<"$(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[x.getsockname()[1] for x in s])')"
"$work/stub" "$up" & pids+=($!)
cat >"$work/ibid.yaml" <<END
listen: 127.0.0.1:$port
admin: {listen: 127.0.0.1:$admin}
data_dir: $work/data
log_level: error
upstream: {url: 'http://127.0.0.1:$up'}
store: {entries_max: 1000, bytes_max: 16MiB, memory_entries_max: 500, memory_bytes_max: 2MiB}
explain: {bytes_max: 256KiB}
local: {priority: normal, cache_tokens: 2048, context_max: 512, max_tokens: 64}
END
"$ibid" serve -c "$work/ibid.yaml" & one=$!
pids+=("$one")
for _ in $(seq 300); do "$ibid" health --quiet -c "$work/ibid.yaml" 2>/dev/null && break; sleep 0.1; done
[ -n "$quiet" ] || echo "soak: $minutes minutes at $rate requests a second" >&2
status=0
SOAK_TOKEN=$work/data/admin.token python3 "$root/bench/load/soak.py" "$port" "$admin" "$one" "$minutes" "$rate" "$root/build/bench/soak.tsv" || status=$?
kill "$one" && wait "$one" || { echo "soak: ibid did not end well" >&2; status=1; }
exit "$status"
