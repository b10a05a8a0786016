"""`ibid cache import` and `export`: past answers in, stored ones out; what is put in is found by the very clients it was
put in for."""
import json
import os
import subprocess

import pytest

from conftest import BIN, free_port, needs_encoder
from upstream import answer, completion


def run(ibid, *args, stdin="", env=None):
    p = subprocess.run([BIN, "cache", *args], input=stdin, env={**ibid.env, **(env or {})}, capture_output=True, text=True, timeout=60)
    assert "Sanitizer" not in p.stderr, p.stderr
    return p


@pytest.fixture
def stopped(make_ibid, upstream):
    """An ibid that is not running yet, that will take sk-test without asking."""
    ibid = make_ibid(upstream)
    ibid.stop()
    (ibid.dir / "keys").write_text("sk-test\n")
    ibid.env.update(IBID_UPSTREAM_ACCEPT_FILE=str(ibid.dir / "keys"), CLIENT_KEY="sk-test")
    return ibid


def lines(*objects):
    return "".join(json.dumps(o) + "\n" for o in objects)


def chat(text, model="stub-model", **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def exchange(text, said, **fields):
    return {"request": chat(text, **fields), "response": completion(said)}


CREDENTIAL = ("--credential", "env:CLIENT_KEY")


def test_an_export_comes_back_byte_for_byte(make_ibid, upstream, stopped):
    first = make_ibid(upstream)
    for i in range(20):
        assert first.chat(f"question {i}", stream=i % 2 == 0).status == 200
    first.chat("what is \u4e2d \"quoted\"?\n")
    first.wait_metric("ibid_store_entries", 21)
    first.stop()
    out = first.dir / "out.jsonl"
    p = run(first, "export", "-o", str(out))
    assert p.returncode == 0 and p.stderr == "21 entries\n" and p.stdout == ""
    assert os.stat(out).st_mode & 0o777 == 0o600
    exported = [json.loads(x) for x in out.read_text().splitlines()]
    keys = [e["key"] for e in exported]
    assert keys == sorted(keys) and len(set(keys)) == 21
    assert run(first, "export").stdout == out.read_text()
    assert run(first, "export", "-o", str(out)).returncode == 1  # never replaced

    (stopped.dir / "data/secret").write_bytes((first.dir / "data/secret").read_bytes())
    for _ in range(2):  # twice is once
        p = run(stopped, "import", str(out))
        assert p.returncode == 0 and "21 lines: 21 taken, 0 not reusable, 0 expired, 0 bad" in p.stderr, p.stderr
    assert run(stopped, "export").stdout == out.read_text()
    stopped.start()
    asked = len(upstream.requests)
    for i in range(20):
        r = stopped.chat(f"question {i}")
        assert r.source == "exact" and r.text == f"answer {i + 1}"
    assert len(upstream.requests) == asked


def test_a_batch_of_openai(stopped, upstream):
    requests = lines(*({"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": chat(f"q{i}", temperature=0.5)}
                       for i in (2, 0, 1)))
    answers = lines({"id": "b", "custom_id": "r0", "response": {"status_code": 200, "request_id": "x", "body": completion("a0")}, "error": None},
                    {"id": "b", "custom_id": "r1", "response": {"status_code": 500, "body": {"error": {}}}, "error": None},
                    {"id": "b", "custom_id": "r2", "response": {"status_code": 200, "body": completion("a2")}, "error": None})
    (stopped.dir / "requests").write_text(requests)
    p = run(stopped, "import", *CREDENTIAL, "--requests", str(stopped.dir / "requests"), "-", stdin=answers)
    assert p.returncode == 0 and "3 lines: 2 taken, 1 not reusable" in p.stderr and "no_answer 1" in p.stderr, p.stderr
    stopped.start()
    for i in (0, 2):
        r = stopped.chat(f"q{i}", temperature=0.50)
        assert r.source == "exact" and r.text == f"a{i}"
        # As old as the answer says (2023), and good from now on.
        assert int(r.headers["age"]) > 80_000_000 and "; ttl=86" in r.headers["cache-status"]
        assert stopped.chat(f"q{i}", temperature=0.5, key="another").source == "upstream"
    assert stopped.chat("q1", temperature=0.5).source == "upstream"


def test_logs_of_others(stopped, upstream):
    text = lines(
        exchange("plain", "plain said"),
        {"path": "/v1/messages", "request": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
         "response": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "anthropic said"}],
                      "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2}}},
        {"id": "x", "call_type": "acompletion", "status": "success", "model": "stub-model", "model_parameters": {"temperature": 0.2, "seed": 7},
         "messages": [{"role": "user", "content": "litellm"}], "response": completion("litellm said")},
        {"call_type": "acompletion", "status": "failure", "model": "stub-model", "messages": [], "response": {}},
        {"type": "GENERATION", "model": "stub-model", "modelParameters": {"max_tokens": 50}, "input": [{"role": "user", "content": "fuse 1"}],
         "output": {"role": "assistant", "content": "langfuse said"}, "usage": {"input": 11, "output": 4}},
        {"type": "GENERATION", "model": "stub-model", "input": {"messages": [{"role": "user", "content": "fuse 2"}]}, "output": "a text"},
        {"type": "GENERATION", "model": "stub-model", "input": {"messages": [{"role": "user", "content": "fuse 3"}]}, "output": completion("whole")},
        {"type": "GENERATION", "model": "stub-model", "input": {"messages": []}, "output": None},
    )
    p = run(stopped, "import", *CREDENTIAL, "-", stdin=text)
    assert p.returncode == 0 and "8 lines: 6 taken, 2 not reusable" in p.stderr, p.stderr
    stopped.start()
    for r, said in ((stopped.chat("plain"), "plain said"), (stopped.chat("litellm", temperature=0.2, seed=7), "litellm said"),
                    (stopped.chat("fuse 1", max_tokens=50), "langfuse said"), (stopped.chat("fuse 2"), "a text"), (stopped.chat("fuse 3"), "whole")):
        assert r.source == "exact" and r.text == said
    assert stopped.chat("fuse 1", max_tokens=50).json["usage"]["total_tokens"] == 15
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
    r = stopped.request("POST", "/v1/messages", body, {"authorization": "Bearer sk-test"})
    assert r.source == "exact" and r.json["content"][0]["text"] == "anthropic said"
    assert upstream.requests == []


