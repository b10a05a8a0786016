#!/usr/bin/env bash
# What a store of so many entries takes: the file, the start, memory; and a search of its index. One partition, the worst
# case for a search; answers of 600 bytes. Ends with 1 when a start takes more than 10 s until all can be found.
#
#     bench/sizing.sh [--entries "10000 100000 1000000"] [--folder DIR] [--no-search] [--quiet]
#
# Needs build/release/ibid, bin/store_bench and bin/index_bench (ninja -C build/release ibid store_bench index_bench), python3;
# exit status 77 without them. A million entries take 4 GB of disk below --folder (default: build/bench/sizing; stores that are
# there are used again) and ten minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
entries="10000 100000 1000000" folder=$root/build/bench/sizing search=1 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --entries) entries=$2; shift ;;
    --folder) folder=$2; shift ;;
    --no-search) search= ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
bin=$root/build/release
ibid=${IBID_BIN:-$bin/ibid}
command -v python3 >/dev/null || { echo "sizing: python3 is missing (apt install python3)"; exit 77; }
for one in "$ibid" "$bin/bin/store_bench" "$bin/bin/index_bench"; do
    [ -x "$one" ] || { echo "sizing: $one is missing; build it first (ninja -C build/release ibid store_bench index_bench)"; exit 77; }
done
mkdir -p "$folder"
status=0
for n in $entries; do
    if [ ! -f "$folder/$n/entries.lmdb" ]; then
        [ -n "$quiet" ] || echo "sizing: a store of $n entries" >&2
        "$bin/bin/store_bench" lmdb: "$n" 600 "$folder/$n" 1 >"$folder/$n.store"
    fi
    python3 "$root/bench/load/sizing.py" "$ibid" "$folder/$n" "$n" || status=1
done
[ -z "$search" ] || for n in $entries; do
    "$bin/bin/index_bench" --fresh "$n" | grep -E '^(vectors|random|clustered)'
done
exit "$status"
