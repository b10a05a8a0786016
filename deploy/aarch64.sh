#!/usr/bin/env bash
# Fetches the few arm64 libraries that the engine and its tests are linked with when they are
# built for aarch64 (preset `aarch64`), once, into ${XDG_CACHE_HOME:-~/.cache}/ibid/aarch64.
#     deploy/aarch64.sh [--quiet]
# apt's own lists and architectures stay as they are; no root is needed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ "${1:-}" = --quiet ] && quiet=1

packages=(
    libssl3 libssl-dev libutf8proc2 libutf8proc-dev libxxhash0 libxxhash-dev
    libcmocka0 libcmocka-dev
)
prefix=$cache/aarch64
if [ "$(cat "$prefix/.stamp" 2>/dev/null)" = "${packages[*]}" ]; then
    say "aarch64: already in $prefix"
    exit 0
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/aarch64-fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

say "aarch64: fetching ${#packages[@]} packages"
mkdir -p "$work"/apt/{lists,cache/archives}/partial "$work"/{deb,root}
: >"$work/apt/status"
private=(
    -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)"
    -o Dir::State="$work/apt" -o Dir::State::Lists="$work/apt/lists"
    -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt/cache"
)
apt-get "${private[@]}" -qq update
(cd "$work/deb" && apt-get "${private[@]}" -qq download "${packages[@]}")
for file in "$work"/deb/*.deb; do
    dpkg-deb -x "$file" "$work/root"
done
printf '%s\n' "${packages[*]}" >"$work/root/.stamp"
rm -rf "$prefix"
mv "$work/root" "$prefix"
say "aarch64: in $prefix"
