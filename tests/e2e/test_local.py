"""The built-in model: who is answered by it, what it says of itself, and when it stops."""
import concurrent.futures
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from client import post, prove, reasons, said, serving, sse, until, user
from conftest import BIN, DECODER, needs_decoder, needs_encoder
from upstream import Reply

pytestmark = needs_decoder
NAME = "smollm2-135m-instruct"
SHORT = {"max_tokens": 8}
LOCAL = [("x-ibid-route", "local")]
MIB = 1 << 20
KV_TOKEN = 30 * 3 * 2 * (64 + 4)  # bytes: layers, key heads, keys and values, width of a head as bytes and their scale (local.kv_type q8)
no_sanitizer = pytest.mark.skipif(any(v in os.environ for v in ("ASAN_OPTIONS", "TSAN_OPTIONS")), reason="a sanitizer's memory is not the program's")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("alone"), upstream=False, local=True, env={"IBID_LOCAL_QUEUE_MAX": "2", "IBID_LOCAL_SEQUENCES": "1"}) as both:
        yield both[0]


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("beside"), local=True) as both:
        yield both


def fresh(ibid, body, headers=()):
    return post(ibid, body, [("x-ibid-cache", "no-cache, no-store"), *headers])


def test_a_miss_is_answered_and_says_by_whom(alone):
    r = post(alone, user("Say hello.", model="gpt-whatever", **SHORT))
    a = r.json
    assert (r.status, r.source, a["model"], a["object"]) == (200, "local", NAME, "chat.completion")
    assert a["id"].startswith("chatcmpl-") and abs(a["created"] - time.time()) < 60 and a["choices"][0]["index"] == 0
    assert a["choices"][0]["message"]["role"] == "assistant" and a["choices"][0]["message"]["content"]
    assert a["choices"][0]["finish_reason"] in ("stop", "length")
    u = a["usage"]
    assert u["total_tokens"] == u["prompt_tokens"] + u["completion_tokens"] and 0 < u["completion_tokens"] <= 8 and u["prompt_tokens"] > 3
    assert r.headers["cache-status"].startswith("ibid; fwd=miss; detail=") and "x-ibid-saved-tokens" not in r.headers


def test_whole_and_streamed_say_the_same(alone):
    whole = fresh(alone, user("Name a colour.", **SHORT))
    r = fresh(alone, user("Name a colour.", stream=True, stream_options={"include_usage": True}, **SHORT))
    events, done = sse(r.body)
    assert done and r.headers["content-type"].startswith("text/event-stream") and r.source == "local"
    assert said(r.body) == whole.text
    assert {e["model"] for e in events} == {NAME} and len({e["id"] for e in events}) == 1 and {e["object"] for e in events} == {"chat.completion.chunk"}
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["finish_reason"] for e in events for c in e["choices"] if c["finish_reason"]] == [whole.json["choices"][0]["finish_reason"]]
    assert events[-1]["usage"] == whole.json["usage"] and events[-1]["choices"] == []
    r = fresh(alone, user("Name a colour.", stream=True, **SHORT))
    assert all("usage" not in e for e in sse(r.body)[0])


def test_max_tokens(alone):
    for field in ("max_tokens", "max_completion_tokens"):
        r = fresh(alone, user("Count from one to one hundred.", **{field: 5}))
        assert r.json["usage"]["completion_tokens"] == 5 and r.json["choices"][0]["finish_reason"] == "length"


def test_what_was_cut_off_is_not_kept(alone):
    before = reasons(alone, "ibid_cache_unstored_total").get("truncated", 0)
    body = user("Tell me a very long story.", **SHORT)
    assert [post(alone, body).source for _ in range(2)] == ["local", "local"]
    assert reasons(alone, "ibid_cache_unstored_total")["truncated"] == before + 2


