#!/usr/bin/env bash
# The built-in model first, on tasks whose answers a program can check: what solved examples, tags
# and the other devices of a profile do to SmolLM2-135M and Gemma-3-270M; whether the cascade
# knows when they are right; and the curve of questions answered here against right answers,
# beside the router alone and chance. The upstream is a script. Halves: nothing is tested on
# what it was learned from.
# usage: bench/smallfirst.sh [--quick | --all | --device NAME …] [--model NAME] [--keep FOLDER] [--out FILE]
# Needs build/release/ibid (IBID_BIN) and the models; 77 without. Minutes; --all: an hour.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "${IBID_PYTHON:-python3}" "$here/smallfirst/measure.py" "$@"
