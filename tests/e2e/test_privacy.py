"""privacy: and offline: with the real binary. What the upstream sees, what the client gets, what is
kept, and what nobody may hear of."""
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import conftest
from upstream import Reply, Upstream, answer, chunk, completion

MAIL, CARD, IBAN = "ann.keller@example.com", "4111 1111 1111 1111", "DE89370400440532013000"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBg\n-----END PRIVATE KEY-----"
VALUES = [MAIL, CARD, IBAN, "ann.keller", "4111 1111", "MIIBVgIBADANBg"]


@pytest.fixture
def up():
    u = Upstream()
    yield u
    u.close()


@pytest.fixture
def serve(tmp_path, up):
    running = []

    def start(config="", env=None, upstream=up, **kw):
        d = tmp_path / str(len(running))
        d.mkdir()
        i = conftest.Ibid(d, upstream, env={"IBID_PRIVACY_ACTION": "replace", **(env or {})}, config=config, **kw)
        running.append(i)
        return i

    yield start
    for i in running:
        i.stop()


def echo(pieces=1):
    """Says again what it was told last, as JSON or as a stream of `pieces` letters an event."""
    def reply(request):
        q = request.json
        text = q["messages"][-1]["content"] if "messages" in q else q["prompt"]
        if not q.get("stream"):
            return answer(f"You said: {text}")
        text = f"You said: {text}"
        data = [chunk({"content": text[i:i + pieces]}) for i in range(0, len(text), pieces)] + [chunk({}, "stop")]
        return Reply(body=b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in data) + b"data: [DONE]\n\n",
                     content_type="text/event-stream", chunked=True, pieces=101)
    return reply


def events_of(body):
    lines = [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def told(body):
    return "".join(c["delta"].get("content") or "" for e in events_of(body) for c in e["choices"])


def seen(up):
    return b"".join(r.body for r in up.requests).decode()


def counted(ibid, name):
    return {line.split(" ")[0]: float(line.split(" ")[1])
            for line in ibid.admin("/metrics").body.decode().splitlines() if line.startswith(name)}


def clean(ibid, up):
    """Nothing of the values anywhere but with the client."""
    for v in VALUES:
        assert v not in seen(up) and v not in ibid.read_log()
        assert v not in ibid.admin("/metrics").body.decode()
        for f in pathlib.Path(ibid.dir, "data").rglob("*"):
            if f.is_file():
                assert v.encode() not in f.read_bytes(), f


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 11])
def test_replaced_and_restored(serve, up, pieces):
    up.default = echo(pieces)
    ibid = serve()
    text = f"Mail {MAIL}, pay {IBAN} by {CARD}; {MAIL} again. {PEM}"
    r = ibid.chat(text)
    assert r.status == 200 and r.text == f"You said: {text}" and r.source == "upstream"
    assert r.headers["x-ibid-privacy"] == "replace"
    s = ibid.chat(text, stream=True)
    assert told(s.body) == f"You said: {text}"
    # From the cache, either way, byte for byte the same values.
    assert s.source == "exact"
    n = len(up.requests)
    assert ibid.chat(text).text == f"You said: {text}" and len(up.requests) == n
    # A stream of the upstream's own.
    s = ibid.chat(text + " Stream.", stream=True)
    assert s.source == "upstream" and told(s.body) == f"You said: {text} Stream."
    assert s.body.rstrip().endswith(b"data: [DONE]")
    sent = up.requests[0].json["messages"][0]["content"]
    word = sent.split(" ")[1].rstrip(",")
    assert word.startswith("EMAIL_1_") and sent.count(word) == 2
    clean(ibid, up)
    assert counted(ibid, "ibid_privacy_found_total")['ibid_privacy_found_total{class="email",action="replace"}'] >= 6
    assert counted(ibid, "ibid_privacy_restored_total")["ibid_privacy_restored_total"] > 0