def test_what_ended_is_kept_and_saves_tokens_but_no_money(alone):
    # A stop string ends an answer as the model's own end does.
    body = user("Count: one, two, three, four, five, six.", stop=[" ", ",", ".", "\n"], max_tokens=64)
    one = post(alone, body)
    if one.json["choices"][0]["finish_reason"] != "stop" or not one.text:
        pytest.skip("the model began with a stop string")
    saved, again = alone.savings()["saved"], post(alone, body)
    assert (again.source, again.text, again.json["model"]) == ("exact", one.text, NAME)
    after = alone.savings()["saved"]
    used = one.json["usage"]
    assert again.headers["x-ibid-saved-tokens"] == str(used["total_tokens"]) and "x-ibid-saved-usd" not in again.headers
    assert after["prompt_tokens"] - saved["prompt_tokens"] == used["prompt_tokens"]
    assert after["completion_tokens"] - saved["completion_tokens"] == used["completion_tokens"]
    assert after["usd"] == saved["usd"] == 0


def test_stop_strings_are_not_said(alone):
    whole = fresh(alone, user("Write the alphabet with spaces.", max_tokens=10)).text
    word = whole.split()[2]
    for stop in (word, [word, "never"]):
        r = fresh(alone, user("Write the alphabet with spaces.", max_tokens=10, stop=stop))
        assert r.text == whole[: whole.index(word)] and r.json["choices"][0]["finish_reason"] == "stop"
        streamed = fresh(alone, user("Write the alphabet with spaces.", max_tokens=10, stop=stop, stream=True))
        assert said(streamed.body) == r.text


def test_greedy_and_seeded_answers_can_be_repeated(alone):
    ask = lambda **f: fresh(alone, user("Tell me something.", max_tokens=6, **f)).text
    greedy = ask()
    assert ask(temperature=0) == ask(temperature=0, seed=5) == ask() == greedy
    warm = {seed: ask(temperature=1.0, top_p=0.95, seed=seed) for seed in (1, 2)}
    assert {s: ask(temperature=1.0, top_p=0.95, seed=s) for s in warm} == warm 


@pytest.mark.parametrize("odd", [{"temperature": 99}, {"temperature": -1}, {"top_p": 0}, {"top_p": 7}, {"max_tokens": 10**15}, {"seed": 2**64 - 1}, {"seed": -1},
                                 {"stop": ""}, {"stop": []}, {"stop": ["a" * 10_000]}, {"temperature": 1e308}, {"logit_bias": {"1": 100}}], ids=str)
def test_odd_parameters_break_nothing(alone, odd):
    r = fresh(alone, user("Hi.", **({"max_tokens": 4} | odd)))
    assert r.status in (200, 400)
    if r.status == 200:
        assert r.json["usage"]["completion_tokens"] <= 512
    assert alone.admin("/healthz").status == 200


def test_a_conversation_that_does_not_fit(alone):
    for stream in (False, True):
        r = fresh(alone, user("word " * 5000, stream=stream))
        assert (r.status, r.json["error"]["code"], r.json["error"]["type"]) == (400, "context_length_exceeded", "invalid_request_error")
        assert "local.context_max" in r.json["error"]["message"] and r.json["error"]["param"] == "messages"


@pytest.mark.parametrize("more", [
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}, {"n": 2}, {"max_tokens": 0},
    {"response_format": {"type": "grammar"}}, {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}},
    {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": "function", "function": {"name": "g"}}},
    {"logprobs": True},
], ids=["image", "n", "no tokens", "format", "schema", "tool", "logprobs"])
def test_what_it_cannot_do_is_refused_by_name(alone, more):
    r = post(alone, {**user("x"), **more})
    assert (r.status, r.json["error"]["code"]) == (400, "unsupported_by_local_model") and "built-in model" in r.json["error"]["message"]


@pytest.mark.parametrize("more", [{"response_format": {"type": "text"}}, {"tools": [{"type": "function", "function": {"name": "f"}}]}, {"tool_choice": "none"}, {"logprobs": False}, {"n": 1}], ids=str)
def test_what_changes_nothing_is_taken(alone, more):
    assert post(alone, user("Hi.", **SHORT, **more)).source == "local"


def test_roles_and_parts(alone):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]},
                {"role": "assistant", "content": "Hello."}, {"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Bye."}]
    r = post(alone, {"model": NAME, "messages": messages, **SHORT})
    assert r.source == "local" and r.text


def hang_up_after_the_first_event(ibid, text):
    body = json.dumps(user(text, stream=True, max_tokens=512)).encode()
    s = socket.create_connection(("127.0.0.1", ibid.port))
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert s.recv(100)
    s.close()


