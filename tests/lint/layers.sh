#!/bin/sh
# Who may include whom, and which library is seen in which file.
# Run from the repository root: tests/lint/layers.sh
set -eu
# "layer: layers it may include"
rules='
base:
rt: base
http: base rt
protocol: base http
privacy: base
config: base
engine: base
cache: base rt
router: base
proxy: base rt http protocol privacy config cache engine router
admin: base rt http protocol privacy config cache engine router proxy
cli: base rt http protocol privacy config cache engine router proxy admin
'
# "header pattern: the only places that may include it"
libraries='
uv\.h: src/rt/
llhttp\.h: src/http/
hiredis: cache/store_redis
faiss: cache/index_centres_faiss
openssl: src/rt/io_tls src/base/digest src/base/seal
lmdb\.h: cache/store_lmdb
utf8proc\.h: src/base/unicode
xxhash\.h: src/base/hash
zlib\.h: src/http/content_decoder
brotli/: src/http/content_decoder
zstd\.h: src/http/content_decoder
nghttp2: src/http/http2
yaml\.h: src/config/
pcre2\.h: src/privacy/regexes src/proxy/regex
ares\.h: src/rt/
'
bad=0
for dir in src/* cache engine; do
    [ -d "$dir" ] || continue
    layer=${dir#src/}
    allowed=$(printf '%s' "$rules" | sed -n "s/^$layer://p")
    files=$(find "$dir" -name '*.[ch]')
    [ -n "$files" ] || continue
    for edge in $(grep -hoE '^#include "[a-z_]+/' $files | sed 's/.*"//; s#/##' | sort -u); do
        [ "$edge" = "$layer" ] && continue
        case " $allowed " in
        *" $edge "*) ;;
        *) echo "$layer may not include $edge:"; grep -l "\"$edge/" $files; bad=1 ;;
        esac
    done
done
wrong=$(echo "$libraries" | while IFS=: read -r pattern places; do
    [ -n "$pattern" ] || continue
    for f in $(grep -rlE "^#include <[^>]*$pattern" src cache engine 2>/dev/null); do
        ok=0
        for p in $places; do
            case "$f" in "$p"*) ok=1 ;; esac
        done
        [ "$ok" = 1 ] || echo "$f may not include $pattern"
    done
done)
[ -z "$wrong" ] || { echo "$wrong"; bad=1; }
exit $bad
