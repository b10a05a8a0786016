"""HTTP/2 on the listener: the same answers, the same promises, and limits that hold against who knows the frames."""
import json
import os
import signal
import socket
import threading
import time

import httpx
import httpx2
import openai
import pytest
from hyperframe.frame import (ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame,
                              SettingsFrame, WindowUpdateFrame)

import frames
from client import prove, said, serving, until
from conftest import free_port
from frames import Client, bare, request
from upstream import Reply, answer, events, stream
from wire import Peer, ask, read_all

CHAT = "/v1/chat/completions"
SMALL = {"IBID_LIMITS_HEAD_MAX_BYTES": "16KiB", "IBID_LIMITS_HEAD_TIMEOUT_MS": "400", "IBID_LIMITS_BODY_TIMEOUT_MS": "400",
         "IBID_LIMITS_WRITE_TIMEOUT_MS": "600", "IBID_LIMITS_HTTP2_STREAMS_MAX": "10"}


def cpu_s(ibid):
    words = open(f"/proc/{ibid.proc.pid}/stat").read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("http2")) as both:
        prove(both[0])
        yield both


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("http2_small"), env=SMALL) as both:
        prove(both[0])
        yield both


@pytest.fixture(autouse=True)
def nothing_left(request):
    """After every test nothing of it is in flight, and the server still answers."""
    yield
    for name in ("shared", "small"):
        if name in request.fixturenames:
            ibid = request.getfixturevalue(name)[0]
            assert ibid.proc.poll() is None, ibid.read_log()
            until(lambda: ibid.metric("ibid_http2_streams") == 0 and ibid.metric("ibid_requests_in_flight") == 0, "streams to end")
            assert ask(ibid, "still there?").status == 200


# --- the same answers ---------------------------------------------------------------------------


def test_the_official_clients_speak_it(shared):
    ibid, up = shared
    with httpx.Client(http1=False, http2=True, timeout=30) as c:
        url = f"http://127.0.0.1:{ibid.port}{CHAT}"
        body = {"model": "m", "messages": [{"role": "user", "content": "by httpx"}]}
        first = c.post(url, json=body, headers={"authorization": "Bearer sk-test"})
        second = c.post(url, json=body, headers={"authorization": "Bearer sk-test"})
        assert (first.http_version, second.http_version) == ("HTTP/2", "HTTP/2")
        assert (first.headers["x-ibid-source"], second.headers["x-ibid-source"]) == ("upstream", "exact")
        same = lambda r: {k: v for k, v in r.json().items() if k not in ("id", "created")}
        assert same(first) == same(second) and second.headers["age"] == "0"
        with c.stream("POST", url, json={**body, "stream": True}, headers={"authorization": "Bearer sk-test"}) as r:
            assert r.headers["x-ibid-source"] == "exact"
            assert said(r.read()) == first.json()["choices"][0]["message"]["content"]
        assert c.get(f"http://127.0.0.1:{ibid.port}/v1/models", headers={"authorization": "Bearer sk-test"}).http_version == "HTTP/2"


def test_the_sdk_speaks_it(shared):
    ibid, _ = shared
    versions = set()
    seen = lambda r: versions.add(r.http_version)
    with httpx2.Client(http1=False, http2=True, timeout=30, event_hooks={"response": [seen]}) as transport:
        c = openai.OpenAI(base_url=f"http://127.0.0.1:{ibid.port}/v1", api_key="sk-test", http_client=transport, max_retries=0)
        ask_it = lambda **kw: c.chat.completions.create(model="m", messages=[{"role": "user", "content": "by the sdk"}], **kw)
        first, second = ask_it(), ask_it()
        streamed = "".join(e.choices[0].delta.content or "" for e in ask_it(stream=True) if e.choices)
        assert first.choices == second.choices and streamed == first.choices[0].message.content
        with pytest.raises(openai.BadRequestError):
            c.chat.completions.create(model="m", messages=[])
    assert versions == {"HTTP/2"}


def test_one_connection_many_answers(shared):
    ibid, up = shared
    with Client(ibid) as c:
        numbers = {c.chat(f"question {i}"): i for i in range(100)}
        for n in numbers:
            s = c.answer(n)
            assert s.status == 200 and s.source == "upstream"
        again = {c.chat(f"question {i}"): n for n, i in numbers.items()}
        for n, before in again.items():
            s = c.answer(n)
            assert s.source == "exact"
            assert s.json["choices"] == c.streams[before].json["choices"]  # its own, and nobody else's
    # The other version finds what this one stored.
    assert ask(ibid, "question 7").source == "exact"