def test_one_value_one_answer(serve, up):
    """Two mails never share an answer, though the upstream sees the same text; the same question
    keeps its placeholders while the conversation grows."""
    up.default = echo()
    ibid = serve()
    for mail in ("a@example.com", "b@example.com", "a@example.com"):
        assert ibid.chat(f"Who is {mail}?").text == f"You said: Who is {mail}?"
    assert len(up.requests) == 2
    assert up.requests[0].body == up.requests[1].body
    history = [{"role": "user", "content": "I am a@example.com"}, {"role": "assistant", "content": "Hello a@example.com"},
               {"role": "user", "content": "and b@example.com?"}]
    ibid.chat("", messages=history)
    first = [m["content"].split(" ")[-1] for m in up.requests[-1].json["messages"]]
    assert first[0] == first[1] != first[2].rstrip("?")
    ibid.chat("", messages=history + [{"role": "assistant", "content": "Yes"}, {"role": "user", "content": "c@example.com"}])
    assert [m["content"].split(" ")[-1] for m in up.requests[-1].json["messages"]][:3] == first


def test_shared_scope(serve, up):
    """Who shares a space shares veiled answers only."""
    up.default = echo()
    ibid = serve(env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "all"})
    for key in ("sk-one", "sk-two"):
        ibid.chat("prove", key=key)
    assert ibid.chat(f"To {MAIL}.", key="sk-one").source == "upstream"
    r = ibid.chat(f"To {MAIL}.", key="sk-two")
    assert r.source == "exact" and r.text == f"You said: To {MAIL}."
    clean(ibid, up)


def test_collisions(serve, up):
    """Texts that hold what looks like a placeholder, even the very one, come back as they are."""
    up.default = echo(3)
    ibid = serve()
    ibid.chat(f"I am {MAIL}")
    mark = up.requests[0].json["messages"][0]["content"].split(" ")[-1]
    text = f"{mark} is not {MAIL}; EMAIL_2_BFGJ is nobody"
    assert ibid.chat(text).text == f"You said: {text}"
    assert told(ibid.chat(text + "!", stream=True).body) == f"You said: {text}!"
    sent = up.requests[-1].json["messages"][0]["content"]
    assert mark in sent and MAIL not in sent and "EMAIL_1_" in sent.replace(mark, "")


