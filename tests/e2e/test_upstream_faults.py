"""An upstream that fails in every way, and at every byte. Before the head of the answer the client gets
502 or 504 in the shape of its API; after it the answer breaks off visibly; nothing broken is stored."""
import json
import socket
import time

import httpx2 as httpx
import openai
import pytest

from conftest import free_port
from upstream import Reply, answer, chunk, completion, events, stream
from wire import Answer, Peer, ask, chat_bytes, exchange, framed, read_all, reset

SHORT = {"IBID_UPSTREAM_FIRST_BYTE_TIMEOUT_MS": "300", "IBID_UPSTREAM_IDLE_TIMEOUT_MS": "300",
         "IBID_UPSTREAM_TOTAL_TIMEOUT_MS": "1200", "IBID_UPSTREAM_CONNECT_TIMEOUT_MS": "500"}
JSON = json.dumps(completion("whole", usage=(1, 1)), separators=(",", ":")).encode()
SSE = events("whole answer", usage=(1, 1))
PROOF = "the question that proves the credential"


def assert_error(r, status, code):
    assert r.whole and r.status == status, r.data
    assert r.headers["content-type"] == "application/json"
    e = r.json["error"]
    assert e["code"] == code and e["type"] == "server_error" and e["message"], e
    assert r.source is None


def data_events(body):
    return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]


def assert_broken(r, is_stream, sent=b""):
    """After the head: visible to the framing, and for a stream to whoever reads events. A [DONE] is
    there only if the upstream had `sent` it."""
    assert r.status == 200 and not r.whole, r.data
    assert b"[DONE]" not in r.body or b"[DONE]" in sent
    if is_stream:
        assert r.body.endswith(b"\n\n")
        last = json.loads(data_events(r.body)[-1])
        assert last["error"]["type"] == "server_error", r.body


def prove(ibid, upstream_script=None):
    assert ask(ibid, PROOF).status == 200


class Faulty:
    """A peer that answers each question by what `plan` has for it, and whole otherwise."""

    def __init__(self):
        self.plan, self.asked = {}, []
        self.peer = Peer(self._serve)
        self.url = self.peer.url

    def close(self):
        self.peer.close()

    def count(self, question):
        return self.asked.count(question)

    def _serve(self, peer, s, n):
        while True:
            head, body = peer.read_request(s, n)
            if not head:
                return
            try:
                q = json.loads(body)
                question, streams = q["messages"][-1]["content"], q.get("stream")
            except (ValueError, KeyError):
                question, streams = head.split(b" ")[1].decode(), False
            self.asked.append(question)
            step = self.plan.get(question)
            if step is None:
                s.sendall(framed(SSE, "text/event-stream", True) if streams else framed(JSON))
            elif step(s) is False:
                return


@pytest.fixture
def faulty():
    f = Faulty()
    yield f
    f.close()


def send_then(data, how, peer=None):
    def step(s):
        s.sendall(data)
        if how == "rst":
            reset(s)
        elif how == "stall":
            peer.released.wait(5)
        return how == "keep"
    return step


def assert_not_stored(ibid, faulty, question, is_stream):
    """The second try reaches the upstream, and its whole answer is what the client gets."""
    before = faulty.count(question)
    faulty.plan.pop(question, None)
    r = ask(ibid, question, stream=is_stream)
    assert r.whole and r.status == 200 and r.source == "upstream", r.data
    assert r.body == (SSE if is_stream else JSON)
    assert faulty.count(question) == before + 1


# --- before a connection --------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_a_refused_connection_is_502(make_ibid, is_stream):
    ibid = make_ibid(f"http://127.0.0.1:{free_port()}")
    r = ask(ibid, "q", stream=is_stream)
    assert_error(r, 502, "upstream_failed")
    assert "refused" in r.json["error"]["message"]
    assert ibid.metric("ibid_upstream_failures_total") == 1 and ibid.metric("ibid_errors_total") == 1


def test_a_name_that_does_not_exist_is_502(make_ibid):
    # RFC 7686: a resolver says so by itself, no question leaves this machine.
    ibid = make_ibid("http://nobody.onion")
    r = ask(ibid, "q")
    assert_error(r, 502, "upstream_failed")
    assert ibid.metric("ibid_upstream_failures_total") == 1