def test_what_the_upstream_gets_is_plain_http1(shared):
    ibid, up = shared
    body = b'{"model":"m","messages":[{"role":"user","content":"plain"}]}'
    with Client(ibid) as c:
        n = c.open(request("POST", CHAT + "?x=1", [("content-type", "application/json"), ("authorization", "Bearer k"), ("te", "trailers"),
                                                   ("cookie", "a=1"), ("x-odd", "1"), ("cookie", "b=2"), ("cookie", "c=3")], authority="api.example"), body=body)
        assert c.answer(n).status == 200
    r = up.requests[-1]
    assert (r.method, r.target, r.body) == ("POST", CHAT + "?x=1", body)
    assert r.header("cookie") == ["a=1; b=2; c=3"] and r.header("x-odd") == ["1"] and not r.header("te")
    assert not any(k.startswith(":") for k, _ in r.headers) and len(r.header("host")) == 1


def test_a_body_without_a_length_and_trailers(shared):
    ibid, up = shared
    data = json.dumps({"model": "m", "messages": [{"role": "user", "content": "pieces " + "x" * 300000}]}).encode()
    with Client(ibid) as c:
        n = c.open(request("POST", CHAT, [("authorization", "Bearer sk-test"), ("content-type", "application/json")]), end=False)
        c.until(lambda: frames.INITIAL_WINDOW in c.settings)
        assert c.settings[frames.INITIAL_WINDOW] >= 65535
        for i in range(0, len(data), 10000):
            c.send(DataFrame(n, data=data[i:i + 10000]))
            c.pump(0.001)
        c.send(HeadersFrame(n, data=c.head([("x-trailer", "1")]), flags=["END_HEADERS", "END_STREAM"]))
        assert c.answer(n).status == 200
    assert up.requests[-1].body == data and not up.requests[-1].header("x-trailer")


def test_padding_is_paid_back(shared):
    """Windows count it (RFC 9113 6.1): many times a window of it goes through."""
    ibid, up = shared
    data = json.dumps({"model": "m", "messages": [{"role": "user", "content": "padded " + "x" * 20000}]}).encode()
    with Client(ibid) as c:
        assert c.until(lambda: frames.INITIAL_WINDOW in c.settings)
        n, sent = c.open(request("POST", CHAT, [("authorization", "Bearer sk-test")]), end=False), 0
        for b in data:
            assert c.until(lambda: c.room(n, sent) > 257)
            c.send(DataFrame(n, data=bytes([b]), flags=["PADDED"], pad_length=255))
            sent += 257
        c.send(DataFrame(n, data=b"", flags=["END_STREAM"]))
        assert c.answer(n).status == 200 and sent > 4 << 20
    assert up.requests[-1].body == data


def test_a_stream_is_relayed_as_it_comes(shared):
    ibid, up = shared
    words = " ".join(f"w{i}" for i in range(20))
    up.script = [stream(words, pieces=40, gap=0.01)]
    with Client(ibid) as c:
        n = c.chat("slowly", stream=True)
        s = c.streams[n]
        assert c.until(lambda: len(s.body) > 0) and not s.ended
        other = c.chat("meanwhile, not this one", headers=[("x-ibid-cache", "only-if-cached")])
        assert c.answer(other).status == 504 and not s.ended  # nobody waits for it
        assert c.answer(n).ended and s.body == events(words)
    up.script = []


def test_head_and_expectation(shared):
    ibid, up = shared
    with Client(ibid) as c:
        n = c.open(request("HEAD", "/v1/models"))
        s = c.answer(n)
        assert s.ended and s.body == b"" and s.reset is None
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "expected"}]}).encode()
        n = c.open(request("POST", CHAT, [("expect", "100-continue"), ("authorization", "Bearer sk-test"), ("content-length", str(len(body)))]), end=False)
        assert c.until(lambda: c.streams[n].informed) and c.streams[n].informed[0][":status"] == "100"
        c.send(DataFrame(n, data=body, flags=["END_STREAM"]))
        assert c.answer(n).status == 200


def test_refused_in_the_protocols_shape(small):
    ibid, _ = small
    cases = {
        400: [request(more=[("host", "other")]), request(path="/v1/models#x"), request(path="/v1/\xe4")],
        417: [request(more=[("expect", "200-maybe")])],
        431: [request(more=[(f"x-{i}", "v") for i in range(200)]), request(more=[("x-long", "v" * 17000)])],
    }
    with Client(ibid) as c:
        for status, heads in cases.items():
            for head in heads:
                s = c.answer(c.open(head))
                assert s.status == status and s.json["error"]["message"], (head, vars(s))
        s = c.answer(c.chat("it goes on"))
        assert s.status == 200