def test_every_text(serve, up):
    """All dialects, all places of a request."""
    up.default = lambda r: Reply(body=json.dumps(completion("ok")).encode())
    ibid = serve()
    h = {"authorization": "Bearer sk-test", "content-type": "application/json"}
    u = {"role": "user", "content": MAIL}
    requests = {
        "/v1/chat/completions": [
            {"model": "m", "user": MAIL, "metadata": {MAIL: MAIL}, "messages": [
                {"role": "system", "content": MAIL}, {"role": "user", "content": [{"type": "text", "text": f"x {MAIL}"}]},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"k": PEM, "m": MAIL})}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": f'{{"pay": "{IBAN}"}}'}],
             "tools": [{"type": "function", "function": {"name": "f", "description": f"ask {MAIL}", "parameters": {"type": "object"}}}]}],
        "/v1/messages": [
            {"model": "m", "max_tokens": 9, "system": MAIL, "messages": [
                u, {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"id": MAIL, MAIL: [PEM]}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": CARD}]}]}],
        "/v1/responses": [{"model": "m", "instructions": MAIL, "input": [u, {"type": "function_call_output", "call_id": "c", "output": MAIL}]},
                          {"model": "m", "input": MAIL}],
        "/v1/completions": [{"model": "m", "prompt": MAIL}],
        "/v1/embeddings": [{"model": "m", "input": [MAIL, f"x {CARD}"]}],
        "/v1/moderations": [{"model": "m", "input": MAIL}],
        "/api/chat": [{"model": "m", "messages": [u]}],
        "/api/generate": [{"model": "m", "system": MAIL, "prompt": MAIL}],
        "/api/embed": [{"model": "m", "input": [MAIL]}],
        "/v1beta/models/g:generateContent": [{"systemInstruction": {"parts": [{"text": MAIL}]},
                                              "contents": [{"role": "user", "parts": [{"text": MAIL}, {"functionCall": {"name": "f", "args": {"a": MAIL}}}]}]}],
    }
    for path, bodies in requests.items():
        for body in bodies:
            n = len(up.requests)
            r = ibid.request("POST", path, json.dumps(body), h)
            assert r.status == 200, (path, r.body)
            assert len(up.requests) == n + 1, path
            assert up.requests[-1].json.keys() == body.keys()
    clean(ibid, up)
    call = json.loads(up.requests[0].json["messages"][2]["tool_calls"][0]["function"]["arguments"])
    assert call["k"].startswith("PRIVATEKEY_1_") and call["m"].startswith("EMAIL_1_")


def test_call_of_a_tool(serve, up):
    """What the model gives a tool is what it was told, escaped for where it stands."""
    def call(request):
        word = request.json["messages"][0]["content"].split(" ")
        args = json.dumps({"to": word[1], "key": word[3]})
        if not request.json.get("stream"):
            return answer(None, finish="tool_calls", tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": args}}])
        deltas = [chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]})]
        deltas += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": args[i:i + 4]}}]}) for i in range(0, len(args), 4)]
        data = deltas + [chunk({}, "tool_calls")]
        return Reply(body=b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in data) + b"data: [DONE]\n\n",
                     content_type="text/event-stream", chunked=True)
    up.default = call
    ibid = serve()
    want = {"to": MAIL, "key": PEM}
    r = ibid.chat(f"To {MAIL} key {PEM}").json
    assert json.loads(r["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == want
    s = ibid.chat(f"To {MAIL} key {PEM}", stream=True)
    args = "".join(t["function"].get("arguments", "") for e in events_of(s.body)
                   for c in e["choices"] for t in c["delta"].get("tool_calls", []))
    assert json.loads(args) == want


def test_broken_stream(serve, up):
    """Cut while an event waits: what came is given out, then the error, then the cut."""
    data = b"".join(b"data: " + json.dumps(chunk({"content": c})).encode() + b"\n\n" for c in ("One", " EMAI"))
    up.default = lambda r: Reply(body=data + b"x" * 500, content_type="text/event-stream", chunked=True, at=len(data), fault="rst")
    ibid = serve()
    with pytest.raises(Exception):
        ibid.chat(f"mail {MAIL}", stream=True)
    assert b"DONE" not in ibid.read_log().encode()
    up.default = echo(4)
    assert told(ibid.chat(f"mail {MAIL}", stream=True).body) == f"You said: mail {MAIL}"


def test_refused(serve, up):
    ibid = serve(env={"IBID_PRIVACY_ACTION": "off", "IBID_PRIVACY_EMAIL": "refuse"})
    r = ibid.chat(None, messages=[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"},
                                  {"role": "user", "content": f"I am {MAIL}"}])
    assert r.status == 403 and r.json["error"]["code"] == "private_data"
    assert r.json["error"]["param"] == "messages[2].content" and MAIL not in r.body.decode()
    assert not up.requests
    assert ibid.chat("order 112-1234567-1234567 from 4111 1111 1111 1111").status == 200
    clean_up = [v for v in VALUES if v in ibid.read_log()]
    assert not clean_up


def test_kept_here(serve, up):
    """local: nothing of it leaves, whatever the client wishes, and whatever is there to answer."""
    ibid = serve(env={"IBID_PRIVACY_ACTION": "local"})
    for wish in (None, "upstream", "local"):
        r = ibid.chat(f"I am {MAIL}", headers={"x-ibid-route": wish} if wish else {})
        assert r.status == 503 and "privacy" in r.json["error"]["message"], r.body
    assert ibid.chat("I am nobody").status == 200 and len(up.requests) == 1


@conftest.needs_decoder
def test_answered_here(serve, up):
    ibid = serve(env={"IBID_PRIVACY_ACTION": "local"}, local=True)
    for _ in range(2):
        r = ibid.chat(f"Say hello to {MAIL}.", max_tokens=8)
        assert r.status == 200 and r.source == "local" and r.headers["x-ibid-privacy"] == "local"
        assert "private" in r.headers["cache-status"]
    assert not up.requests
    clean(ibid, up)


def test_counted(serve, up):
    """count: it passes as it is, and is not kept."""
    ibid = serve(env={"IBID_PRIVACY_ACTION": "count"})
    for _ in range(2):
        r = ibid.chat(f"I am {MAIL}")
        assert r.source == "upstream" and "detail=private" in r.headers["cache-status"]
    assert MAIL in seen(up)
    assert counted(ibid, "ibid_privacy_found_total") == {'ibid_privacy_found_total{class="email",action="count"}': 2}
    up.default = lambda r: Reply(body=b"{}")
    assert ibid.request("POST", "/v1/files", "x", {"authorization": "Bearer sk-test"}).status == 200


def test_trusted(serve, up):
    """An upstream of one's own sees all; it is not kept."""
    ibid = serve(env={"IBID_UPSTREAM_TRUSTED": "on"})
    assert ibid.chat(f"I am {MAIL}").headers["x-ibid-privacy"] == "count"
    assert MAIL in seen(up)


def test_off_costs_nothing(serve, up):
    ibid = serve(env={"IBID_PRIVACY_ACTION": "off"})
    ibid.chat(f"I am {MAIL}")
    assert MAIL in seen(up) and ibid.chat(f"I am {MAIL}").source == "exact"
    assert not counted(ibid, "ibid_privacy")


def test_unread(serve, up):
    ibid = serve(env={"IBID_LIMITS_BODY_MAX_BYTES": "64KiB"})
    key = {"authorization": "Bearer sk-test"}
    for path, headers, body in (("/v1/files", {}, MAIL), ("/v1/audio/speech", {}, MAIL),
                                ("/v1/chat/completions", {"content-encoding": "gzip"}, b"\x1f\x8b"),
                                ("/v1/chat/completions", {"content-type": "application/json"},
                                 json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 70_000}]}))):
        r = ibid.request("POST", path, body, {**key, **headers})
        assert r.status == 403 and r.json["error"]["code"] == "private_unread", (path, r.body)
    assert not up.requests
    up.default = lambda r: Reply(body=b"{}")
    assert ibid.request("GET", "/v1/files", None, key).status == 200
    relaying = serve(env={"IBID_PRIVACY_UNREAD": "relay"})
    assert relaying.request("POST", "/v1/files", "x", key).status == 200


