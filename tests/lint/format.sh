#!/bin/sh
# Layout is clang-format 14's (other releases differ in details).
set -eu
tool=$(command -v clang-format-14 || command -v clang-format || true)
[ -n "$tool" ] && "$tool" --version | grep -q 'version 14\.' || { echo "no clang-format 14"; exit 77; }
find src cache engine tests bench \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 |
    xargs -0 "$tool" --dry-run -Werror