def test_a_broken_stream_is_reset_and_not_stored(shared):
    """Promise 5: no END_STREAM after an upstream's failure."""
    ibid, up = shared
    up.script = [stream("cut " * 30, at=900, fault="rst"), up.default]
    with Client(ibid) as c:
        s = c.answer(c.chat("cut short", stream=True))
        assert s.body and not s.ended and s.reset == frames.INTERNAL_ERROR
        s = c.answer(c.chat("cut short", stream=True))
        assert s.source == "upstream" and s.ended
    up.script = []


def test_a_cancelled_stream_frees_the_upstream(shared):
    ibid, up = shared
    up.script = [stream("word " * 2000, pieces=50, gap=0.01), up.default]
    with Client(ibid) as c:
        n = c.chat("cancelled", stream=True)
        assert c.until(lambda: c.streams[n].body)
        dropped, gone = up.dropped, ibid.metric("ibid_client_gone_total")
        resets = ibid.metric("ibid_http2_resets_total")
        c.send(RstStreamFrame(n, error_code=frames.CANCEL))
        until(lambda: up.dropped > dropped, "the upstream to notice")
        assert ibid.metric("ibid_http2_resets_total") == resets + 1 and ibid.metric("ibid_client_gone_total") == gone + 1
        assert c.answer(c.chat("after it")).status == 200
    up.script = []


def test_an_early_answer_stops_the_upload(small):
    ibid, _ = small
    with Client(ibid) as c:
        n = c.open(request("POST", CHAT, [("x-long", "v" * 17000)]), end=False)
        s = c.answer(n)
        assert s.status == 431 and s.ended
        assert c.until(lambda: s.reset is not None) and s.reset == frames.NO_ERROR


# --- windows ----------------------------------------------------------------------------------------


def test_a_shut_window_holds_the_upstream_back(shared):
    """A reader that opens no window: what waits for it is bounded, and other streams go on."""
    ibid, up = shared
    size = 24 * 1024 * 1024
    up.script = [Reply(body=b"z" * size, content_type="application/octet-stream"), up.default]
    with Client(ibid, settings={frames.INITIAL_WINDOW: 1000}) as c:
        c.window = None
        n = c.open(request("GET", "/v1/files/big/content"))
        s = c.streams[n]
        assert c.until(lambda: len(s.body) == 1000)
        spent = cpu_s(ibid)
        time.sleep(0.5)
        assert cpu_s(ibid) - spent < 0.2  # waiting is no work
        c.pump(0.2)
        rss = next(int(line.split()[1]) for line in open(f"/proc/{ibid.proc.pid}/status") if line.startswith("VmRSS"))
        assert len(s.body) == 1000 and rss < 250 * 1024, rss
        c.send(SettingsFrame(0, settings={frames.INITIAL_WINDOW: 65535}))
        assert c.answer(c.chat("beside it")).status == 200
        c.window = 1
        c.send(WindowUpdateFrame(n, window_increment=1 << 20), WindowUpdateFrame(0, window_increment=1 << 20))
        assert c.answer(n, 60).ended and s.body == b"z" * size
    up.script = []


def test_a_window_that_stays_shut_is_reset(small):
    ibid, up = small
    prove(ibid)
    with Client(ibid, settings={frames.INITIAL_WINDOW: 0}) as c:
        before = ibid.metric("ibid_client_timeouts_total")
        n = c.chat("never read")
        t0 = time.monotonic()
        s = c.answer(n)
        assert s.status == 200 and s.body == b"" and not s.ended and s.reset == frames.CANCEL
        assert time.monotonic() - t0 < 3 and ibid.metric("ibid_client_timeouts_total") == before + 1
        assert not c.ended  # the others on the connection did nothing wrong


def test_a_socket_that_is_not_read_is_closed(small):
    ibid, up = small
    up.script = [Reply(body=b"z" * (32 << 20), content_type="application/octet-stream"), up.default]
    c = Client(ibid, settings={frames.INITIAL_WINDOW: (1 << 31) - 1}, window=(1 << 31) - 65536)
    try:
        before = ibid.metric("ibid_client_timeouts_total")
        c.open(request("GET", "/v1/files/big/content"))
        until(lambda: ibid.metric("ibid_client_timeouts_total") > before, "the time-out")
    finally:
        c.close()
        up.script = []


