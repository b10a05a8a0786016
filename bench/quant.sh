#!/usr/bin/env bash
# What each type of weights costs and gives: file, RAM, perplexity and its loss to F16, speed of
# prompt and decoding, for the local models; for the encoder, Spearman's correlation on the STSb
# test set.
#
#     bench/quant.sh [--only PART]… [--types "TYPE…"] [--rounds N] [--text FILE] [--json] [--quiet]
#
# PART: smollm, gemma, encoder (all without it), and of these quality, speed (both without it).
# What was measured before is kept in ~/.cache/ibid/quant (IBID_QUANT_DIR) with the files, and
# parts of it are replaced: so that speed can be measured again, alone, in a quiet minute.
# --text: of the perplexity (bench/engine/ppl.txt). The importance matrix is made from README.md
# and docs/. Exit status 77: something that it needs is missing.
#
# The models of `ibid models pull` are quantized already: F16 is what they are as floats, so a
# loss is what a second rounding adds.
#
# Needs build/release/ibid, the models, python3; the STSb test set as stsb-en-test.csv in the
# folder encoder of IBID_EVAL (../shared/eval).
set -euo pipefail
quiet=
. "$(dirname "$0")/../deploy/lib.sh"
models=${IBID_MODEL_DIR:-$cache/models}
work=${IBID_QUANT_DIR:-$cache/quant}
ibid=${IBID_BIN:-$root/build/release/ibid}
usage() { sed -n '2,20p' "$0" | sed 's/^# \{0,1\}//'; }
args=()
while [ $# -gt 0 ]; do
    case $1 in
    --only | --types | --rounds | --text) [ $# -gt 1 ] || die "$1 needs a value"; args+=("$1" "$2"); shift ;;
    --json | --quiet) args+=("$1") ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
skip() { echo "quant: $*" >&2; exit 77; }

command -v python3 >/dev/null || skip "python3 is missing (apt-get install python3)"
[ -x "$ibid" ] || skip "build/release/ibid is missing; build it first"
found=
# model NAME PATTERN OPTION
model() {
    local path
    path=$(find "$models/$1" -maxdepth 1 -name "$2" -print -quit 2>/dev/null || true)
    if [ -n "$path" ]; then
        args+=("--$3" "$path")
        found=1
    else
        echo "quant: $1 is not in $models: left out (ibid models pull $1)" >&2
    fi
}
model smollm2-135m-instruct '*.gguf' smollm
model gemma-3-270m '*.gguf' gemma
eval=${IBID_EVAL:-$root/../shared/eval}
if [ ! -f "$eval/encoder/stsb-en-test.csv" ]; then
    echo "quant: no encoder/stsb-en-test.csv in $eval: the encoder is left out (IBID_EVAL=folder)" >&2
else
    model all-minilm-l6-v2 model.safetensors encoder
    args+=(--stsb "$eval/encoder/stsb-en-test.csv")
fi
[ -n "$found" ] || skip "there is no model to measure"
mkdir -p "$work"
# They are no settings of the program, which refuses such names.
exec env -u IBID_QUANT_DIR -u IBID_EVAL -u IBID_BIN python3 "$root/bench/engine/quant_table.py" --ibid "$ibid" --work "$work" "${args[@]}"