def test_bad_lines_are_named_and_refused_or_passed_over(stopped):
    text = (lines(exchange("one", "1")) + "\n" + "{\"request\": \n" + lines({"what": "is this?"}, {"request": {"model": 7}, "response": {}},
            {"ibid_entry": 1, "frame": "aWJpZA=="}, {"path": "/nowhere", "request": {}, "response": {}},
            {"custom_id": "a", "url": "/v1/x", "body": {}}, exchange("two", "2")))
    p = run(stopped, "import", *CREDENTIAL, "-", stdin=text)
    assert p.returncode == 1 and "ibid: -: line 3: it is no JSON object\n" in p.stderr and "2 lines: 1 taken" in p.stderr, p.stderr
    p = run(stopped, "import", *CREDENTIAL, "--bad", "skip", "-", stdin=text)
    assert p.returncode == 0 and "8 lines: 2 taken, 0 not reusable, 0 expired, 6 bad" in p.stderr, p.stderr
    for n, why in ((3, "no JSON"), (4, "of no kind that ibid knows"), (5, "messages"), (6, "its frame is not whole"), (7, "no dialect has this path"),
                   (8, "without its answer")):
        assert any(x.startswith(f"ibid: -: line {n}: ") and why in x for x in p.stderr.splitlines()), (n, p.stderr)
    stopped.start()
    assert stopped.chat("one").source == "exact" and stopped.chat("two").source == "exact"


def test_what_would_not_be_reused_is_not_stored(stopped):
    half = completion("cut", finish="length")
    text = lines({"request": chat("a"), "response": half}, exchange("b", "hot", temperature=1.9), exchange("c", "no", store=False),
                 {"request": chat("d"), "response": {"error": {"message": "no"}}}, exchange("e", "yes"))
    p = run(stopped, "import", *CREDENTIAL, "-", stdin=text)
    assert p.returncode == 0 and "5 lines: 1 taken, 4 not reusable" in p.stderr, p.stderr
    for reason in ("truncated 1", "temperature 1", "store_false 1", "error 1"):
        assert f"  not reusable: {reason}\n" in p.stderr
    assert run(stopped, "export").stdout.count("\n") == 1


def test_whose_they_are_must_be_said(stopped, upstream):
    text = lines(exchange("q", "said"))
    p = run(stopped, "import", "-", stdin=text)
    assert p.returncode == 1 and "line 1: whose answers are these?" in p.stderr
    for wrong in ("sk-123", "env:NOT_THERE", "file:/not/there"):
        p = run(stopped, "import", "--credential", wrong, "-", stdin=text)
        assert p.returncode == 2 and "--credential: " in p.stderr and "sk-123" not in p.stderr.split("usage")[0].replace(f"'{wrong}'", ""), p.stderr
    (stopped.dir / "key").write_text("mine\n")
    assert run(stopped, "import", "--anonymous", "--namespace", "n", "-", stdin=text).returncode == 0
    assert run(stopped, "import", "--credential", f"x-api-key: file:{stopped.dir}/key", "--header", "openai-project: p", "-", stdin=text).returncode == 0
    stopped.env["IBID_UPSTREAM_ACCEPT_FILE"] = ""
    stopped.start()
    # Each is proven first, and then finds what was put in for it.
    for key, headers in ((None, {"x-ibid-namespace": "n"}), (None, {"x-api-key": "mine", "openai-project": "p"})):
        assert stopped.chat("another", key=key, headers=headers).source == "upstream"
        assert stopped.chat("q", key=key, headers=headers).text == "said"
    for key, headers in ((None, {}), ("sk-test", {}), (None, {"x-api-key": "mine"})):
        assert stopped.chat("q", key=key, headers=headers).source == "upstream"


