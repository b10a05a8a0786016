#!/usr/bin/env bash
# Shared by the scripts of this repository; sourced, never run. Bash.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ibid
quiet=${quiet:-}

# What building ibid needs on Debian 12.
build_packages=(
    build-essential cmake ninja-build pkg-config
    libuv1-dev libssl-dev libc-ares-dev node-llhttp libnghttp2-dev zlib1g-dev libbrotli-dev libzstd-dev
    liblmdb-dev libhiredis-dev libyaml-dev libpcre2-dev libutf8proc-dev libxxhash-dev
    libblas-dev liblapack-dev libcmocka-dev
    python3 python3-pip ca-certificates
)

say() {
    [ -n "$quiet" ] || printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# timed NAME COMMAND…: runs it, says how long it took. Its output goes to a file that is
# shown when it fails; the exit status is its own.
timed() {
    local name=$1 start=$SECONDS status=0 log
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/ibid-step.XXXXXX")
    [ -n "$quiet" ] || printf '%-34s' "$name"
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        say "$(printf '%5d s' $((SECONDS - start)))"
    else
        say "$(printf '%5d s  failed' $((SECONDS - start)))"
        tail -n 60 "$log" >&2
    fi
    rm -f "$log"
    return "$status"
}

missing_packages() {
    local have
    # dpkg-query fails when it does not know one of them; that is an answer, too.
    have=$({ dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null || true; } |
        sed -n 's/^ii *//p')
    printf '%s\n' "$@" | grep -vxF "${have:-none of them}" || true
}

# Installs what is missing of the named packages; asks nothing when all are there.
need_packages() {
    local missing sudo=()
    command -v dpkg-query >/dev/null || {
        say "This is no Debian; these packages, or what they are called here, are needed:"
        say "  $*"
        return 0
    }
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "as root: apt-get install ${missing[*]}"
        sudo=(sudo)
        sudo -v || die "as root: apt-get install ${missing[*]}"
    fi
    timed "apt: ${#missing[@]} packages" apt_install "${sudo[@]}" "${missing[@]}"
}

apt_install() {
    local front=(env DEBIAN_FRONTEND=noninteractive)
    if [ "$1" = sudo ]; then
        front=(sudo "${front[@]}")
        shift
    fi
    "${front[@]}" apt-get update -q &&
        "${front[@]}" apt-get install -q -y --no-install-recommends "$@"
}

# FAISS with its C library and AVX2, built once; without it large partitions are searched less well.
need_faiss() {
    [ -x "$root/deploy/faiss.sh" ] || return 0
    timed "FAISS" "$root/deploy/faiss.sh" || say "without it large partitions are searched less well"
}

# The charts' library of the dashboard, fetched once; without it there are tables instead.
need_charts() {
    command -v npm >/dev/null || (need_packages npm) || true
    timed "charts" "$root/deploy/charts.sh" || say "without them the dashboard has tables"
}

# build PRESET [TARGET…]: configures once; ninja looks after itself then.
build() {
    local preset=$1 targets=()
    shift
    [ "$#" = 0 ] || targets=(--target "$@")
    if [ ! -f "$root/build/$preset/build.ninja" ]; then
        (cd "$root" && cmake --preset "$preset") || return
    fi
    (cd "$root" && cmake --build --preset "$preset" "${targets[@]}")
}
