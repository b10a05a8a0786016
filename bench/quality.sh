#!/usr/bin/env bash
# Hits, and hits that are wrong, of the running binary over HTTP on streams of real questions,
# beside an exact cache, an oracle and plain cosine. See bench/quality/served.py --help.
# "bench/quality.sh bounded": whether the policy `bounded` keeps to every tolerated share on long
# streams. See bench/quality/bounded.py --help.
# "bench/quality.sh causes": wrong hits by what differs between the questions. See
# bench/quality/causes.py --help.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = bounded ]; then
    shift
    exec "${IBID_PYTHON:-python3}" "$here/quality/bounded.py" "$@"
fi
if [ "${1:-}" = causes ]; then
    shift
    exec "${IBID_PYTHON:-python3}" "$here/quality/causes.py" "$@"
fi
exec "${IBID_PYTHON:-python3}" "$here/quality/served.py" "$@"
