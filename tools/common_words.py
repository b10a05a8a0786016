#!/usr/bin/env python3
"""Writes cache/guard_common.inc: English words that are common, and how much each says.

    apt install wordnet-base
    tools/common_words.py [/usr/share/wordnet] > cache/guard_common.inc

A word counts as common when its senses were tagged at least MIN times in WordNet's concordance
(cntlist.rev: sense key, sense number, count), with its irregular forms (*.exc), unless it is only
written with a capital ("france": a name); or when it is in MODERN: words of computers and
offices that are younger than the concordance. The number behind a word is what it weighs, in tenths:
the logarithm of how rare it is (1.5 for words not listed), so "get" says less than "warranty".
WordNet 3.0 is (c) 2006 Princeton University and may be used, copied, changed and distributed; see
docs/dependencies.md."""
import collections
import math
import pathlib
import re
import sys

MIN = 3
MODERN = """
airline airlines airport app app's apps atm backpack backup barcode battery blog bluetooth
broadband browse browser bus calculator calorie calories cellphone charger chat checkout click
code coding college coupon cruise currency cursor cyber dashboard data database delete deliver
dentist desktop digital discount download email emails emoji encryption error ethernet
exercise faq fax feedback filename firewall fitness flash flight folder font format forum
freelance freelancer fridge gadget gaming gift grocery gym hack hacker hashtag headphone
headphones healthcare healthy homepage icon inbox install installation internet interview
invoice job keyboard laptop laundry link linked lockdown login logo logout marketing math
maths meditation memory menu message messaging microphone microwave mobile modem monitor
mortgage mouse multiplayer network notebook notification offline okay online outlet oven
overheat parking passcode passport password passwords payment payments phone phones photo pin
plugin podcast popup postcode printer printing privacy processor profile programmer
programming promo queue reboot receipt recipe recipes recycle recycling refund reinstall
reload remote rename renew reset resume roaming router scam scan scanner schedule screen
screenshot scroll selfie server setting settings setup shopping shortcut smartphone
smartphones sms software spam spreadsheet startup startups stream streaming subscribe
subscription supermarket sync syntax tablet taxi template texting therapist timezone tips
toothpaste tourism tourist trick tricks tutorial tutorials tv tvs uninstall unlock unsubscribe
update upgrade upload username vacation vaccine verification verify video videos virtual visa
voicemail warranty webcam webpage website websites wifi wireless withdrawal workout workplace
yoga zip zoom
""".split()

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet")
total = collections.Counter()
for line in open(folder / "cntlist.rev", encoding="ascii"):
    key, _, count = line.split()
    lemma = key.split("%")[0]
    if re.fullmatch(r"[a-z]{3,}", lemma):
        total[lemma] += int(count)
tenths = {w: max(4, min(13, round(14.5 - 1.6 * math.log(n / 2)))) for w, n in total.items() if n >= MIN}
small = set()
for kind in ("noun", "verb", "adj", "adv"):
    for line in open(folder / ("data." + kind), encoding="ascii"):
        if not line.startswith(" "):
            f = line.split("|")[0].split()
            small.update(re.sub(r"\(.*\)", "", w) for w in f[4:4 + 2 * int(f[3], 16):2])
tenths = {w: t for w, t in tenths.items() if w in small}
for kind in ("noun", "verb", "adj", "adv"):
    for line in open(folder / (kind + ".exc"), encoding="ascii"):
        form, *bases = line.split()
        known = [tenths[b] for b in bases if b in tenths]
        if known and re.fullmatch(r"[a-z]{3,}", form):
            tenths.setdefault(form, min(known))
for w in MODERN:
    if re.fullmatch(r"[a-z]{2,}", w):
        tenths.setdefault(w, 11)
print("/* Made by tools/common_words.py: WordNet 3.0 (c) 2006 Princeton University, words tagged at")
print(f" * least {MIN} times, and some of our own. Behind each its weight in tenths. Sorted. */")
row = ""
for w in sorted(tenths):
    item = f'{{"{w}", {tenths[w]}}}, '
    if len(row) + len(item) > 94:
        print(row.rstrip())
        row = ""
    row += item
print(row.rstrip())
