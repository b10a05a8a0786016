#!/usr/bin/env python3
"""Writes cache/guard_antonym.inc: pairs of English antonyms, from WordNet's antonym pointers.

    apt install wordnet-base
    tools/antonyms.py [/usr/share/wordnet] > cache/guard_antonym.inc

Only pairs of which one word at least was tagged MIN times in WordNet's concordance and the other
once; not those that only differ by a prefix of negation (the guard `negation` sees them), nor those
in DROP. WordNet 3.0 is (c) 2006 Princeton University and may be used, copied, changed and
distributed; see docs/dependencies.md."""
import collections
import pathlib
import re
import sys

MIN = 2
# Opposites of grammar, or in a sense that is rare in questions: they would refuse paraphrases.
DROP = {
    ("can", "cannot"), ("have", "lack"), ("have", "refuse"), ("some", "no"), ("all", "some"), ("all", "no"),
    ("go", "come"), ("come", "go"), ("do", "unmake"), ("get", "leave"), ("make", "break"),
    ("question", "answer"), ("man", "woman"), ("take", "give"), ("keep", "lose"), ("find", "lose"),
    ("well", "ill"), ("well", "badly"), ("one", "many"), ("work", "idle"), ("show", "hide"), ("body", "mind"),
}
# … and those that WordNet has not, or only as opposites of a whole group.
OURS = """
above/below accept/decline accept/deny accept/reject add/delete add/remove allow/block allow/deny
allow/forbid allow/prohibit allow/ban approve/decline approve/reject arrival/departure arrive/depart
arrive/leave ascending/descending attach/detach backward/forward before/after benefit/drawback benefit/risk big/little
big/small biggest/smallest block/unblock borrow/lend buyer/seller cheap/costly cheap/expensive
cheaper/pricier client/server cold/warm compress/decompress connect/disconnect create/delete create/destroy create/remove
credit/debit decode/encode decrease/increase decrease/raise decrypt/encrypt deposit/withdraw deposit/withdrawal
difficult/easy disadvantage/benefit domestic/international download/upload early/late earlier/later
earliest/latest employee/employer entrance/exit enter/exit enter/leave export/import fail/pass fail/succeed
failed/successful fast/slow faster/slower fastest/slowest fewer/more fewest/most
freeze/unfreeze gain/lose good/bad good/poor half/double hard/easy hide/show
high/low higher/lower highest/lowest hire/fire hot/cold hotter/colder immigrate/emigrate
include/exclude incoming/outgoing indoor/outdoor inhale/exhale input/output inside/outside insert/delete insert/remove
install/remove install/uninstall internal/external landlord/tenant larger/smaller large/little large/small
largest/smallest lighter/heavier light/dark light/heavy lock/unlock login/logout logon/logoff long/short
longer/shorter longest/shortest lower/raise lower/upper lowercase/uppercase major/minor manual/automatic
max/min maximise/minimise maximize/minimize maximum/minimum mild/severe more/less most/least mount/unmount
near/far nearest/farthest newer/older newest/oldest offline/online old/young on/off
open/close open/closed open/shut overweight/underweight parent/child pause/resume
plural/singular pro/con profit/loss prevent/cause prevent/allow push/pull push/pop raise/reduce increase/reduce read/write
rich/poor richest/poorest rise/fall safe/dangerous safe/unsafe
send/receive sender/receiver sender/recipient serial/parallel shrink/grow simple/complex start/end start/finish
start/stop strengthen/weaken strong/weak stronger/weaker strongest/weakest stretch/shrink
subscribe/unsubscribe supply/demand synchronous/asynchronous teacher/student thick/thin tall/short taller/shorter
tallest/shortest tight/loose top/bottom unlimited/limited up/down upgrade/downgrade vertical/horizontal victory/defeat
wet/dry wide/narrow wider/narrower win/lose winner/loser wireless/wired with/without worse/better worst/best
north/south east/west northern/southern eastern/western left/right am/pm breakfast/dinner lunch/dinner breakfast/lunch
morning/evening morning/afternoon morning/night day/night sunrise/sunset husband/wife mother/father son/daughter brother/sister boy/girl
man/woman men/women male/female king/queen uncle/aunt boyfriend/girlfriend hero/villain heaven/hell
symptom/treatment symptom/cause symptom/cure cause/cure cause/effect bullish/bearish predator/prey
always/never everyone/nobody everything/nothing majority/minority true/false summer/winter
give/receive frontend/backend public/private cancel/activate cancel/renew activate/block legal/illicit
above/under over/under physical/virtual inbound/outbound refund/charge undo/redo inflate/deflate asset/liability income/expense income/expenditure
"""

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet")
tagged = collections.Counter()
for line in open(folder / "cntlist.rev", encoding="ascii"):
    key, _, count = line.split()
    tagged[key.split("%")[0]] += int(count)

synset = {}
pointers = []
for kind in ("noun", "verb", "adj", "adv"):
    letter = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}[kind]
    for line in open(folder / ("data." + kind), encoding="ascii"):
        if line.startswith(" "):
            continue
        f = line.split("|")[0].split()
        n = int(f[3], 16)
        words = [re.sub(r"\(.*\)", "", w).lower() for w in f[4:4 + 2 * n:2]]
        synset[letter, f[0]] = words
        p = f[4 + 2 * n:]
        for i in range(int(p[0])):
            sign, offset, pos, ends = p[1 + 4 * i:5 + 4 * i]
            if sign == "!":
                pointers.append((words[int(ends[:2], 16) - 1], pos.replace("s", "a"), offset, int(ends[2:], 16)))

PREFIX = re.compile(r"^(un|dis|non|in|im|il|ir|de|mis|anti|a|ab|mal|counter)-?")
pairs = set()
for word, pos, offset, index in pointers:
    other = synset[pos, offset][index - 1]
    if not all(re.fullmatch(r"[a-z]{2,}", w) for w in (word, other)):
        continue
    a, b = sorted((word, other))
    if min(tagged[a], tagged[b]) < 1 or max(tagged[a], tagged[b]) < MIN:
        continue
    if (a, b) in DROP or (b, a) in DROP or PREFIX.sub("", a) == b or PREFIX.sub("", b) == a:
        continue
    pairs.add((a, b))
for item in OURS.split():
    pairs.add(tuple(sorted(item.split("/"))))
print("/* Made by tools/antonyms.py: WordNet 3.0 (c) 2006 Princeton University, and some of our own.")
print(" * The smaller word first; sorted. */")
row = ""
for a, b in sorted(pairs):
    item = '{"%s", "%s"}, ' % (a, b)
    if len(row) + len(item) > 94:
        print(row.rstrip())
        row = ""
    row += item
print(row.rstrip())