def test_patterns(serve, up):
    up.default = echo(2)
    config = ("privacy_patterns:\n  - name: customer\n    pattern: '\\bCN-\\d{6}\\b'\n"
              "  - name: badge\n    pattern: 'B[0-9]{3}'\n    action: refuse\n")
    ibid = serve(config)
    assert ibid.chat("of CN-123456").text == "You said: of CN-123456"
    assert "CN-123456" not in seen(up) and "VALUE_1_" in seen(up)
    assert ibid.chat("B123").status == 403


def test_slow_pattern(serve, up):
    """One that runs over its limit lets nothing through."""
    ibid = serve("privacy_patterns:\n  - name: slow\n    pattern: '^(x+x+)+y'\n")
    start = time.time()
    r = ibid.chat("x" * 5000 + " zy")
    assert r.status == 403 and "slow" in r.json["error"]["message"] and time.time() - start < 5
    assert not up.requests


def check(tmp_path, text, **env):
    path = tmp_path / "ibid.yaml"
    path.write_text(text)
    return subprocess.run([conftest.BIN, "check", "-q", "-c", str(path)], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env})


@pytest.mark.parametrize("text, names", [
    ("privacy_patterns:\n  - name: broken\n    pattern: '(a'\n", ["broken", "byte 2"]),
    ("privacy:\n  email: hide\n", ["privacy.email", "replace"]),
    ("privacy:\n  emial: count\n", ["emial", "privacy.email"]),
    ("offline: on\nupstream:\n  url: https://api.example.com\n", ["upstream.url", "offline"]),
    ("offline: on\nupstreams:\n  - name: ours\n    url: http://10.0.0.5\n", ["ours", "offline"]),
])
def test_settings_refused(tmp_path, text, names):
    r = check(tmp_path, text)
    assert r.returncode != 0
    for n in names:
        assert n in r.stderr, r.stderr