def test_an_alias_and_an_upstream_of_its_own(make_ibid, upstream):
    config = json.dumps({"upstreams": [{"name": "a", "url": upstream.url, "models": ["real-*"], "aliases": {"fast": "real-mini"}}]})
    ibid = make_ibid(config=config)
    ibid.stop()
    c = str(ibid.dir / "ibid.yaml")
    p = run(ibid, "import", "-c", c, "--anonymous", "--bad", "skip", "-", stdin=lines(exchange("q", "said", model="fast"), exchange("q", "x", model="nobody's")))
    assert p.returncode == 0 and "1 taken" in p.stderr and "line 2: no upstream takes its model" in p.stderr, p.stderr
    ibid.start()
    upstream.default = lambda r: answer("fresh")
    assert ibid.chat("other", key=None, model="real-mini").text == "fresh"
    for name in ("real-mini", "fast"):
        assert ibid.chat("q", key=None, model=name).text == "said"


def test_a_store_that_is_in_use_and_one_that_is_shared(make_ibid, upstream, redis):
    text = lines(exchange("q", "said"))
    ibid = make_ibid(upstream)
    p = run(ibid, "export")
    assert p.returncode == 1 and f"in use by process {ibid.proc.pid}" in p.stderr, p.stderr
    # Its own ibid takes entries while it runs; where that one is not to be found they are refused.
    p = run(ibid, "import", "--anonymous", "-", stdin=text, env={"IBID_ADMIN_LISTEN": f"127.0.0.1:{free_port()}"})
    assert p.returncode == 1 and "process" in p.stderr and "no ibid takes entries at" in p.stderr, p.stderr
    p = run(ibid, "export", env={"IBID_STORE_URL": "memory:"})
    assert p.returncode == 1 and "memory: ends with its process" in p.stderr
    shared = make_ibid(upstream, env={"IBID_STORE_URL": redis.url})
    assert shared.chat("prove me", key=None).source == "upstream"
    p = run(shared, "import", "--anonymous", "--dry-run", "-", stdin=text)
    assert p.returncode == 0 and "1 taken" in p.stderr and "nothing was stored" in p.stderr
    assert shared.chat("q0", key=None).source == "upstream"
    assert run(shared, "import", "--anonymous", "-", stdin=text).returncode == 0
    assert shared.chat("q", key=None).text == "said"
    assert run(shared, "export").stdout.count("\n") == 3
    redis.stop()
    p = run(shared, "import", "--anonymous", "-", stdin=text)
    assert p.returncode == 1 and p.stderr.startswith("ibid: "), p.stderr


def test_into_an_ibid_that_runs(stopped, upstream):
    stopped.start()
    text = lines(*(exchange(f"question {i}", f"answer {i}") for i in range(3000)))
    p = run(stopped, "import", *CREDENTIAL, "--dry-run", "-", stdin=text)
    assert p.returncode == 0 and "3000 taken" in p.stderr and stopped.metric("ibid_cache_imported_total") == 0
    p = run(stopped, "import", *CREDENTIAL, "-", stdin=text + "no json\n")
    assert p.returncode == 1 and "line 3001" in p.stderr and "3000 taken" in p.stderr and "1 bad" in p.stderr, p.stderr
    asked = len(upstream.requests)
    for i in (0, 1, 1500, 2999):
        r = stopped.chat(f"question {i}")
        assert r.source == "exact" and r.text == f"answer {i}"
    assert len(upstream.requests) == asked and stopped.metric("ibid_cache_imported_total") >= 3000
    # All of it survives, as if it had been stored by itself.
    stopped.wait_metric("ibid_store_entries", 3000)
    stopped.stop()
    assert run(stopped, "export").stdout.count("\n") == 3000
    out = run(stopped, "export").stdout
    stopped.start()
    p = run(stopped, "import", "-q", "-", stdin=out)
    assert p.returncode == 0 and p.stderr == ""
    stopped.stop()
    p = run(stopped, "export")
    assert p.returncode == 0, p.stderr
    assert p.stdout == out, p.stderr + stopped.read_log()


