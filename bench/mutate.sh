#!/usr/bin/env bash
# Broken model files: N copies (a million) of the corpora of tests/fuzz, each with a few bits,
# sizes or offsets changed, opened and computed with under ASan and UBSan with a limit to what
# may be allocated for a byte of file. Prints a line for each kind of file; exit status 1: one
# crashed, took too much or was slow. The copies that did are kept in build/mutate.
#
#   bench/mutate.sh [N]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
count=${1:-1000000}
cmake --preset asan >/dev/null
cmake --build --preset asan --target mutate_gguf mutate_safetensors mutate_tokenizer mutate_adapter mutate_importance >/dev/null
mkdir -p build/mutate
cd build/mutate
bad=0
run() {
    "$root/build/asan/bin/mutate_$1" "$root/tests/fuzz/corpus/$1" "$2" 2>"$1.log" || bad=1
}
run gguf $((count * 6 / 10))
run safetensors $((count / 10))
run adapter $((count / 10))
run importance $((count / 10))
run tokenizer $((count - count * 6 / 10 - 3 * (count / 10)))
exit $bad
