#!/usr/bin/env python3
"""Asks a running ibid five questions and shows where each answer came from.

usage: demo.py LOCAL_PORT UPSTREAM_PORT UPSTREAM_NAME

LOCAL_PORT: an ibid without an upstream. UPSTREAM_PORT: one with. The exit status is 0
when every answer came from where it should. Standard library only.
"""

import http.client
import json
import os
import secrets
import sys
import time

TIMEOUT_S = 180

# (question, where its answer must come from, what it shows). The answers must end by
# themselves: one that is cut at the limit of tokens is not stored.
ROWS = [
    ("What is the largest ocean on Earth?", "local", "the built-in model"),
    ("What is the largest ocean on Earth?", "exact", "the same again"),
    ("What is the biggest ocean on Earth?", "semantic", "in other words"),
    ("What is the smallest ocean on Earth?", "local", "a decisive word changed"),
]
UPSTREAM_ROW = ("What does DNS stand for?", "upstream", "through an upstream")


class Answer:
    def __init__(self, source, seconds, tokens, saved_tokens, saved_usd, finish, text):
        self.source = source
        self.seconds = seconds
        self.tokens = tokens
        self.saved_tokens = saved_tokens
        self.saved_usd = saved_usd
        self.finish = finish
        self.text = text


def call(port, method, path, key, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError("HTTP %d: %s" % (response.status, data[:300].decode("utf-8", "replace")))
    return response.headers, json.loads(data)


def ask(port, question, key, model):
    body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": question}]}
    start = time.monotonic()
    headers, answer = call(port, "POST", "/v1/chat/completions", key, body)
    seconds = time.monotonic() - start
    choice = answer["choices"][0]
    return Answer(
        headers.get("x-ibid-source", "none"),
        seconds,
        (answer.get("usage") or {}).get("total_tokens"),
        headers.get("x-ibid-saved-tokens"),
        headers.get("x-ibid-saved-usd"),
        choice.get("finish_reason"),
        choice["message"]["content"],
    )


def first_model(port, key):
    _, models = call(port, "GET", "/v1/models", key)
    return models["data"][0]["id"]


def saved(answer):
    if answer.source not in ("exact", "semantic", "coalesced"):
        return "-"
    text = "%s tokens" % (answer.saved_tokens or "0")
    return text + (", $%s" % answer.saved_usd if answer.saved_usd else "")


def show(question, shows, answer):
    print("%-36s %-9s %9.1f ms %7s  %-12s %s" % (
        question[:36], answer.source, answer.seconds * 1000,
        "-" if answer.tokens is None else answer.tokens, saved(answer), shows), flush=True)


def run(port, key, model, question, want, shows):
    """Shows one row; returns what is wrong with it, or None."""
    try:
        answer = ask(port, question, key, model)
    except (OSError, RuntimeError, ValueError, KeyError, http.client.HTTPException) as error:
        print("%-36s failed: %s" % (question[:36], error), flush=True)
        return "'%s': %s" % (question, error)
    show(question, shows, answer)
    if answer.source != want:
        return "'%s': came from %s, not %s" % (question, answer.source, want)
    if want != "upstream" and answer.finish != "stop":
        return "'%s': the answer was cut (%s)" % (question, answer.finish)
    return None


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    local_port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    # A new caller each time: nobody's earlier answers are found, this run's are.
    stranger = "demo-" + secrets.token_hex(8)
    upstream_key = os.environ.get("OPENAI_API_KEY") or stranger
    print("%-36s %-9s %12s %7s  %-12s" % ("question", "source", "time", "tokens", "saved"))
    wrong = []
    try:
        local_model = first_model(local_port, stranger)
        upstream_model = os.environ.get("OPENAI_MODEL") or first_model(upstream_port, upstream_key)
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        sys.exit("no model to ask: %s" % error)
    for row in ROWS:
        wrong.append(run(local_port, stranger, local_model, *row))
    wrong.append(run(upstream_port, upstream_key, upstream_model, *UPSTREAM_ROW))
    print("upstream: %s" % sys.argv[3], flush=True)
    wrong = [w for w in wrong if w]
    for w in wrong:
        print("not as it should be: %s" % w, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
