#!/usr/bin/env bash
# All tests, from a bare Debian 12: packages, FAISS, models, builds with gcc and clang and
# under the sanitizers, end to end, a short fuzz, the engine for aarch64. The last line counts.
#
#   tests/run.sh            under 25 minutes on two cores
#   tests/run.sh --all      also clang-tidy, cppcheck, long fuzz, slow end-to-end tests
#   tests/run.sh --quick    release build only: lint, unit, golden, flow, end to end
set -uo pipefail
. "$(dirname "$0")/../deploy/lib.sh"
cd "$root" || exit 1

all= quick=
for arg in "$@"; do
    case $arg in
    --all) all=1 ;;
    --quick) quick=1 ;;
    --help | -h) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die "'$arg' is not understood (--all, --quick)" ;;
    esac
done

test_packages=(
    clang libclang-rt-14-dev libomp-dev clang-format clang-tidy cppcheck curl redis-server iproute2 nginx-light wrk nghttp2-client python3-venv prometheus
    chromium fonts-dejavu-core zsh fish
)
cross_packages=(
    gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
)
venv=$cache/venv
clients=$cache/clients
results=$root/build/results
jobs=$(nproc 2>/dev/null || echo 2)
passed=0 failed=0 skipped=0
export CTEST_OUTPUT_ON_FAILURE=1
export UBSAN_OPTIONS=print_stacktrace=1

# Adds the figures of a JUnit file; `what` counts as one failure when there is none.
count() {
    local what=$1 file=$2 figures
    figures=$(python3 - "$file" <<'PY'
import sys
import xml.etree.ElementTree as tree
try:
    root = tree.parse(sys.argv[1]).getroot()
except (OSError, tree.ParseError):
    sys.exit(1)
suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
ran = failed = skipped = 0
for suite in suites:
    number = lambda name: int(suite.get(name) or 0)
    ran += number("tests")
    failed += number("failures") + number("errors")
    skipped += number("skipped") + number("disabled")
print(ran - failed - skipped, failed, skipped)
PY
    ) || { echo "$what: no result"; failed=$((failed + 1)); return; }
    # shellcheck disable=SC2086
    set -- $figures
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    printf '%-34s%d passed, %d failed, %d skipped\n' "  $what" "$1" "$2" "$3"
}

# A step without tests of its own: only its failure counts.
must() {
    timed "$@" || { failed=$((failed + 1)); return 1; }
}

# tests PRESET [CTEST ARGUMENTS…]
tests() {
    local preset=$1 file=$results/$1.xml
    shift
    rm -f "$file"
    timed "test $preset" ctest --preset "$preset" -j "$jobs" --output-junit "$file" "$@"
    count "$preset" "$file"
}

build_and_test() {
    local preset=$1
    shift
    must "build $preset" build "$preset" && tests "$preset" "$@"
}

# The engine and its tests for aarch64, run by an emulator.
cross_built() {
    need_packages "${cross_packages[@]}"
    must "libraries for aarch64" deploy/aarch64.sh && build_and_test aarch64 -L 'unit|golden' -E 'answers|importance'
}

# venv_ready FOLDER REQUIREMENTS: made anew when the requirements changed.
venv_ready() {
    local folder=$1 requirements=$2 stamp
    stamp=$(sha256sum "$requirements")
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
    rm -rf "$folder"
    python3 -m venv "$folder" &&
        "$folder/bin/pip" install -q --disable-pip-version-check -r "$requirements" &&
        printf '%s\n' "$stamp" >"$folder/.stamp"
}

# node_ready FOLDER LOCKED: what the lock file in LOCKED pins.
node_ready() {
    local folder=$1 locked=$2 stamp
    stamp=$(sha256sum "$locked/package-lock.json")
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
    rm -rf "$folder"
    mkdir -p "$folder" && cp "$locked/package.json" "$locked/package-lock.json" "$folder" &&
        (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund) &&
        printf '%s\n' "$stamp" >"$folder/.stamp"
}

end_to_end() {
    local file=$results/e2e.xml args=() limit=1800
    [ -n "$(find tests/e2e -name 'test_*.py' -print -quit)" ] || return 0
    if [ -n "$all" ]; then limit=3600; else args=(-m "not slow"); fi
    rm -f "$file"
    timed "test end to end" env IBID_BIN="$root/build/release/ibid" timeout "$limit" \
        "$venv/bin/python" -m pytest -q tests/e2e -n $jobs --dist loadfile --junitxml "$file" "${args[@]}"
    count "end to end" "$file"
}

versions() {
    local tool
    for tool in gcc clang cmake ninja python3 node redis-server; do
        printf '%s: %s\n' "$tool" "$("$tool" --version 2>/dev/null | head -n 1)"
    done
}

clang_tidy() {
    git ls-files 'src/*.c' 'cache/*.c' 'engine/*.c' |
        xargs -P "$jobs" -n 8 clang-tidy -p build/clang --quiet --warnings-as-errors='*'
}

cpp_check() {
    cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
        --suppress=missingIncludeSystem --error-exitcode=1 -j "$jobs" -I src -I . src cache engine
}

long_fuzz() {
    local program name bad=0
    for program in build/fuzz/bin/fuzz_*; do
        name=${program##*/fuzz_}
        "$program" -max_total_time=120 -timeout=10 -rss_limit_mb=2048 \
            -artifact_prefix=build/fuzz/fuzz/ "build/fuzz/fuzz/$name" \
            "tests/fuzz/corpus/$name" || bad=1
    done
    return "$bad"
}

mkdir -p "$results"
start=$SECONDS
need_packages "${build_packages[@]}" "${test_packages[@]}"
versions
must "python packages" venv_ready "$venv" tests/e2e/requirements.txt
command -v npm >/dev/null || need_packages nodejs npm
must "node packages" node_ready "$clients/node" tests/e2e/clients
must "axe-core" node_ready "$clients/browser" tests/e2e/browser
if [ -n "$all" ]; then
    for name in openai1.0 openai1 openai2 google frameworks; do
        must "python packages: $name" venv_ready "$clients/$name" "tests/e2e/clients/$name.txt"
    done
fi
need_faiss
need_charts
timed "helm, kustomize" deploy/kubernetes/tools.sh || say "without Go 1.24 the chart is not checked"

if must "build release" build release; then
    must "models" build/release/ibid models pull --quiet all-minilm-l6-v2 smollm2-135m-instruct gemma-3-270m
    tests release
    end_to_end
fi
if [ -z "$quick" ]; then
    build_and_test clang -L 'unit|flow'
    build_and_test asan -LE lint
    # What has no threads has nothing to be seen there.
    build_and_test tsan -L 'unit|flow' -E 'kernels|bpe|gguf|importance|flow.http2'
    must "build fuzz" build fuzz && tests fuzz -L fuzz
    cross_built
fi
if [ -n "$all" ]; then
    must "clang-tidy" clang_tidy
    must "cppcheck" cpp_check
    must "long fuzz" long_fuzz
    must "package, the same twice" deploy/package.sh --check
fi

printf '%-34s%5d s\n' "all" $((SECONDS - start))
printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" = 0 ] || printf ', %d skipped' "$skipped"
printf '\n'
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