def test_it_stops_when_the_client_has_left(alone):
    gone = alone.metric("ibid_client_gone_total")
    hang_up_after_the_first_event(alone, "Write a very long essay about the history of the sea.")
    alone.wait_metric("ibid_client_gone_total", gone + 1)
    until(lambda: alone.metric("ibid_requests_in_flight") == 0, "the worker to stop", 2)
    t0 = time.time()
    assert fresh(alone, user("Hi.", max_tokens=1)).status == 200
    assert time.time() - t0 < 2  # the worker is free again


def test_its_queue_is_bounded(alone):
    """One is at work, two wait, the fourth is refused."""
    body = json.dumps(user("Write a very long essay about rivers.", max_tokens=512)).encode()
    waiting = []
    try:
        for i in range(3):
            s = socket.create_connection(("127.0.0.1", alone.port))
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nx-ibid-namespace: %d\r\nContent-Length: %d\r\n\r\n%s" % (i, len(body), body))
            waiting.append(s)
            until(lambda: alone.metric("ibid_local_queue") == i, f"{i} that wait")
        r = fresh(alone, user("One more?"))
        assert (r.status, r.json["error"]["code"]) == (503, "overloaded") and "local.queue_max" in r.json["error"]["message"] and r.headers["retry-after"]
    finally:
        for s in waiting:
            s.close()
    until(lambda: alone.metric("ibid_requests_in_flight") == 0, "all to stop", 3)


def test_a_deadline(make_ibid):
    ibid = make_ibid(local=True, env={"IBID_LOCAL_DEADLINE_MS": "300"})
    r = fresh(ibid, user("Write a very long essay about mountains and rivers and seas.", max_tokens=512))
    assert (r.status, r.json["error"]["code"]) == (504, "timeout") and "local.deadline_ms" in r.json["error"]["message"]
    until(lambda: ibid.metric("ibid_local_queue") == 0 and ibid.metric("ibid_requests_in_flight") == 0, "the worker to stop", 3)


def test_answers_written_together(make_ibid):
    """Each is the one that it is alone; passes are shared, and all are given back."""
    ibid = make_ibid(local=True, env={"IBID_LOCAL_SEQUENCES": "4"})
    asked = [user(f"Tell me about the number {i}, and why people like it.", stream=True, max_tokens=24 + i) for i in range(6)]
    alone = [said(fresh(ibid, q).body) for q in asked]
    passes, tokens = ibid.metric("ibid_local_passes_total"), ibid.metric("ibid_local_pass_tokens_total")
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda q: said(fresh(ibid, q).body), asked))
    assert together == alone
    assert ibid.metric("ibid_local_passes_total") - passes < ibid.metric("ibid_local_pass_tokens_total") - tokens
    until(lambda: ibid.metric("ibid_local_sequences") == 0 and ibid.metric("ibid_local_queue") == 0, "all to end")
    assert ibid.metric('ibid_local_kv_pages{state="used"}') == 0 < ibid.metric('ibid_local_kv_pages{state="kept"}')


def test_a_prompt_is_taken_again_by_its_own_tenant_only(make_ibid):
    ibid = make_ibid(local=True)
    system = " ".join(f"Rule {i}: be kind to number {i}." for i in range(40))
    body = lambda q: {"model": "m", "messages": [{"role": "system", "content": system}, {"role": "user", "content": q}], **SHORT}
    ask = lambda key, q: post(ibid, body(q), [("x-ibid-cache", "no-cache, no-store")], key=key)
    reused = lambda: ibid.metric("ibid_local_reused_tokens_total")
    ask("one", "Hello?")
    assert reused() == 0
    ask("two", "Hello?")
    assert reused() == 0
    r = ask("one", "And now?")
    assert 200 < reused() < r.json["usage"]["prompt_tokens"]


