#!/usr/bin/env python3
"""Answers by a schema: are they valid, and what do they cost? Random schemas (tests/e2e/schemas.py: nested, recursive, any
script, bounds) are asked of the built-in model, greedy and sampled, and each answer is checked with the package jsonschema.
Then the time of a token with a schema and without, in turn, one answer at a time.

    bench/structured.py [--schemas N] [--models NAME,NAME] [--quiet]

Needs build/release/ibid, its models, and the Python packages of tests/e2e/requirements.txt. Exit status 1: an answer was not valid.
"""
import argparse
import concurrent.futures
import json
import pathlib
import statistics
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tests/e2e"))
import jsonschema  # noqa: E402
from client import post, serving, sse, user  # noqa: E402
from schemas import schemas  # noqa: E402

FRESH = [("x-ibid-cache", "no-cache, no-store")]
# Short to end, so that what is timed is written by the model.
STORY = {"type": "object", "properties": {"title": {"type": "string", "maxLength": 60}, "chapters": {"type": "array", "items": {"type": "object", "properties": {
    "heading": {"type": "string", "maxLength": 60}, "text": {"type": "string"}}, "required": ["heading", "text"]}}}, "required": ["title", "chapters"]}


def form(schema):
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}


def valid(schema, text):
    try:
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(json.loads(text))
        return True
    except (ValueError, jsonschema.ValidationError) as e:
        print(f"bench: not valid: {e}\n  {json.dumps(schema, ensure_ascii=False)}\n  {text}", file=sys.stderr)
        return False


def check(ibid, n, say):
    done = good = cut = 0
    list_ = list(schemas(n))

    def one(i):
        hot = {"temperature": 1.2, "seed": i} if i % 2 else {}
        return post(ibid, user("Fill in the form with facts about a small town.", max_tokens=200, **form(list_[i]), **hot), FRESH)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for schema, r in zip(list_, pool.map(one, range(n))):
            done += 1
            good += r.status == 200 and valid(schema, r.text)
            cut += r.status == 200 and r.json["choices"][0]["finish_reason"] == "length"
            if r.status != 200:
                print(f"bench: {r.status}: {r.body}", file=sys.stderr)
            if say and done % 20 == 0:
                print(f"bench: {done} of {n}", file=sys.stderr)
    return good, cut


def token_ms(ibid, **more):
    """Of one streamed answer, after its first token."""
    t0 = time.monotonic()
    r = post(ibid, user("Tell me a long story about a lighthouse.", max_tokens=160, stream=True, stream_options={"include_usage": True}, **more), FRESH)
    whole = time.monotonic() - t0
    t0 = time.monotonic()
    first = post(ibid, user("Tell me a long story about a lighthouse.", max_tokens=1, **more), FRESH)
    begin = time.monotonic() - t0
    assert first.status == 200
    tokens = sse(r.body)[0][-1]["usage"]["completion_tokens"]
    return (whole - begin) * 1e3 / (tokens - 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--schemas", type=int, default=500)
    p.add_argument("--models", default="smollm2-135m-instruct,gemma-3-270m")
    p.add_argument("--quiet", action="store_true")
    a = p.parse_args()
    bad = 0
    print("| model | schemas | valid | of them cut by max_tokens | ms a token, free | by a schema | ratio |\n|---|---:|---:|---:|---:|---:|---:|")
    for model in a.models.split(","):
        with tempfile.TemporaryDirectory() as tmp, serving(pathlib.Path(tmp), upstream=False, local=True, env={"IBID_LOCAL_MODEL": model, "IBID_LOCAL_SPECULATE": "off", "IBID_LOCAL_CHAT_TEMPLATE": "gemma" if "gemma" in model else ""}) as (ibid, *_):
            free, by = [], []
            for _ in range(7):
                free.append(token_ms(ibid))
                by.append(token_ms(ibid, **form(STORY)))
            good, cut = check(ibid, a.schemas, not a.quiet)
            bad += a.schemas - good
            x, y = statistics.median(free), statistics.median(by)
            print(f"| {model} | {a.schemas} | {good} | {cut} | {x:.2f} | {y:.2f} | {y / x:.2f} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
