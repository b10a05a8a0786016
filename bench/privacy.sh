#!/usr/bin/env bash
# How well personal data and secrets are found, and how fast: recall and precision of each class
# on synthetic texts (bench/privacy/corpus.py), on those that the finder was made with (dev) and on
# others (held), then nanoseconds a text and gigabytes a second of prose.
#
#     bench/privacy.sh [--count N] [--quiet]
#
# Exit status 1 when a class has less recall than .98 or less precision than .95. Needs
# build/release/bin/privacy_bench (cmake --build build/release) and python3.
set -euo pipefail
quiet=
. "$(dirname "$0")/../deploy/lib.sh"
count=4000
while [ $# -gt 0 ]; do
    case $1 in
    --count) [ $# -gt 1 ] || die "$1 needs a value"; count=$2; shift ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,10p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
bench=$root/build/release/bin/privacy_bench
[ -x "$bench" ] || die "build it first: cmake --build build/release"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
for part in dev held; do
    python3 "$root/bench/privacy/corpus.py" "$part" "$count" >"$work/$part"
    say "$part:"
    python3 "$root/bench/privacy/score.py" "$bench" "$work/$part" ${quiet:+--quiet} || status=1
done
say "time:"
python3 -c 'import json, sys
for line in open(sys.argv[1]): print(json.dumps(json.loads(line)["text"]))' "$work/held" >"$work/texts"
# Prose without any of it: this repository'\''s own documents, a paragraph each.
python3 -c 'import json, pathlib, sys
for f in sorted(pathlib.Path(sys.argv[1]).glob("docs/*.md")):
    for p in f.read_text().split("\n\n"):
        if len(p) > 200 and not p.startswith("|"): print(json.dumps(p))' "$root" >"$work/prose"
for texts in texts prose; do
    "$bench" -t 2 usual <"$work/$texts" | sed "s/^/$texts: /"
done
exit "$status"