def test_an_upstream_that_does_not_accept_is_504(make_ibid):
    with socket.socket() as s:  # a full backlog drops what comes
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for f in fill:
            f.setblocking(False)
            f.connect_ex(s.getsockname())
        ibid = make_ibid(f"http://127.0.0.1:{s.getsockname()[1]}", env=SHORT)
        t0 = time.monotonic()
        r = ask(ibid, "q")
        assert_error(r, 504, "upstream_timeout")
        assert time.monotonic() - t0 < 2
        assert ibid.metric("ibid_upstream_timeouts_total") == 1
        for f in fill:
            f.close()


# --- at every byte ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_cut_at_every_byte(make_ibid, faulty, how, is_stream):
    ibid = make_ibid(faulty)
    prove(ibid)
    data = framed(SSE, "text/event-stream", True) if is_stream else framed(JSON)
    head = data.index(b"\r\n\r\n") + 4
    early = late = 0
    for at in range(len(data)):
        q = f"cut {how} at {at}"
        faulty.plan[q] = send_then(data[:at], how)
        r = ask(ibid, q, stream=is_stream)
        if r.status == 502:
            assert_error(r, 502, "upstream_failed")
            early += 1
        else:
            assert at >= head, (at, r.data)
            assert_broken(r, is_stream, data[:at])
            late += 1
        if how == "fin":  # a reset may overtake what was sent before it
            assert (r.status == 502) == (at < head), (at, r.data)
        if at % 13 == 0 or at == len(data) - 1:
            assert_not_stored(ibid, faulty, q, is_stream)
    assert early + late == len(data)
    assert ibid.metric("ibid_upstream_failures_total") == len(data)
    assert ibid.metric("ibid_upstream_broken_total") == late
    # Stored: the proof, and each second try.
    assert ibid.metric("ibid_cache_stored_total") == 1 + len(range(0, len(data), 13)) + ((len(data) - 1) % 13 != 0)
    # After all that: an ordinary hit.
    assert ask(ibid, PROOF).source == "exact"


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_split_at_every_byte(make_ibid, faulty, is_stream):
    """Two pieces, cut anywhere: whole for the client, and stored."""
    ibid = make_ibid(faulty)
    prove(ibid)
    data = framed(SSE, "text/event-stream", True) if is_stream else framed(JSON)

    def split(at):
        def step(s):
            s.sendall(data[:at])
            time.sleep(0.001)
            s.sendall(data[at:])
        return step

    for at in range(1, len(data)):
        q = f"split at {at}"
        faulty.plan[q] = split(at)
        r = ask(ibid, q, stream=is_stream)
        assert r.whole and r.body == (SSE if is_stream else JSON), (at, r.data)
    for at in range(1, len(data)):
        r = ask(ibid, f"split at {at}")  # asked as JSON, whatever it was
        assert r.source == "exact" and r.text == ("whole answer" if is_stream else "whole"), (at, r.data)
    assert len(faulty.asked) == len(data)
    assert ibid.metric("ibid_upstream_failures_total") == 0


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_a_stream_of_single_bytes_is_whole_and_stored(make_ibid, upstream, end):
    text = "na\u00efve \u6f22\u5b57 \U0001f600 \u2028 end"
    body = ": a comment, as some gateways send\n\n"
    for i, e in enumerate([chunk({"role": "assistant", "content": ""}), *[chunk({"content": c}) for c in text], chunk({}, "stop"),
                           {**chunk({}), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}]):
        # One event of two data lines: they are joined by a newline, which JSON does not mind.
        one = json.dumps(e, ensure_ascii=False).replace('"choices": ', '"choices":\ndata: ' if i == 1 else '"choices": ', 1)
        body += f"event: message\nid: {i}\ndata: {one}\n\n" if i % 2 else f"data:{one}\n\n"
    body = (body + "retry: 10\n\ndata: [DONE]\n\n").replace("\n", end).encode()
    ibid = make_ibid(upstream)
    upstream.script = [Reply(body=body, content_type="text/event-stream; charset=utf-8", chunked=True, pieces=1)]
    r = ask(ibid, "bytes", stream=True)
    assert r.whole and r.body == body
    r = ask(ibid, "bytes")
    assert r.source == "exact" and r.text == text
    r = ask(ibid, "bytes", stream=True)
    assert r.source == "exact" and r.whole
    assert "".join(json.loads(e)["choices"][0]["delta"].get("content", "") for e in data_events(r.body)[:-1]) == text
    assert len(upstream.posts()) == 1