@needs_encoder
def test_the_answer_of_a_near_question_is_guessed_from(make_ibid):
    """It is not served, since another number was asked for; and what is guessed changes no answer."""
    ibid = make_ibid(local=True, encoder=True, env={"IBID_LOCAL_SPECULATE": "always"})
    ask = lambda n: user(f"Write a sentence about the number {n}.", stop=["."], max_tokens=100)
    guessed = lambda: ibid.metric('ibid_local_guessed_tokens_total{source="neighbour"}')
    r = post(ibid, ask(5))
    assert r.json["choices"][0]["finish_reason"] == "stop" and guessed() == 0
    until(lambda: ibid.metric("ibid_index_entries") == 1, "the answer to be found by meaning")
    r = post(ibid, ask(6))
    assert r.source == "local" and guessed() > 0
    assert guessed() >= ibid.metric('ibid_local_guessed_right_total{source="neighbour"}') > 0
    off = make_ibid(local=True, env={"IBID_LOCAL_SPECULATE": "off"})
    assert post(off, ask(6)).json["choices"][0]["message"] == r.json["choices"][0]["message"]
    assert off.metric('ibid_local_guessed_tokens_total{source="prompt"}') == 0


def test_a_smaller_model_guesses(make_ibid):
    """Here the model itself: what it guesses is right, up to the end. One that is not there is left out with a word."""
    path = str(next(DECODER.glob("*.gguf")))
    ask = user("Name three rivers of Europe.", max_tokens=30)
    ibid = make_ibid(local=True, env={"IBID_LOCAL_SPECULATE": "always", "IBID_LOCAL_GUESS_MODEL": path})
    plain = make_ibid(local=True, env={"IBID_LOCAL_SPECULATE": "off"})
    assert post(ibid, ask).json["choices"] == post(plain, ask).json["choices"]
    guessed, right = (ibid.metric(f'ibid_local_guessed_{what}_total{{source="model"}}') for what in ("tokens", "right"))
    assert 0 < guessed / 2 < right <= guessed
    assert ibid.metric("ibid_local_passes_total") < plain.metric("ibid_local_passes_total")
    nothing = make_ibid(local=True, env={"IBID_LOCAL_GUESS_MODEL": "/nowhere/model.gguf"})
    assert post(nothing, ask).json["choices"][0]["message"] and "guess_model" in nothing.admin("/readyz").body.decode()


@no_sanitizer
def test_memory_is_the_file_the_context_and_little_more():
    model = next(DECODER.glob("*.gguf"))
    # Of a small process's child: what a process had before it began another program counts for it, too.
    ask = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", ask, BIN, "generate", "-m", model, "-p", "Tell me a story.", "-n", "40", "-q"], check=True, capture_output=True, text=True,
                          env={**os.environ, "IBID_LOCAL_CONTEXT_MAX": "256", "IBID_LOCAL_MAX_TOKENS": "100"})
    used = int(done.stdout) * 1024
    assert model.stat().st_size < used <= model.stat().st_size + 256 * KV_TOKEN + 20 * MIB


@no_sanitizer
def test_workers_share_the_weights(make_ibid):
    size = next(DECODER.glob("*.gguf")).stat().st_size
    ibid = make_ibid(local=True, env={"IBID_LOCAL_WORKERS": "2", "IBID_LOCAL_SEQUENCES": "1", "IBID_LOCAL_CONTEXT_MAX": "256",
                                      "IBID_LOCAL_CACHE_TOKENS": "256", "IBID_LOCAL_MAX_TOKENS": "100", "IBID_ENCODER_MODEL": "off"})
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert [r.status for r in pool.map(lambda i: fresh(ibid, user(f"Tell me story {i}.", max_tokens=60)), range(2))] == [200, 200]
    pages = sum(ibid.metric(f'ibid_local_kv_pages{{state="{s}"}}') for s in ("used", "kept", "free"))
    assert pages == 2 * (256 / 32 + 1)  # both have worked
    most = int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{ibid.proc.pid}/status").read())[1]) * 1024
    assert most <= size + 2 * 256 * KV_TOKEN + 50 * MIB < 2 * size


