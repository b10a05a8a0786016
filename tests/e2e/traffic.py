"""A small, mixed load for tests that want to see figures move: questions in groups, each asked again in the same
and in other words, a few that differ in what matters, several tenants, plain and streamed."""
import random
import threading

from client import post, prove, user
from upstream import answer, stream

GROUPS = [
    ["Where can I download my invoice?", "Where do I download my invoice?", "Where could I download my invoice?"],
    ["How do I reset my password?", "How can I reset my password?", "What do I do to reset my password?"],
    ["What is the largest ocean on Earth?", "What is the biggest ocean on Earth?", "What is the smallest ocean on Earth?"],
    ["How do I cancel my subscription?", "How can I cancel my subscription?", "How do I renew my subscription?"],
    ["What does DNS stand for?", "What is DNS short for?", "What is the meaning of DNS?"],
    ["How long does shipping to Norway take?", "How long does delivery to Norway take?", "How long does shipping to Spain take?"],
    ["Which file formats can I upload?", "What file formats can I upload?", "What formats of files may I upload?"],
    ["How do I export my data as CSV?", "How can I export my data to CSV?", "How do I import my data from CSV?"],
]
MODELS = ["large-1", "large-1", "small-1"]
PRICES = """
prices:
  - {model: large-*, input: 2.5, output: 10, cached_input: 1.25, source: test, date: 2026-01-31, request_wh: 0.3, mtok_wh: 400, energy_source: test}
  - {model: small-1, input: 0.15, output: 0.6, source: test, date: 2026-01-31}
"""


def behaviour(rng):
    """How the upstream answers: after a while, with figures that are not always the same."""
    def reply(request):
        text = "It is so because of " + " and ".join(rng.choice(["this", "that", "these", "those"]) for _ in range(rng.randint(4, 30)))
        body = request.json
        make = stream if body.get("stream") else answer
        return make(text, model=body["model"], usage=(rng.randint(60, 900), rng.randint(20, 400)), delay=rng.uniform(0.02, 0.25))
    return reply


class Traffic:
    """Until stop(). `tenants` credentials, each proved first."""

    def __init__(self, ibid, upstream, tenants=3, seed=1, pause=0.05):
        self.ibid, self.rng, self.pause = ibid, random.Random(seed), pause
        upstream.default = behaviour(random.Random(seed + 1))
        self.keys = [f"sk-tenant-{i}" for i in range(tenants)]
        for key in self.keys:
            prove(ibid, key)
        self.sent, self.ended = 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.wait(self.rng.expovariate(1 / self.pause)):
            group = self.rng.choice(GROUPS)
            text = self.rng.choice(group) if self.rng.random() < 0.7 else f"{self.rng.choice(group)[:-1]} in version {self.rng.randint(1, 400)}?"
            more = {"stream": True} if self.rng.random() < 0.3 else {}
            headers = [("x-ibid-cache", "no-store")] if self.rng.random() < 0.25 else []
            post(self.ibid, {**user(text, **more), "model": self.rng.choice(MODELS)}, headers, key=self.rng.choice(self.keys))
            self.sent += 1

    def stop(self):
        self.ended.set()
        self.thread.join(30)
