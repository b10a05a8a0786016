#!/usr/bin/env python3
"""Writes cache/guard_common.inc: English words that are common, from WordNet's sense counts.

    apt install wordnet-base
    tools/common_words.py [/usr/share/wordnet/cntlist.rev] > cache/guard_common.inc

A word counts as common when its senses were tagged at least MIN times in WordNet's concordance
(cntlist.rev: sense key, sense number, count). WordNet 3.0 is (c) 2006 Princeton University and may
be used, copied, changed and distributed; see docs/dependencies.md."""
import collections
import re
import sys

MIN = 3
path = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet/cntlist.rev"
total = collections.Counter()
for line in open(path, encoding="ascii"):
    key, _, count = line.split()
    lemma = key.split("%")[0]
    if re.fullmatch(r"[a-z]{3,}", lemma):
        total[lemma] += int(count)
words = sorted(w for w, n in total.items() if n >= MIN)
print("/* Made by tools/common_words.py from WordNet 3.0 (c) 2006 Princeton University: words tagged at")
print(f" * least {MIN} times. Sorted. */")
row = ""
for w in words:
    item = f'"{w}", '
    if len(row) + len(item) > 94:
        print(row.rstrip())
        row = ""
    row += item
print(row.rstrip())