# --- silence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("where", ["before", "in the head", "after the head", "in the body", "before the end"])
def test_silence_ends_in_time(make_ibid, faulty, where, is_stream):
    ibid = make_ibid(faulty, env=SHORT)
    prove(ibid)
    data = framed(SSE, "text/event-stream", True) if is_stream else framed(JSON)
    head = data.index(b"\r\n\r\n") + 4
    at = {"before": 0, "in the head": 20, "after the head": head, "in the body": head + 150, "before the end": len(data) - 1}[where]
    faulty.plan["silent"] = send_then(data[:at], "stall", faulty.peer)
    t0 = time.monotonic()
    r = ask(ibid, "silent", stream=is_stream)
    took = time.monotonic() - t0
    assert 0.25 < took < 1.1, took
    if at < head:
        assert_error(r, 504, "upstream_timeout")
    else:
        assert_broken(r, is_stream, data[:at])
    assert ibid.metric("ibid_upstream_timeouts_total") == 1
    assert ibid.metric("ibid_upstream_broken_total") == (at >= head)
    assert_not_stored(ibid, faulty, "silent", is_stream)


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_a_dribble_ends_at_the_total_time(make_ibid, faulty, is_stream):
    """Never silent for long, and never done."""
    ibid = make_ibid(faulty, env=SHORT)
    prove(ibid)
    data = framed(SSE, "text/event-stream", True) if is_stream else framed(JSON)

    def dribble(s):
        head = data.index(b"\r\n\r\n") + 4
        s.sendall(data[:head])
        for i in range(head, len(data), 3):
            s.sendall(data[i: i + 3])
            time.sleep(0.02)

    faulty.plan["dribble"] = dribble
    t0 = time.monotonic()
    r = ask(ibid, "dribble", stream=is_stream)
    assert 1.0 < time.monotonic() - t0 < 2.2
    assert_broken(r, is_stream)
    assert ibid.metric("ibid_upstream_timeouts_total") == 1
    assert_not_stored(ibid, faulty, "dribble", is_stream)


# --- lies ---------------------------------------------------------------------------------------------

H = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
S = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = b"%x\r\n%s\r\n" % (200, SSE[:200])

