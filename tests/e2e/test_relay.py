"""A drop-in: what the upstream says is what the client gets, and unknown paths go through."""
import http.client
import json
import socket
import threading
import time

import pytest

from upstream import Reply, answer, completion, events, stream


def test_a_miss_is_the_upstreams_bytes(ibid, upstream):
    body = json.dumps(completion("Hello.", usage=(3, 2)), indent=1).encode()
    upstream.script = [Reply(body=body, headers=[("x-request-id", "req-1"), ("openai-processing-ms", "12")])]
    r = ibid.chat("hi")
    assert (r.status, r.body, r.source) == (200, body, "upstream")
    assert r.headers["x-request-id"] == "req-1" and r.headers["openai-processing-ms"] == "12"
    assert r.headers["content-type"] == "application/json"


def test_the_request_arrives_as_it_was_sent(ibid, upstream):
    raw = b'{ "model":"m", "messages":[{"role":"user","content":"caf\\u00e9 \xf0\x9f\x98\x80"}],\n "unknown":[1,2.50,{"a":null}] }'
    ibid.request("POST", "/v1/chat/completions?x=1", raw, {
        "content-type": "application/json", "authorization": "Bearer k", "OpenAI-Organization": "org",
        "x-custom": "1", "x-ibid-cache": "no-cache", "connection": "x-hop, close", "x-hop": "1", "te": "trailers", "accept-encoding": "br;q=0.5, x-new"})
    r = upstream.requests[0]
    assert r.body == raw and r.target == "/v1/chat/completions?x=1"
    assert r.header("authorization") == ["Bearer k"] and r.header("openai-organization") == ["org"]
    assert r.header("x-custom") == ["1"] and r.header("accept-encoding") == ["br;q=0.5, x-new"]
    assert r.header("host") == [f"127.0.0.1:{upstream.port}"]
    for gone in ("x-ibid-cache", "x-hop", "te", "connection"):
        assert r.header(gone) == [], gone


def test_a_stream_is_relayed_byte_by_byte(ibid, upstream):
    upstream.script = [stream("one two three", pieces=1)]
    r = ibid.chat("count", stream=True)
    assert r.body == events("one two three") and r.headers["content-type"] == "text/event-stream"


def test_a_stream_flows_while_it_is_made(ibid, upstream):
    upstream.script = [stream("one two three four", pieces=400, gap=0.2)]
    c = http.client.HTTPConnection("127.0.0.1", ibid.port)
    c.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}))
    t0 = time.time()
    r = c.getresponse()
    first = r.read1(65536)
    assert first and time.time() - t0 < 0.6
    assert first + r.read() == events("one two three four")


def test_unknown_paths_go_through(ibid, upstream):
    upstream.default = lambda r: Reply(status=201, body=b"\x00\xffraw", content_type="application/x-thing")
    for method, path in (("POST", "/v1/images/generations"), ("DELETE", "/v1/files/abc"), ("GET", "/v1/batches?limit=2"), ("PUT", "/odd//path/%2e")):
        r = ibid.request(method, path, b"body" if method != "GET" else None, {"authorization": "Bearer k"})
        assert (r.status, r.body) == (201, b"\x00\xffraw")
        assert r.headers["content-type"] == "application/x-thing"
        # The upstream's URL ends in /v1: paths go below it, never to /v1/v1.
        target = path if path.startswith("/v1/") else "/v1" + path
        assert (upstream.requests[-1].method, upstream.requests[-1].target) == (method, target)


def test_a_large_upload_streams_through_unknown_paths(ibid, upstream):
    upstream.default = lambda r: Reply(body=str(len(r.body)).encode())
    data = bytes(range(256)) * (40 * 4096)  # 40 MiB: more than any buffer of ours
    r = ibid.request("POST", "/v1/files", data, {"content-type": "application/octet-stream"})
    assert r.body == str(len(data)).encode() and upstream.requests[-1].body == data


