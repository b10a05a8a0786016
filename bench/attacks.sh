#!/usr/bin/env bash
# Attacks on a cache that many share, against the running binary. See
# bench/quality/attacks.py --help.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "${IBID_PYTHON:-python3}" "$here/quality/attacks.py" "$@"