# name: bytes, then how the connection goes on; 'early' is an error before the head, 'broken' after it.
LIES = {
    "length too long": (H + b"Content-Length: %d\r\n\r\n" % (len(JSON) + 10) + JSON, "fin", "broken"),
    "length beyond all": (H + b"Content-Length: 99999999999999999999999\r\n\r\n" + JSON, "fin", "early"),
    "length negative": (H + b"Content-Length: -1\r\n\r\n" + JSON, "fin", "early"),
    "length not a number": (H + b"Content-Length: 1x\r\n\r\n" + JSON, "fin", "early"),
    "two lengths": (H + b"Content-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(JSON) + JSON, "fin", "early"),
    "length and chunked": (H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON), "fin", "early"),
    "chunked twice": (H + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "fin", "early"),
    "unknown coding": (H + b"Transfer-Encoding: gzip\r\n\r\n" + JSON, "fin", "early"),
    "bad chunk size": (S + HALF + b"xyz\r\n" + SSE[200:] + b"\r\n0\r\n\r\n", "keep", "broken"),
    "chunk size too large": (S + HALF + b"fffffffffffffffff\r\n", "keep", "broken"),
    "chunk without its end": (S + HALF + b"5\r\nabcdefgh\r\n0\r\n\r\n", "keep", "broken"),
    "chunk with bare LF": (S + HALF + b"5\nabcde\n0\n\n", "keep", "broken"),
    "trailer is no field": (S + HALF + b"0\r\nno field\r\n\r\n", "keep", "broken"),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 nothing of HTTP", "fin", "early"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "fin", "early"),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "fin", "early"),
    "HTTP/0.9": (JSON, "fin", "early"),
    "version 3": (b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "no status": (b"HTTP/1.1 \r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "status of four digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "status 099": (b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "folded field": (H + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "NUL in a field": (H + b"X-A: b\0c\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "bare CR in a field": (H + b"X-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "space before the colon": (H + b"Content-Length : 0\r\n\r\n", "fin", "early"),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "fin", "early"),
    "oversize head": (H + b"X-A: " + b"a" * 300_000 + b"\r\nContent-Length: 0\r\n\r\n", "fin", "early"),
    "endless head": (H + b"X-A: b\r\n" * 60_000, "fin", "early"),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "keep", "early"),
    "hundreds of 100": (b"HTTP/1.1 100 Continue\r\n\r\n" * 300, "keep", "early"),
    "only a 100": (b"HTTP/1.1 100 Continue\r\n\r\n", "fin", "early"),
}


def test_lies_are_found_out(make_ibid, faulty):
    ibid = make_ibid(faulty, env=SHORT)
    prove(ibid)
    broken = 0
    for name, (data, how, expect) in LIES.items():
        is_stream = b"event-stream" in data
        faulty.plan[name] = send_then(data, how)
        t0 = time.monotonic()
        r = ask(ibid, name, stream=is_stream)
        assert time.monotonic() - t0 < 1.0, name
        try:
            if expect == "early":
                assert_error(r, 502, "upstream_failed")
            else:
                assert_broken(r, is_stream)
                broken += 1
            assert b"SSH" not in r.data and b"\x16\x03" not in r.data
            assert_not_stored(ibid, faulty, name, is_stream)
        except AssertionError as e:
            raise AssertionError(f"{name}: {r.data[:600]}") from e
    assert ibid.metric("ibid_upstream_broken_total") == broken
    assert ibid.metric("ibid_upstream_failures_total") == len(LIES)
    assert ibid.metric("ibid_cache_stored_total") == 1 + len(LIES)


def test_a_length_too_short_cuts_nothing_into_the_next_answer(make_ibid, faulty):
    ibid = make_ibid(faulty)
    prove(ibid)
    faulty.plan["short"] = send_then(H + b"Content-Length: 20\r\n\r\n" + JSON, "keep")
    r = ask(ibid, "short")
    assert r.whole and r.body == JSON[:20]  # the upstream's words, as framed
    for i in range(3):
        assert ask(ibid, f"after {i}").body == JSON
    assert_not_stored(ibid, faulty, "short", False)


def test_informational_answers_are_passed_over(make_ibid, faulty):
    ibid = make_ibid(faulty)
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    faulty.plan["hints"] = send_then(early + framed(JSON), "keep")
    r = ask(ibid, "hints")
    assert r.whole and r.body == JSON and "link" not in r.headers
    assert ask(ibid, "hints").source == "exact"


def test_an_answer_without_a_length_ends_with_the_connection(make_ibid, faulty):
    ibid = make_ibid(faulty)
    faulty.plan["eof"] = send_then(H + b"Connection: close\r\n\r\n" + JSON, "fin")
    r = ask(ibid, "eof")
    assert r.whole and r.body == JSON
    # A reset is no end, though epoll reports data, end and error at once.
    for i in range(50):
        faulty.plan["reset"] = send_then(H + b"\r\n" + JSON, "rst")
        r = ask(ibid, "reset")
        assert r.status == 502 or (r.status == 200 and not r.whole), r.data
    assert_not_stored(ibid, faulty, "reset", False)
    # Half of a JSON text that ended "cleanly" is relayed as it is, and not kept.
    faulty.plan["half"] = send_then(H + b"\r\n" + JSON[:100], "fin")
    assert ask(ibid, "half").body == JSON[:100]
    assert_not_stored(ibid, faulty, "half", False)


# --- shapes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_what_is_not_a_whole_answer_is_relayed_and_not_stored(make_ibid, faulty, is_stream):
    """The framing is right; the words are not."""
    kind = "text/event-stream" if is_stream else "application/json"
    shapes = {
        "empty": b"", "not json": b"<html>busy</html>", "half json": JSON[:-2], "null": b"null",
        "error in 200": b'{"error":{"message":"no","type":"t"}}', "no choices": b'{"choices":[]}',
        "two answers": JSON + JSON,
    } if not is_stream else {
        "empty": b"", "no done": events("x", done=False), "no finish": SSE.replace(b'"stop"', b"null"),
        "done only": b"data: [DONE]\n\n", "error event": SSE[:200] + b'\n\ndata: {"error":{"message":"no"}}\n\n',
        "error then done": events("x", done=False) + b'data: {"error":{"message":"no"}}\n\ndata: [DONE]\n\n',
        "not json": b"data: nothing\n\ndata: [DONE]\n\n", "half an event": SSE[:-1], "json body": JSON,
    }
    ibid = make_ibid(faulty)
    prove(ibid)
    for name, body in shapes.items():
        faulty.plan[name] = send_then(framed(body, kind, is_stream and bool(body)), "keep")
        r = ask(ibid, name, stream=is_stream)
        assert r.whole and r.body == body, name
        try:
            assert_not_stored(ibid, faulty, name, is_stream)
        except AssertionError as e:
            raise AssertionError(name) from e


def test_bodiless_answers(make_ibid, faulty):
    ibid = make_ibid(faulty)
    plans = {
        "/v1/gone": (b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", "DELETE", 204),
        "/v1/same": (b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 77\r\n\r\n", "GET", 304),
        "/v1/size": (b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", "HEAD", 200),
        "/v1/chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD", 200),
    }
    for path, (data, method, status) in plans.items():
        faulty.plan[path] = send_then(data, "keep")
        with socket.create_connection(("127.0.0.1", ibid.port), 5) as s:
            one = f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            s.sendall(one)
            s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            data, _ = read_all(s, 5)
        parts = data.split(b"HTTP/1.1 ")[1:]
        assert len(parts) == 2 and all(p.startswith(str(status).encode()) and p.endswith(b"\r\n\r\n") for p in parts), (path, data)
        if path == "/v1/size":
            assert b"Content-Length: 12345\r\n" in data
    assert len(faulty.peer.received) == 1  # all of it on one kept connection


def test_an_answer_before_the_upload_ended(make_ibid):
    """413 while the client still sends: the client gets it, and the connection is not used again."""
    def serve(peer, s, n):
        head, _ = peer.read_head(s, n)
        if head.startswith(b"POST /v1/files"):
            s.sendall(framed(b'{"error":{"message":"too large"}}', status="413 Content Too Large"))
            time.sleep(0.3)
            return
        s.sendall(framed(b"{}"))

    peer = Peer(serve)
    ibid = make_ibid(peer)
    with socket.create_connection(("127.0.0.1", ibid.port), 5) as s:
        s.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        s.settimeout(5)
        data = b""
        while b"too large" not in data:
            part = s.recv(65536)
            assert part, data
            data += part
        assert data.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in data.lower()
    assert exchange(ibid.port, b"GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body == b"{}"
    assert len(peer.received) == 2
    assert b"GET /v1/x" not in peer.received[0]
    peer.close()


def test_a_broken_stream_that_is_not_recorded_says_so_too(make_ibid, faulty):
    ibid = make_ibid(faulty)
    cut = len(framed(SSE, "text/event-stream", True)) - 60
    faulty.plan["kept out"] = send_then(framed(SSE, "text/event-stream", True)[:cut], "fin")
    r = exchange(ibid.port, chat_bytes("kept out", stream=True, headers=["x-ibid-cache: no-store"]))
    assert_broken(r, True)
    r = exchange(ibid.port, chat_bytes("kept out", stream=True, n=2))
    assert_broken(r, True)


# --- as an SDK sees it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["fin", "rst", "stall", "framing", "error event"])
def test_the_sdk_raises_at_a_broken_stream(make_ibid, faulty, fault):
    ibid = make_ibid(faulty, env=SHORT)
    data = framed(SSE, "text/event-stream", True)
    cut = data[:data.index(b"whole") + 40]
    whole_events = S + b"%x\r\n%s\r\n" % (len(events("whole answer", done=False)), events("whole answer", done=False))
    steps = {"framing": send_then(whole_events + b"zz\r\n", "keep"),
             "error event": send_then(S + HALF + b"%x\r\n%s\r\n" % (31, b'\n\ndata: {"error":{"code":"x"}}\n\n'[:31]) + b"0\r\n\r\n", "keep")}
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-test", max_retries=0, timeout=5)
    for n in range(3):
        q = f"sdk {n}"
        faulty.plan[q] = steps.get(fault) or send_then(cut if n else whole_events, fault, faulty.peer)
        with pytest.raises((openai.OpenAIError, httpx.HTTPError, json.JSONDecodeError)):
            for _ in client.chat.completions.create(model="m", stream=True, messages=[{"role": "user", "content": q}]):
                pass
    client.close()


def test_the_sdk_raises_at_a_broken_answer(make_ibid, faulty):
    ibid = make_ibid(faulty, env=SHORT)
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-test", max_retries=0, timeout=5)
    for name, data in (("head", b""), ("body", framed(JSON)[:-10])):
        faulty.plan[name] = send_then(data, "fin")
        with pytest.raises((openai.OpenAIError, httpx.HTTPError)) as e:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": name}])
        if name == "head":
            assert isinstance(e.value, openai.InternalServerError) and e.value.code == "upstream_failed"
    client.close()