def test_a_chat_body_beyond_the_limit_is_relayed(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_BODY_MAX_BYTES": "65536"})
    image = "data:image/png;base64," + "A" * 300_000
    r = ibid.chat([{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": "what?"}])
    assert r.status == 200 and len(upstream.requests[-1].body) > 300_000
    chunked = (b'{"model":"m","messages":[{"role":"user","content":"', b"B" * 200_000, b'"}]}')
    r = ibid.request("POST", "/v1/chat/completions", iter(chunked), {"content-type": "application/json"})  # http.client chunks it
    assert r.status == 200 and upstream.requests[-1].body == b"".join(chunked)


def test_chunked_requests_are_read(ibid, upstream):
    parts = (b'{"model":"m",', b'"messages":[{"role":"user",', b'"content":"hi"}]}')
    r = ibid.request("POST", "/v1/chat/completions", iter(parts))  # http.client chunks it
    assert r.status == 200 and upstream.requests[0].body == b"".join(parts)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
def test_upstream_errors_keep_their_words(ibid, upstream, status):
    body = json.dumps({"error": {"message": "no", "type": "t"}}).encode()
    upstream.script = [Reply(status=status, body=body, headers=[("retry-after", "7")])]
    r = ibid.chat("hi")
    assert (r.status, r.body, r.headers["retry-after"]) == (status, body, "7")


def test_models_are_the_upstreams(ibid, upstream):
    upstream.script = [Reply(body=b'{"object":"list","data":[{"id":"stub-model","object":"model"}]}')]
    r = ibid.request("GET", "/v1/models", headers={"authorization": "Bearer k"})
    assert [m["id"] for m in r.json["data"]] == ["stub-model"]


def test_keep_alive_and_pipelining(ibid, upstream):
    body = b'{"model":"m","messages":[{"role":"user","content":"pipelined"}]}'
    one = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", ibid.port)) as s:
        s.sendall(one * 3)
        f = s.makefile("rb")
        for _ in range(3):
            assert f.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (h := f.readline().strip()):
                if h.lower().startswith(b"content-length:"):
                    length = int(h.split(b":")[1])
            assert json.loads(f.read(length))["choices"][0]["message"]["content"] == "answer 1"
    assert len(upstream.posts()) == 1


def test_a_unix_socket_serves_too(make_ibid, upstream, tmp_path):
    path = str(tmp_path / "s")
    ibid = make_ibid(upstream, env={"IBID_LISTEN": f"unix:{path}"})
    c = http.client.HTTPConnection("x")
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(path)
    c.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}]}))
    assert c.getresponse().status == 200
    assert ibid.proc.poll() is None


def test_a_kept_connection_that_closed_is_retried_once(ibid, upstream):
    assert ibid.chat("one").status == 200
    # The upstream reads the next request on the kept connection and closes without a byte.
    upstream.script = [Reply(at=-1, fault="fin"), answer("second try")]
    r = ibid.chat("two")
    assert r.status == 200 and r.text == "second try"
    assert ibid.metric("ibid_upstream_retries_total") == 1


def test_a_slow_reader_does_not_fill_memory(ibid, upstream):
    size = 64 * 1024 * 1024
    upstream.default = lambda r: Reply(body=b"x" * size, content_type="application/octet-stream")
    with socket.create_connection(("127.0.0.1", ibid.port)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(b"GET /v1/big HTTP/1.1\r\nHost: x\r\n\r\n")
        first = s.recv(1000)
        time.sleep(1.0)
        rss = int(next(l for l in open(f"/proc/{ibid.proc.pid}/status") if l.startswith("VmRSS")).split()[1])
        assert rss < 60 * 1024 * (4 if "Sanitizer" in str(ibid.env) or "ASAN_OPTIONS" in ibid.env else 1)
        got = len(first) - first.index(b"\r\n\r\n") - 4
        while got < size and (n := len(s.recv(1 << 20))):
            got += n
        assert got == size


def test_a_client_that_leaves_frees_the_upstream(ibid, upstream):
    upstream.script = [stream("word " * 2000, pieces=50, gap=0.02)]
    s = socket.create_connection(("127.0.0.1", ibid.port))
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"long"}]}'
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    assert s.recv(4000)
    s.close()
    end = time.time() + 1.5
    while not upstream.dropped and time.time() < end:
        time.sleep(0.01)
    assert upstream.dropped == 1
    ibid.wait_metric("ibid_client_gone_total", 1)


def test_clients_in_parallel(ibid, upstream):
    out = []

    def ask(i):
        out.append(ibid.chat(f"question {i % 10}").status)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(60)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert out == [200] * 60 and len(upstream.posts()) == 10
