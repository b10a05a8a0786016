#!/usr/bin/env bash
# What `ibid tune router` learns from recorded outcomes of a small and a large model: learned on
# one half (every other line), tested on the other, both ways.
# IBID_EVAL names a folder with dev/routing/{mmlu,gsm8k}.jsonl.gz; without it: 77, skipped.
# usage: bench/router.sh [IBID ARGUMENTS…]     (--no-encoder: what the texts show alone)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ibid=${IBID_BIN:-$here/../build/release/ibid}
[ -n "${IBID_EVAL:-}" ] && [ -d "$IBID_EVAL/dev/routing" ] || { echo "bench/router.sh: set IBID_EVAL" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for set in mmlu gsm8k; do
    gzip -dc "$IBID_EVAL/dev/routing/$set.jsonl.gz" |
        awk -v a="$work/$set.0" -v b="$work/$set.1" '{ print > (NR % 2 ? a : b) }'
    for half in 0 1; do
        "$ibid" tune router "$work/$set.$half" --test "$work/$set.$((1 - half))" --json "$@" >"$work/out"
        "${IBID_PYTHON:-python3}" - "$set" "$half" "$work/out" <<'PY'
import json, sys
name, half, path = sys.argv[1:]
t = json.load(open(path))["tested"]
print(f"{name} half {half}: APGR {t['apgr']:.4f}  CPT(50 %) {t['cpt50']:.4f}  ECE {t['ece']:.4f}  "
      f"({t['questions']} questions, {t['with_vector']} with a vector)", flush=True)
PY
    done
done
