#!/bin/sh
# Every header compiles alone; but for *_body.h, which is a kernel's text that each of its
# variants includes.
set -eu
cflags=$(pkg-config --cflags libuv openssl libcares yaml-0.1 hiredis lmdb 2>/dev/null || true)
[ -d /usr/share/include/llhttp ] && cflags="$cflags -I/usr/share/include/llhttp"
bad=0
for h in $(find src cache engine -name '*.h' ! -name '*_body.h'); do
    # shellcheck disable=SC2086
    printf '%s\n' "#include \"$h\"" "extern int not_empty;" | ${CC:-cc} -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra \
        -Wpedantic -Werror -Isrc -I. $cflags -fsyntax-only -x c - || { echo "$h"; bad=1; }
done
exit $bad
