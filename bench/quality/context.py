#!/usr/bin/env python3
"""What `cache.rewrite` reaches, and where it is wrong: real conversations over HTTP.

usage: context.py [--seeds N] [--set KEY=VALUE]… [--show] [--json FILE] [--quiet]

The conversations are TREC CAsT's of 2019: turns as they were said, and what each means (written by people). One
ibid with cache.rewrite off, and one with rules, do the same:

1. every question is asked in full, alone, and its answer stored;
2. every follow-up turn is asked after its own conversation: a hit is right when it is the answer of the
   question that the turn means, by the letter but for case, articles and "of X" for "X's";
3. every turn that leans on its conversation is asked after another one, a random one for each of five
   seeds: any hit counts as wrong; "certain": it is the answer of the question that the turn meant in its
   own conversation.

Nothing that is asked in 2 and 3 is stored. Right and wrong are decided by the serial number in the answer,
which the stub upstream mints. Prints shares with their 95 % intervals (Wilson); --show: every wrong hit.
Exit status 77 without build/release/ibid (IBID_BIN), the encoder or the data (IBID_EVAL); 1 for trouble."""
import argparse
import asyncio
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

import run
import served

KEY = "sk-context"


def plain(text):
    """The words of a question, in any order: "of X" and "X's" are one."""
    text = re.sub(r"['’]s?\b", "", text.lower())
    words = re.findall(r"[\w.-]*\w", text)
    return tuple(sorted(w for w in words if w not in ("a", "an", "the", "of")))


class Upstream(served.Upstream):
    """Its answers say for which request they were made."""

    def text(self, key):
        return "stub-answer %d" % self.at


class Talk:
    def __init__(self, port, upstream):
        self.port, self.upstream = port, upstream
        self.trouble = 0

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    async def ask(self, number, turns, control):
        """The serial number in the answer, and the headers."""
        return await self.ask_with(number, None, turns, control)

    async def ask_with(self, number, system, turns, control):
        """The same below instructions."""
        self.upstream.at = number
        messages = [{"role": "system", "content": system}] if system is not None else []
        for turn in turns[:-1]:
            messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "So it is said."}]
        messages.append({"role": "user", "content": turns[-1]})
        data = json.dumps({"model": "stub", "messages": messages, "temperature": 0}).encode()
        self.writer.write(("POST /v1/chat/completions HTTP/1.1\r\nhost: ibid\r\ncontent-type: application/json\r\n"
                           "authorization: Bearer %s\r\nx-ibid-cache: %s\r\ncontent-length: %d\r\n\r\n"
                           % (KEY, control, len(data))).encode() + data)
        line, headers, answer = await served.read_message(self.reader)
        serial = served.serial_of(line, headers, answer)
        if serial is None:
            self.trouble += 1
            return number, headers
        return serial, headers


class Tally:
    def __init__(self):
        self.asked = self.right = self.wrong = self.certain = 0

    def row(self, name):
        low, high = served.wilson(self.wrong, max(1, self.asked))
        return dict(name=name, asked=self.asked, right=self.right, wrong=self.wrong, certain=self.certain,
                    low=low, high=high)


def figures(ibid):
    lines = (line.rsplit(" ", 1) for line in ibid.metrics().splitlines() if line and line[0] != "#")
    return {name: float(value) for name, value in lines}


def wait_for_index(ibid):
    """Until what was stored can be found."""
    before = -1
    while before < figures(ibid).get("ibid_index_entries", 0):
        before = figures(ibid).get("ibid_index_entries", 0)
        time.sleep(1)


async def play(rows, settings, args, folder):
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 20)
    ibid = served.Ibid(server.sockets[0].getsockname()[1], settings, folder)
    try:
        return await talk_with(ibid, upstream, rows, args)
    finally:
        ibid.process.terminate()


async def talk_with(ibid, upstream, rows, args):
    talk = Talk(ibid.port, upstream)
    await talk.open()
    questions = sorted({r["resolved"] for r in rows})
    number = {q: i for i, q in enumerate(questions)}
    fresh = len(questions)  # serial numbers of answers that nobody stored
    for q in questions:
        await talk.ask(number[q], [q], "no-cache")
    wait_for_index(ibid)
    own, other = Tally(), Tally()
    follow = [r for r in rows if r["history"]]
    for r in follow:
        got, headers = await talk.ask(fresh, r["history"] + [r["raw"]], "no-store")
        own.asked += 1
        if got == fresh:
            continue
        right = plain(questions[got]) == plain(r["resolved"])
        own.right += right
        own.wrong += not right
        if args.show and not right:
            print("own   | %s | %s | %s" % (r["raw"], r["resolved"], questions[got]))
    leaning = [r for r in follow if plain(r["raw"]) != plain(r["resolved"])]
    for seed in range(1, args.seeds + 1):
        rng = random.Random("context %d" % seed)
        for r in leaning:
            donor = rng.choice([d for d in follow if d["topic"] != r["topic"]])
            got, headers = await talk.ask(fresh, donor["history"] + [r["raw"]], "no-store")
            other.asked += 1
            other.wrong += got != fresh
            other.certain += got == number[r["resolved"]]
            if args.show and got != fresh:
                print("other | %s | %s | %s" % (" / ".join(donor["history"]), r["raw"], questions[got]))
    talk.writer.close()
    metrics = figures(ibid)
    if ibid.stop() != 0 or talk.trouble:
        print("trouble: %d answers were not understood, or ibid ended badly" % talk.trouble)
        sys.exit(1)
    return own.row("own"), other.row("other"), metrics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    if not os.access(served.program(), os.X_OK):
        print("no %s: build it, or set IBID_BIN" % served.program())
        sys.exit(77)
    data = run.evaluation_folder() / "dev/context/cast.jsonl.gz"
    if not data.exists():
        print("no conversations: %s" % data)
        sys.exit(77)
    run.encoder_folder()
    rows = run.read_jsonl(data)
    found = {}
    print("| cache.rewrite | follow-up turns: right hits | wrong hits | after another conversation: hits | of them certainly wrong |")
    print("|---|---|---|---|---|")
    for mode in ("off", "rules"):
        folder = tempfile.mkdtemp(prefix="ibid-context-")
        try:
            settings = [("cache.rewrite", mode)] + [s.split("=", 1) for s in args.set]
            own, other, metrics = asyncio.run(play(rows, settings, args, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found[mode] = dict(own=own, other=other,
                           rewrites={k: v for k, v in metrics.items() if "rewrite" in k})
        print("| `%s` | %d of %d = %.3f | %d = %.4f (%.4f–%.4f) | %d of %d = %.4f (%.4f–%.4f) | %d |" % (
            mode, own["right"], own["asked"], own["right"] / own["asked"], own["wrong"], own["wrong"] / own["asked"],
            own["low"], own["high"], other["wrong"], other["asked"], other["wrong"] / other["asked"], other["low"],
            other["high"], other["certain"]), flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