def test_an_upload_is_paced_by_its_reader(make_ibid):
    """An upstream that takes nothing: windows shut, and what waits for it is bounded."""
    peer = Peer(lambda peer, s, n: peer.released.wait(30))
    try:
        ibid = make_ibid(peer.url)
        with Client(ibid) as c:
            assert c.until(lambda: frames.INITIAL_WINDOW in c.settings)
            n, sent = c.open(request("POST", "/v1/files", [("content-type", "application/octet-stream")]), end=False), 0
            while sent < 64 << 20 and c.until(lambda: c.room(n, sent) > 0, 1):
                part = min(16384, c.room(n, sent))
                assert c.send(DataFrame(n, data=b"y" * part))
                sent += part
            rss = next(int(line.split()[1]) for line in open(f"/proc/{ibid.proc.pid}/status") if line.startswith("VmRSS"))
            assert 100000 < sent < 16 << 20 and rss < 250 * 1024, (sent, rss)
            c.send(DataFrame(n, data=b"y"))  # more than there is room for
            s = c.streams[n]
            assert c.until(lambda: s.reset is not None or c.goaway)
            assert frames.FLOW_CONTROL_ERROR in (s.reset, c.goaway and c.goaway.error_code)
    finally:
        peer.close()


# --- limits and floods ------------------------------------------------------------------------------


def test_settings_say_the_limits(small):
    ibid, _ = small
    with Client(ibid) as c:
        assert c.until(lambda: c.acks and frames.MAX_STREAMS in c.settings)
        assert c.settings[frames.MAX_STREAMS] == 10 and c.settings[frames.MAX_HEADER_LIST] == 16384


def test_streams_at_once(small):
    ibid, up = small
    up.script = [stream("w " * 50, pieces=40, gap=0.02)]
    with Client(ibid) as c:
        c.until(lambda: frames.MAX_STREAMS in c.settings and c.acks)
        numbers = [c.chat(f"at once {i}", stream=True) for i in range(10)]
        assert c.until(lambda: all(c.streams[n].body for n in numbers))
        c.chat("one too many", stream=True)
        assert c.gone() in (frames.PROTOCOL_ERROR, frames.REFUSED_STREAM)
    # Before its settings can be known the one too many is refused, and the others go on.
    with Client(ibid) as c:
        numbers = [c.chat(f"early {i}", stream=True) for i in range(12)]
        got = [c.answer(n, 30) for n in numbers]
        assert [s.reset for s in got].count(frames.REFUSED_STREAM) == 2 and sum(s.ended for s in got) == 10
    up.script = []


