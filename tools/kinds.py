#!/usr/bin/env python3
"""Writes cache/guard_kind.inc: English words for things of one kind, from WordNet's hyponyms.

    apt install wordnet-base
    tools/kinds.py [/usr/share/wordnet] > cache/guard_kind.inc

Of each kind in KINDS: its words without capital or space, when SHARE of what WordNet's concordance
tagged of a word is of this kind, or the first sense of one that it never met; with irregular plurals
(noun.exc). Behind a word, a row for each of its senses in the kind: the kind, and the first and last
number of what is below: a word and what it is a kind of, or a synonym, have numbers in common. WordNet 3.0 is (c) 2006 Princeton University and may be
used, copied, changed and distributed; see docs/dependencies.md."""
import collections
import pathlib
import re
import sys

KINDS = [["body_part", "body"], ["pathological_state", "symptom"]]
SHARE = 0.3
WORD = re.compile(r"[a-z]{3,}")

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet")
tagged = collections.Counter()  # by (word, number of the sense), of nouns
total = collections.Counter()
for line in open(folder / "cntlist.rev", encoding="ascii"):
    key, number, count = line.split()
    word, rest = key.split("%")
    total[word] += int(count)
    if rest[0] == "1":
        tagged[word, int(number)] += int(count)

words, below = {}, collections.defaultdict(list)
for line in open(folder / "data.noun", encoding="ascii"):
    if line.startswith(" "):
        continue
    f = line.split("|")[0].split()
    n = int(f[3], 16)
    words[f[0]] = f[4:4 + 2 * n:2]
    p = f[4 + 2 * n:]
    above = [p[2 + 4 * i] for i in range(int(p[0])) if p[1 + 4 * i] == "@"]
    if above:
        below[above[0]].append(f[0])

senses = {}
for line in open(folder / "index.noun", encoding="ascii"):
    if not line.startswith(" "):
        f = line.split()
        senses[f[0]] = f[-int(f[2]):]


def number_all(synset, at, out):
    """Numbers a tree from `at` on, {synset: (first, last)}; the next free number."""
    first = at
    at += 1
    for child in below[synset]:
        at = number_all(child, at, out)
    out[synset] = (first, at - 1)
    return at


def is_meant(word, tree):
    """Whether the word mostly says what is in the tree."""
    if total[word] == 0:
        return senses[word][0] in tree
    return sum(tagged[word, i + 1] for i, s in enumerate(senses[word]) if s in tree) >= SHARE * total[word]


found = collections.defaultdict(list)
for kind, roots in enumerate(KINDS, 1):
    tree, at = {}, 1
    for root in roots:
        at = number_all(senses[root][0], at, tree)
    for word in {w for s in tree for w in words[s] if WORD.fullmatch(w)}:
        if is_meant(word, tree) and word not in found:
            found[word] = [(kind,) + tree[s] for s in senses[word] if s in tree]
for line in open(folder / "noun.exc", encoding="ascii"):
    form, *bases = line.split()
    if WORD.fullmatch(form) and bases[0] in found and form not in found:
        found[form] = found[bases[0]]
print("/* Made by tools/kinds.py: WordNet 3.0 (c) 2006 Princeton University. Sorted. */")
row = ""
for word, kind, first, last in sorted((w,) + number for w in found for number in found[w]):
    item = '{"%s", %d, %d, %d}, ' % (word, kind, first, last)
    if len(row) + len(item) > 94:
        print(row.rstrip())
        row = ""
    row += item
print(row.rstrip())
