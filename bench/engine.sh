#!/usr/bin/env bash
# Our engine beside the references, in turn on the same files: llama.cpp (built from the source
# package of llama-cpp-python, which carries its whole tree) and ONNX Runtime.
#
#     bench/engine.sh [--rounds N] [--only PART]… [--json] [--quiet]
#
# PART: encoder, smollm, depth, gemma, contention, together, quality; all without it. Prints one table:
# ratios, the median of N rounds (5), and their spread. Exit status 1: perplexity or cosine is
# beyond its bound; timings never decide. 77: something that it needs is missing.
#
# Needs build/release/ibid, the models (ibid models pull …; what is not there is left out, with
# a word), cmake, ninja, g++, python3 with pip and venv, taskset. What it builds stays in
# ~/.cache/ibid/reference (IBID_REFERENCE_DIR): some 4 minutes on two cores, once.
set -euo pipefail
quiet=
. "$(dirname "$0")/../deploy/lib.sh"
reference=${IBID_REFERENCE_DIR:-$cache/reference}
models=${IBID_MODEL_DIR:-$cache/models}
ibid=${IBID_BIN:-$root/build/release/ibid}
llama_cpp_python=0.3.36
python_packages=(onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 tokenizers==0.23.3)
args=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --only) [ $# -gt 1 ] || die "$1 needs a value"; args+=("$1" "$2"); shift ;;
    --json) args+=("$1") ;;
    --quiet) quiet=1; args+=("$1") ;;
    --help | -h) sed -n '2,14p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) sed -n '2,14p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
    esac
    shift
done
skip() { echo "engine: $*" >&2; exit 77; }
step() { timed "$@" >&2 || skip "without this step there is nothing to compare with"; }

for tool in cmake ninja g++ python3 taskset; do
    command -v "$tool" >/dev/null || skip "$tool is missing (apt-get install cmake ninja-build g++ python3-pip python3-venv util-linux)"
done
[ -x "$ibid" ] || skip "build/release/ibid is missing; build it first"

build_llama() {
    local package=$reference/sdist/llama_cpp_python-$llama_cpp_python
    if [ ! -d "$package" ]; then
        # Of this package only: for all of them pip would build the build tools, too.
        python3 -m pip download -q --no-binary llama-cpp-python --no-deps -d "$reference/sdist" \
            "llama-cpp-python==$llama_cpp_python" &&
            tar xzf "$package.tar.gz" -C "$reference/sdist" || return
    fi
    cmake -S "$package/vendor/llama.cpp" -B "$reference/llama-build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF \
        -DLLAMA_BUILD_TESTS=OFF -DLLAMA_OPENSSL=OFF &&
        ninja -C "$reference/llama-build" llama-bench llama-perplexity llama-quantize llama-imatrix
}

get_onnx() {
    rm -rf "$reference/onnx" && python3 -m venv "$reference/onnx" &&
        "$reference/onnx/bin/pip" install -q --disable-pip-version-check "${python_packages[@]}" &&
        printf '%s\n' "${python_packages[*]}" >"$reference/onnx/.stamp"
}

mkdir -p "$reference"
[ -x "$reference/llama-build/bin/llama-imatrix" ] || step "llama.cpp" build_llama
[ "$(cat "$reference/onnx/.stamp" 2>/dev/null)" = "${python_packages[*]}" ] || step "ONNX Runtime" get_onnx

# model NAME PATTERN OPTION
model() {
    local path
    path=$(find "$models/$1" -maxdepth 1 -name "$2" -print -quit 2>/dev/null || true)
    if [ -n "$path" ]; then
        args+=("--$3" "$path")
    else
        echo "engine: $1 is not in $models: left out (ibid models pull $1)" >&2
    fi
}
model smollm2-135m-instruct '*.gguf' smollm
model gemma-3-270m '*.gguf' gemma
if [ -f "$models/all-minilm-l6-v2/model.safetensors" ]; then
    args+=(--encoder "$models/all-minilm-l6-v2")
else
    echo "engine: all-minilm-l6-v2 is not in $models: left out (ibid models pull all-minilm-l6-v2)" >&2
fi
exec "$reference/onnx/bin/python" "$root/bench/engine/compare.py" --ibid "$ibid" \
    --llama "$reference/llama-build/bin" --work "$reference" "${args[@]}"