def test_our_tokens_and_time_are_counted(alone):
    before = alone.savings()
    u = fresh(alone, user("Hello there.", **SHORT)).json["usage"]
    after = alone.savings()
    assert after["local_model"]["prompt_tokens"] - before["local_model"]["prompt_tokens"] == u["prompt_tokens"]
    assert after["local_model"]["completion_tokens"] - before["local_model"]["completion_tokens"] == u["completion_tokens"]
    assert after["own_cost_cpu_seconds"]["local_model"] < before["own_cost_cpu_seconds"]["local_model"]
    assert after["saved"]["usd"] == 0


def test_routes(beside):
    ibid, up = beside
    prove(ibid, "k")
    before = len(up.requests)
    assert post(ibid, user("Hi.", **SHORT), LOCAL, key="k").source == "local"
    assert post(ibid, user("Hi.", model=NAME, **SHORT), key="k").source == "local"
    assert post(ibid, user("Hi.", model=NAME.upper(), **SHORT), key="k").json["model"] == NAME
    assert len(up.requests) == before
    assert post(ibid, user("Hi.", **SHORT), key="k").source == "upstream"
    assert post(ibid, user("Hi.", model=NAME, **SHORT), [("x-ibid-route", "upstream")], key="k").source == "upstream"
    assert up.requests[-1].header("x-ibid-route") == [] and len(up.requests) == before + 2


def test_no_answer_of_the_one_is_served_as_the_others(beside):
    ibid, up = beside
    prove(ibid, "one")
    body = user("Who are you?", model="stub-model", stop=[" "], max_tokens=32)
    local = post(ibid, body, LOCAL, key="one")
    upstream = post(ibid, body, key="one")
    assert (local.json["model"], upstream.json["model"]) == (NAME, "stub-model") and upstream.source == "upstream"
    assert post(ibid, body, key="one").json["model"] == "stub-model"
    assert post(ibid, body, LOCAL, key="one").json["model"] == NAME


def test_a_local_answer_proves_no_credential(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "s"})
    post(ibid, user("q"), key="good")
    assert post(ibid, user("q", **SHORT), LOCAL, key="stranger").source == "local"
    r = post(ibid, user("q"), key="stranger")
    assert r.source == "upstream" and "credential_unproven" in r.headers["cache-status"]


def test_both_are_listed(beside, alone):
    ibid, up = beside
    up.default, old = (lambda r: Reply(body=b'{"object":"list","data":[{"id":"stub-model","object":"model","x":1}]}')), up.default
    try:
        assert [m["id"] for m in post(ibid, None, path="/v1/models", method="GET", key="k").json["data"]] == ["stub-model", NAME]
    finally:
        up.default = old
    assert [m["id"] for m in post(alone, None, path="/v1/models", method="GET").json["data"]] == [NAME]
    for i in (ibid, alone):
        m = post(i, None, path=f"/v1/models/{NAME}", method="GET").json
        assert (m["id"], m["object"], m["owned_by"]) == (NAME, "model", "ibid")


def test_a_list_that_is_refused(beside):
    ibid, up = beside
    prove(ibid, "list")
    post(ibid, user("listed"), key="list")
    assert post(ibid, user("listed"), key="list").source == "exact"
    for chunked in (False, True):
        up.script = [Reply(status=429, body=b"<html>" + b"x" * 2_000_000, content_type="text/html", headers=[("Retry-After", "7"), ("x-request-id", "r")], chunked=chunked)]
        r = post(ibid, None, path="/v1/models", method="GET", key="list")
        assert (r.status, len(r.body), r.headers["content-type"], r.headers["retry-after"], r.headers["x-request-id"]) == (429, 2_000_006, "text/html", "7", "r")
    assert post(ibid, user("listed"), key="list").source == "exact"
    up.script = [Reply(status=401, body=b'{"error":{"message":"no"}}')]
    r = post(ibid, None, path="/v1/models", method="GET", key="list")
    assert r.status == 401 and r.json["error"]["message"] == "no"
    assert post(ibid, user("listed"), key="list").status == 401  # and it revokes, as any refusal does
    up.script = []


def test_a_body_where_none_is_expected(beside, alone):
    for i in (beside[0], alone):
        for path in ("/v1/models", f"/v1/models/{NAME}"):
            r = post(i, b'{"a":1}', path=path, method="GET", key="k")
            assert r.status in (200, 502)  # the stub chokes on a list without a chat
            assert i.admin("/healthz").status == 200