def test_all_streams_together(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_CONNECTIONS_MAX": "5"})
    upstream.script = [stream("w " * 50, pieces=40, gap=0.02)]
    with Client(ibid) as a, Client(ibid) as b:
        first = [a.chat(f"a {i}", stream=True) for i in range(4)]
        assert a.until(lambda: all(a.streams[n].headers for n in first))
        more = [b.chat(f"b {i}", stream=True) for i in range(3)]
        got = [b.answer(n, 30) for n in more]
        assert [s.reset for s in got].count(frames.REFUSED_STREAM) == 2
        assert all(a.answer(n, 30).ended for n in first)


FLOODS = {
    "rapid reset": lambda c, i: [HeadersFrame(2 * i + 1, data=c.head(request("POST", CHAT)), flags=["END_HEADERS"]), RstStreamFrame(2 * i + 1, error_code=8)],
    "resets by our own hand": lambda c, i: [HeadersFrame(2 * i + 1, data=c.head(request("POST", CHAT)), flags=["END_HEADERS"]), WindowUpdateFrame(2 * i + 1, window_increment=2147483647)],
    "malformed requests": lambda c, i: [HeadersFrame(2 * i + 1, data=c.head([(":method", "GET")]), flags=["END_HEADERS", "END_STREAM"])],
    "pings": lambda c, i: [PingFrame(0, opaque_data=b"12345678")],
    "settings": lambda c, i: [SettingsFrame(0, settings={frames.INITIAL_WINDOW: 1000 + i % 7})],
    "priorities": lambda c, i: [PriorityFrame(1001, depends_on=0, stream_weight=1)],
    "window updates": lambda c, i: [WindowUpdateFrame(0, window_increment=1)],
    "empty data": lambda c, i: [HeadersFrame(1, data=c.head(request("POST", CHAT)), flags=["END_HEADERS"])] if i == 0 else [DataFrame(1, data=b"")],
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_sent_away(shared, name):
    ibid, up = shared
    before, asked = ibid.metric("ibid_http2_floods_total"), len(up.requests)
    with Client(ibid) as c:
        for i in range(4000):
            if not c.send(*FLOODS[name](c, i)):
                break
            if i % 50 == 0:
                c.pump(0.001)
                if c.ended or c.goaway:
                    break
        assert c.gone() in (frames.ENHANCE_YOUR_CALM, None), c.goaway
        assert i < 4000 - 1
    assert ibid.metric("ibid_http2_floods_total") == before + 1
    assert len(up.requests) == asked


def test_giving_up_now_and_then_is_no_flood(shared):
    """What an agent does that gives up every second answer."""
    ibid, _ = shared
    before = ibid.metric("ibid_http2_floods_total")
    with Client(ibid) as c:
        for i in range(60):
            n = c.chat(f"giving up {i}")
            if i % 2:
                c.send(RstStreamFrame(n, error_code=frames.CANCEL))
            else:
                assert c.answer(n).status == 200
    assert ibid.metric("ibid_http2_floods_total") == before


def test_continuations_without_end(small):
    ibid, _ = small
    before = ibid.metric("ibid_http2_floods_total")
    with Client(ibid) as c:
        assert c.until(lambda: c.acks)
        c.send(HeadersFrame(1, data=c.head(request())))
        for i in range(5000):
            if not c.send(ContinuationFrame(1, data=c.head([("x", "y" * 10)]))):
                break
        c.gone()
        assert i < 4999
    assert ibid.metric("ibid_http2_floods_total") == before + 1


def test_a_bomb_of_indexed_fields(small):
    """Some thousand bytes that stand for megabytes (RFC 7541 7.3)."""
    ibid, _ = small
    with Client(ibid) as c:
        first = c.head([*request(), ("x-bomb", "v" * 3900)])
        block = first + bytes([0x80 | 62]) * (16000 - len(first))
        before = ibid.metric("ibid_http2_floods_total")
        c.send(HeadersFrame(1, data=block[:16000], flags=["END_HEADERS", "END_STREAM"]))
        assert c.gone() == frames.ENHANCE_YOUR_CALM
    assert ibid.metric("ibid_http2_floods_total") == before + 1


def test_a_slow_head(small):
    ibid, _ = small
    before = ibid.metric("ibid_client_timeouts_total")
    with Client(ibid) as c:
        assert c.until(lambda: c.acks)
        block = c.head(request(authority="a-name-of-some-length"))
        c.send(HeadersFrame(1, data=block[:4]))
        t0 = time.monotonic()
        for i in range(4, len(block)):  # a piece before every end of patience
            time.sleep(0.1)
            if not c.send(ContinuationFrame(1, data=block[i:i + 1])) or c.goaway:
                break
            c.pump(0.001)
        assert c.gone() == frames.ENHANCE_YOUR_CALM and time.monotonic() - t0 < 3
    assert ibid.metric("ibid_client_timeouts_total") == before + 1


def test_a_slow_preface(small):
    ibid, _ = small
    with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:
        s.sendall(frames.PREFACE[:10])
        data, end = read_all(s, 5)
        assert data.startswith(b"HTTP/1.1 408") and end == "fin"


def test_a_body_that_stops(small):
    ibid, _ = small
    with Client(ibid) as c:
        before = ibid.metric("ibid_client_timeouts_total")
        n = c.open(request("POST", CHAT, [("content-length", "100"), ("authorization", "Bearer sk-test")]), end=False)
        c.send(DataFrame(n, data=b"{"))
        assert c.answer(n).reset == frames.CANCEL
        assert ibid.metric("ibid_client_timeouts_total") == before + 1 and not c.ended


def test_a_refused_head_is_no_slow_head(small):
    ibid, _ = small
    with Client(ibid) as c:
        n = c.open([(":method", "GET"), (":scheme", "http"), (":authority", "x")])
        assert c.answer(n).reset == frames.PROTOCOL_ERROR
        time.sleep(0.6)  # beyond limits.head_timeout_ms
        assert c.answer(c.chat("later")).status == 200 and not c.goaway


def test_an_idle_connection_is_closed(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_IDLE_TIMEOUT_MS": "300"})
    with Client(ibid) as c:
        assert c.answer(c.chat("once")).status == 200
        t0 = time.monotonic()
        assert c.gone() == frames.NO_ERROR and 0.1 < time.monotonic() - t0 < 3
    with Client(ibid) as c:  # bytes that are no request do not keep it
        t0 = time.monotonic()
        while c.send(PingFrame(0, opaque_data=b"x" * 8)) and not c.ended and time.monotonic() - t0 < 3:
            c.raw(bare(0xbb, 0, 0, b"abc"))
            time.sleep(0.05)
            c.pump(0.001)
        assert c.ended and c.goaway.error_code == frames.NO_ERROR


# --- frames that are wrong (RFC 9113; what h2spec looks at) ---------------------------------------------


def head_of(*pairs):
    return lambda c: c.send(HeadersFrame(1, data=c.head(list(pairs)), flags=["END_HEADERS", "END_STREAM"]))


G, S, P, A = (":method", "GET"), (":scheme", "http"), (":path", "/v1/models"), (":authority", "x")
OPEN = lambda c: c.send(HeadersFrame(1, data=c.head([(":method", "POST"), S, (":path", CHAT), A]), flags=["END_HEADERS"]))
CONNECTION, STREAM = "connection", "stream"
# name: (what is sent, whose error it is, the codes it may be called by)
WRONG = {
    "4.2 a frame above the size": (lambda c: c.raw(bare(0, 0, 1, b"x" * 16385)), CONNECTION, (6, 1)),
    "4.3 a head that is no HPACK": (lambda c: c.raw(bare(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), CONNECTION, (9,)),
    "4.3 an index that is not there": (lambda c: c.raw(bare(1, 5, 1, b"\x80")), CONNECTION, (9,)),
    "4.3 another frame within a head": (lambda c: c.send(HeadersFrame(1, data=c.head(request())), PingFrame(0, opaque_data=b"x" * 8)), CONNECTION, (1,)),
    "5.1 DATA on an idle stream": (lambda c: c.send(DataFrame(1, data=b"x")), CONNECTION, (1,)),
    "5.1 RST_STREAM on an idle stream": (lambda c: c.send(RstStreamFrame(1, error_code=8)), CONNECTION, (1,)),
    "5.1 WINDOW_UPDATE on an idle stream": (lambda c: c.send(WindowUpdateFrame(1, window_increment=1)), CONNECTION, (1,)),
    "5.1 CONTINUATION on an idle stream": (lambda c: c.send(ContinuationFrame(1, data=b"", flags=["END_HEADERS"])), CONNECTION, (1,)),
    "5.1 DATA after the end": (lambda c: (c.send(HeadersFrame(1, data=c.head(request("GET", "/v1/models")), flags=["END_HEADERS", "END_STREAM"]), DataFrame(1, data=b"x"))), None, (5, 1)),
    "5.1.1 a stream of even number": (lambda c: c.send(HeadersFrame(2, data=c.head(request()), flags=["END_HEADERS", "END_STREAM"])), CONNECTION, (1,)),
    "6.1 DATA on stream 0": (lambda c: c.raw(bare(0, 0, 0, b"x")), CONNECTION, (1,)),
    "6.1 padding longer than the frame": (lambda c: (OPEN(c), c.raw(bare(0, 8, 1, b"\x09x"))), CONNECTION, (1,)),
    "6.2 HEADERS on stream 0": (lambda c: c.raw(bare(1, 5, 0, b"\x82")), CONNECTION, (1,)),
    "6.2 padding longer than the head": (lambda c: c.raw(bare(1, 0xd, 1, b"\x09\x82")), CONNECTION, (1,)),
    "6.4 RST_STREAM on stream 0": (lambda c: c.raw(bare(3, 0, 0, b"\0\0\0\x08")), CONNECTION, (1,)),
    "6.4 RST_STREAM of a wrong size": (lambda c: (OPEN(c), c.raw(bare(3, 0, 1, b"\0\0\x08"))), CONNECTION, (6,)),
    "6.5 SETTINGS of a stream": (lambda c: c.raw(bare(4, 0, 1)), CONNECTION, (1,)),
    "6.5 SETTINGS of a wrong size": (lambda c: c.raw(bare(4, 0, 0, b"\0\0\0")), CONNECTION, (6,)),
    "6.5 an acknowledgement with words": (lambda c: c.raw(bare(4, 1, 0, b"\0\x03\0\0\0\x01")), CONNECTION, (6,)),
    "6.5.2 a window beyond 2^31-1": (lambda c: c.raw(bare(4, 0, 0, b"\0\x04\x80\0\0\0")), CONNECTION, (3,)),
    "6.5.2 frames below 2^14": (lambda c: c.raw(bare(4, 0, 0, b"\0\x05\0\0\0\x01")), CONNECTION, (1,)),
    "6.5.2 push is 2": (lambda c: c.raw(bare(4, 0, 0, b"\0\x02\0\0\0\x02")), CONNECTION, (1,)),
    "6.6 PUSH_PROMISE of a client": (lambda c: c.raw(bare(5, 4, 1, b"\0\0\0\x02\x82")), CONNECTION, (1,)),
    "6.7 PING of a stream": (lambda c: c.raw(bare(6, 0, 1, b"x" * 8)), CONNECTION, (1,)),
    "6.7 PING of a wrong size": (lambda c: c.raw(bare(6, 0, 0, b"x" * 6)), CONNECTION, (6,)),
    "6.8 GOAWAY of a stream": (lambda c: c.raw(bare(7, 0, 1, b"\0" * 8)), CONNECTION, (1,)),
    "6.9 no increment": (lambda c: c.raw(bare(8, 0, 0, b"\0\0\0\0")), CONNECTION, (1,)),
    "6.9 no increment of a stream": (lambda c: (OPEN(c), c.raw(bare(8, 0, 1, b"\0\0\0\0"))), None, (1,)),
    "6.9 an increment of a wrong size": (lambda c: c.raw(bare(8, 0, 0, b"\0\0\x01")), CONNECTION, (6,)),
    "6.9.1 a window beyond 2^31-1, all": (lambda c: c.send(WindowUpdateFrame(0, window_increment=2147483647)), CONNECTION, (3,)),
    "6.9.1 a window beyond 2^31-1, one": (lambda c: (OPEN(c), c.send(WindowUpdateFrame(1, window_increment=2147483647))), STREAM, (3,)),
    "8.1 a second head without an end": (lambda c: (OPEN(c), c.send(HeadersFrame(1, data=c.head([("a", "b")]), flags=["END_HEADERS"]))), STREAM, (1,)),
    "8.1.1 less body than announced": (lambda c: c.send(HeadersFrame(1, data=c.head([*request("POST", CHAT), ("content-length", "9")]), flags=["END_HEADERS", "END_STREAM"])), STREAM, (1,)),
    "8.1.1 more body than announced": (lambda c: c.send(HeadersFrame(1, data=c.head([*request("POST", CHAT), ("content-length", "1")]), flags=["END_HEADERS"]), DataFrame(1, data=b"xx", flags=["END_STREAM"])), STREAM, (1,)),
    "8.2 upper case": (head_of(G, S, P, A, ("X-Test", "1")), "refused", (1,)),
    "8.2.1 a line end in a value": (head_of(G, S, P, A, ("x-test", "a\r\nb: c")), "refused", (1,)),
    "8.2.1 a blank in a name": (head_of(G, S, P, A, ("x test", "1")), "refused", (1,)),
    "8.2.2 connection": (head_of(G, S, P, A, ("connection", "keep-alive")), STREAM, (1,)),
    "8.2.2 transfer-encoding": (head_of(G, S, P, A, ("transfer-encoding", "chunked")), STREAM, (1,)),
    "8.2.2 upgrade": (head_of(G, S, P, A, ("upgrade", "websocket")), STREAM, (1,)),
    "8.2.2 te": (head_of(G, S, P, A, ("te", "gzip")), STREAM, (1,)),
    "8.3 an unknown pseudo-header": (head_of(G, S, P, A, (":test", "1")), STREAM, (1,)),
    "8.3 one of answers": (head_of(G, S, P, A, (":status", "200")), STREAM, (1,)),
    "8.3 one after a field": (head_of(G, S, P, ("x", "1"), A), STREAM, (1,)),
    "8.3 one twice": (head_of(G, G, S, P, A), STREAM, (1,)),
    "8.3 one in trailers": (lambda c: (OPEN(c), c.send(HeadersFrame(1, data=c.head([P]), flags=["END_HEADERS", "END_STREAM"]))), STREAM, (1,)),
    "8.3.1 no method": (head_of(S, P, A), STREAM, (1,)),
    "8.3.1 no scheme": (head_of(G, P, A), STREAM, (1,)),
    "8.3.1 no path": (head_of(G, S, A), STREAM, (1,)),
    "8.3.1 an empty path": (head_of(G, S, (":path", ""), A), STREAM, (1,)),
    "8.3.1 a path without a slash": (head_of(G, S, (":path", "v1"), A), STREAM, (1,)),
    "8.3.1 no authority and no host": (head_of(G, S, P), STREAM, (1,)),
    "8.5 CONNECT": (head_of((":method", "CONNECT"), A), "refused", ()),
    "8.6 a length that is none": (head_of((":method", "POST"), S, P, A, ("content-length", "1x")), STREAM, (1,)),
    "8.6 two lengths": (head_of((":method", "POST"), S, P, A, ("content-length", "0"), ("content-length", "0")), STREAM, (1,)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_frames(shared, name):
    ibid, up = shared
    send, whose, codes = WRONG[name]
    asked = len(up.requests)
    with Client(ibid) as c:
        assert c.until(lambda: c.acks)
        c.streams = {n: frames.Stream() for n in (1, 2, 3, 5)}
        send(c)
        s = c.streams[1]
        if whose == CONNECTION:
            assert c.gone() in codes, (c.goaway, vars(s))
        elif whose == STREAM:
            assert c.until(lambda: s.reset is not None) and s.reset in codes and not s.ended, vars(s)
        elif whose == "refused":  # in our words, or by the frame
            assert c.until(lambda: s.reset is not None or s.ended) and (s.reset in codes or s.status in (400, 501)), vars(s)
        else:
            assert c.until(lambda: s.reset in codes or c.goaway is not None or s.ended)
            assert s.reset in codes or s.ended or c.goaway.error_code in codes
        if whose != CONNECTION and whose is not None:
            c.next = 7
            assert c.answer(c.chat("the others go on")).status == 200
    if whose is not None:
        assert [r for r in up.requests[asked:] if b"the others" not in r.body] == []


def test_unknown_frames_are_ignored(shared):
    """RFC 9113 5.5; they cost nothing but their reading."""
    ibid, _ = shared
    with Client(ibid) as c:
        for kind in range(10, 256):
            c.raw(bare(kind, 0xff, 0, b"abc") * 4)
        assert c.answer(c.chat("after them")).status == 200


def test_a_stream_is_not_opened_behind_another(shared):
    """RFC 9113 5.1.1: a lower number is a closed stream, whose frames are ignored."""
    ibid, up = shared
    with Client(ibid) as c:
        c.next = 5
        assert c.answer(c.chat("first")).status == 200
        c.next, asked = 3, len(up.requests)
        n = c.chat("behind it")
        c.next = 7
        assert c.answer(c.chat("first")).source == "exact" and c.streams[n].status is None
    assert len(up.requests) == asked


def test_no_preface_no_http2(shared):
    ibid, _ = shared
    for first in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI / HTTP/1.1\r\nHost: x\r\n\r\n", b"PROPFIND / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:
            s.sendall(first)
            assert read_all(s, 5)[0].startswith(b"HTTP/1.1 ")
    with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:  # not as a second request
        s.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + frames.PREFACE)
        assert read_all(s, 5)[0].count(b"HTTP/1.1 ") == 2
    with Client(ibid, greet=False) as c:  # byte by byte
        for b in frames.PREFACE + SettingsFrame(0).serialize():
            c.raw(bytes([b]))
        assert c.answer(c.chat("byte by byte")).status == 200


def test_off(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_HTTP2_STREAMS_MAX": "0"})
    with socket.create_connection(("127.0.0.1", ibid.port), 10) as s:
        s.sendall(frames.PREFACE)
        assert read_all(s, 5)[0].startswith(b"HTTP/1.1 505")
    with socket.create_connection(("127.0.0.1", ibid.admin_port), 10) as s:  # never there
        s.sendall(frames.PREFACE)
        assert read_all(s, 5)[0].startswith(b"HTTP/1.1 505")


# --- the end ------------------------------------------------------------------------------------------


def test_sigterm_finishes_what_is_under_way(make_ibid, upstream):
    ibid = make_ibid(upstream)
    words = " ".join(f"w{i}" for i in range(60))
    upstream.script = [stream(words, pieces=120, gap=0.02)]
    with Client(ibid) as c, Client(ibid) as idle:
        n = c.chat("under way", stream=True)
        assert c.until(lambda: c.streams[n].body) and idle.until(lambda: idle.acks)
        t = threading.Thread(target=lambda: ibid.kill(signal.SIGTERM))
        t.start()
        assert idle.gone() == frames.NO_ERROR
        assert c.until(lambda: c.goaway)
        s = c.answer(n, 30)
        assert s.ended and s.body == events(words)
        assert c.gone() == frames.NO_ERROR and c.goaway.last_stream_id == n
        t.join()
    assert ibid.proc.returncode == 0