def test_export(serve, up, tmp_path):
    up.default = echo()
    ibid = serve()
    ibid.chat(f"I am {MAIL}")
    ibid.kill(15)
    r = subprocess.run([conftest.BIN, "cache", "export", "-q"], capture_output=True, env=ibid.env)
    lines = [json.loads(x) for x in r.stdout.splitlines()]
    assert r.returncode == 0 and len(lines) == 1 and lines[0]["question"] == ""
    import base64
    frame = base64.b64decode(lines[0]["frame"])
    assert MAIL.encode() not in frame and b"EMAIL_1_" in frame
    # After a restart it answers, restored.
    ibid.start()
    ibid.chat("prove")
    n = len(up.requests)
    assert ibid.chat(f"I am {MAIL}").text == f"You said: I am {MAIL}" and len(up.requests) == n


# --- offline --------------------------------------------------------------------------------------
OFFLINE = r"""
import json, pathlib, sys, tempfile
sys.path.insert(0, sys.argv[1])
import conftest

def counters():
    out = {}
    lines = pathlib.Path("/proc/net/snmp").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        for k, v in zip(names.split()[1:], values.split()[1:]):
            out[names.split(":")[0] + k] = int(v)
    return out

before = counters()
with tempfile.TemporaryDirectory() as tmp:
    env = json.loads(sys.argv[2])
    ibid = conftest.Ibid(tmp, env=env, encoder=env.pop("encoder", False), local=env.pop("local", False))
    answers = []
    for text in ("Say: yes", "Say: yes", "Mail to ann@example.com"):
        r = ibid.chat(text, max_tokens=64)
        answers.append([r.status, r.source])
    ibid.request("GET", "/v1/models")
    ibid.request("POST", "/v1/files", "x")
    log = ibid.read_log()
    ibid.stop()
after = counters()
print(json.dumps({"answers": answers, "log": log,
                  "no_route": after["IpOutNoRoutes"] - before["IpOutNoRoutes"],
                  "datagrams": after["UdpOutDatagrams"] - before["UdpOutDatagrams"]}))
"""


def in_namespace(**env):
    """In a network namespace with a loopback and no route: who tries to leave is counted by the
    kernel (OutNoRoutes, RFC 2011's ipOutNoRoutes)."""
    command = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable, "-c", OFFLINE,
               str(pathlib.Path(__file__).parent), json.dumps(env)]
    r = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "Operation not permitted" in r.stderr or "unshare failed" in r.stderr:
        pytest.skip("no network namespaces here: " + r.stderr.strip())
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def test_namespace_counts():
    """Without offline: an attempt is seen, so that none below means none."""
    out = in_namespace(IBID_UPSTREAM_URL="http://192.0.2.1:9")
    assert out["no_route"] > 0


@conftest.needs_decoder
def test_offline_works():
    """Everything local works, and nothing tries to leave; an entry is reused."""
    out = in_namespace(IBID_OFFLINE="on", local=True)
    assert out["answers"][0] == [200, "local"] and out["answers"][1] == [200, "exact"]
    assert out["answers"][2] == [200, "local"]
    assert out["no_route"] == 0 and out["datagrams"] == 0 and "connection_refused" not in out["log"]


def test_offline_without_models():
    out = in_namespace(IBID_OFFLINE="on")
    assert [a[0] for a in out["answers"]] == [503] * 3
    assert out["no_route"] == 0 and out["datagrams"] == 0


def test_offline_fetches_nothing(tmp_path):
    r = subprocess.run([conftest.BIN, "models", "pull", "all-minilm-l6-v2"], capture_output=True, text=True,
                       env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IBID_OFFLINE": "on"})
    assert r.returncode == 1 and "offline" in r.stderr
