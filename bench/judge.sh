#!/usr/bin/env bash
# What each judge that runs here is worth on labelled pairs of questions: all of them, and those
# of which the decision itself is unsure, which is what a judge is asked about.
# usage: bench/judge.sh [--pairs N] [--model NAME …]
# Needs build/release/ibid (IBID_BIN), the models and IBID_EVAL; 77 without. Some minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "${IBID_PYTHON:-python3}" "$here/quality/judges.py" "$@"