def test_into_one_whose_queue_is_short_and_into_mere_memory(make_ibid, upstream, tmp_path):
    text = lines(*(exchange(f"question {i}", "x" * 2000) for i in range(500)))
    (tmp_path / "keys").write_text("sk-test\n")
    for name, env in (("short", {"IBID_STORE_QUEUE_MAX": "8"}), ("memory", {"IBID_STORE_URL": "memory:"})):
        ibid = make_ibid(upstream, name=name, env={**env, "IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "keys")})
        p = run(ibid, "import", "--credential", f"file:{tmp_path}/keys", "-", stdin=text)
        assert p.returncode == 0 and "500 taken" in p.stderr and "did not keep" not in p.stderr, p.stderr
        assert ibid.chat("question 499").source == "exact", name
        if name == "short":
            ibid.wait_metric("ibid_store_entries", 500)


def test_what_the_admin_listener_takes(make_ibid, upstream):
    ibid = make_ibid(upstream)
    post = lambda body, token=True: ibid.request("POST", "/admin/v1/entries", body, {"authorization": f"Bearer {ibid.token()}"} if token else {}, port=ibid.admin_port)
    assert post("{}", token=False).status == 401
    counts = lambda taken=0, refused=0: {"lines": taken + refused, "taken": taken, "expired": 0, "refused": refused}
    assert post("").json == counts()
    bad = ["{}", "no json", '{"frame":1}', '{"frame":"AAAA"}', '{"frame":"%%%"}']
    assert post("\n".join(bad) + "\n").json == counts(refused=5)
    ibid.chat("q")
    ibid.wait_metric("ibid_store_entries", 1)
    ibid.stop()
    line = run(ibid, "export").stdout
    ibid.start()
    assert post(line).json == counts(taken=1) and post(line * 3).json == counts(taken=3)
    broken = json.loads(line)
    broken["frame"] = broken["frame"][:-12] + "AAAA" + broken["frame"][-8:]  # its checksum tells
    assert post(json.dumps(broken) + "\n" + line).json == counts(taken=1, refused=1)
    assert post("x" * 9_500_000).status == 413
    assert ibid.chat("q").text == ibid.chat("q").text


@needs_encoder
def test_a_running_one_finds_them_by_meaning_too(make_ibid, upstream, tmp_path):
    (tmp_path / "keys").write_text("sk-test\n")
    ibid = make_ibid(upstream, encoder=True, env={"IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "keys")})
    p = run(ibid, "import", "--credential", f"file:{tmp_path}/keys", "-", stdin=lines(exchange("How do I reset my password?", "Click on 'forgot'.")))
    assert p.returncode == 0, p.stderr
    ibid.wait_metric("ibid_index_entries", 1)
    r = ibid.chat("How can I reset my password?")
    assert r.source == "semantic" and r.text == "Click on 'forgot'."


def test_many(stopped):
    """More than the store takes at once."""
    text = lines(*(exchange(f"question {i}", f"answer {i}") for i in range(3000)))
    p = run(stopped, "import", *CREDENTIAL, "-q", "-", stdin=text, env={"IBID_STORE_QUEUE_MAX": "64"})
    assert p.returncode == 0 and p.stderr == "", p.stderr
    assert run(stopped, "export").stdout.count("\n") == 3000


@needs_encoder
def test_they_are_found_by_meaning_too(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    ibid.stop()
    (ibid.dir / "keys").write_text("sk-test\n")
    ibid.env["IBID_UPSTREAM_ACCEPT_FILE"] = str(ibid.dir / "keys")
    p = run(ibid, "import", "--credential", f"file:{ibid.dir}/keys", "-", stdin=lines(exchange("How do I reset my password?", "Click on 'forgot'.")))
    assert p.returncode == 0, p.stderr
    ibid.start()
    ibid.wait_metric("ibid_index_entries", 1)
    r = ibid.chat("How can I reset my password?")
    assert r.source == "semantic" and r.text == "Click on 'forgot'."


def test_help_and_wrong_arguments(stopped):
    for args in (("import", "--help"), ("export", "--help"), ("--help",)):
        p = run(stopped, *args)
        assert p.returncode == 0 and p.stdout.startswith("usage: ibid cache")
    for args in ((), ("delete",), ("import",), ("import", "--bad", "maybe", "x"), ("import", "--header", "x", "x"), ("export", "x"),
                 ("import", "--path", "v1", "x")):
        p = run(stopped, *args)
        assert p.returncode == 2 and "usage: ibid cache" in p.stderr, args
    p = run(stopped, "import", "--anonymous", "/not/there")
    assert p.returncode == 1 and "cannot read '/not/there'" in p.stderr
