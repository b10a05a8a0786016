#!/usr/bin/env bash
# Half an hour of everything at once: does memory or the number of open files grow? Stores and caches are small, so
# that they are full when the minutes begin that the last three are compared with (from the sixth on; of short runs one minute after a third).
#
#     bench/soak.sh [--minutes N] [--rate N] [--quiet]
#
# Needs build/release/ibid, both default models, a C compiler, curl, python3; exit status 77 without them. Ends with 1 when memory
# grew by more than 1 %, files by more than 8, or an answer was lost. build/bench/soak.tsv has the samples.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
minutes=30 rate=40
while [ $# -gt 0 ]; do
    case $1 in
    --minutes) minutes=$2; shift ;;
    --rate) rate=$2; shift ;;
    --quiet) quiet=1 ;;
    *) usage ;;
    esac
    shift
done
need_tools cc curl python3
need_ibid
need_models all-minilm-l6-v2 smollm2-135m-instruct
compile stub
mkdir -p "$root/build/bench"
read -r up port admin <<<"$(free_ports 3)"
start "$work/stub" "$up"
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
start "$ibid" serve -c "$work/ibid.yaml"
until_answered "127.0.0.1:$admin/readyz"
say "$minutes minutes at $rate requests a second"
status=0
SOAK_TOKEN=$work/data/admin.token python3 "$root/bench/load/soak.py" "$port" "$admin" "$pid" "$minutes" "$rate" "$root/build/bench/soak.tsv" || status=$?
kill "$pid" && wait "$pid" || { say "ibid did not end well"; status=1; }
exit "$status"
