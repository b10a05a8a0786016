#!/usr/bin/env bash
# Hits, and hits that are wrong, of the running binary over HTTP on streams of real questions,
# beside an exact cache, an oracle and plain cosine. See bench/quality/served.py --help.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "${IBID_PYTHON:-python3}" "$here/quality/served.py" "$@"
