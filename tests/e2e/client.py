"""Requests as tests need them: any header list, any body bytes, a shared server a file."""
import contextlib
import http.client
import json
import threading
import time

from conftest import Ibid, Response
from upstream import Upstream

CHAT = "/v1/chat/completions"


def post(ibid, body, headers=(), path=CHAT, method="POST", key=None):
    """`headers` are pairs and go out as they are, repeated ones too."""
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    c = http.client.HTTPConnection("127.0.0.1", ibid.port, timeout=60)
    try:
        c.putrequest(method, path, skip_accept_encoding=True)
        c.putheader("Content-Type", "application/json")
        for name, value in headers:
            c.putheader(name, value)
        if key is not None:
            c.putheader("Authorization", f"Bearer {key}")
        if data is not None:
            c.putheader("Content-Length", str(len(data)))
        try:
            c.endheaders(data)
        except BrokenPipeError:
            pass  # it answered without reading all
        r = c.getresponse()
        return Response(r, r.read())
    finally:
        c.close()


def user(text, **fields):
    return {"model": "stub-model", "messages": [{"role": "user", "content": text}], **fields}


def sse(body):
    """The JSON of each event of a stream, and whether [DONE] ended it."""
    data = [e[6:] for e in body.decode().split("\n\n") if e.startswith("data: ")]
    return [json.loads(d) for d in data if d != "[DONE]"], bool(data) and data[-1] == "[DONE]"


def said(body):
    return "".join(c["delta"].get("content") or "" for e in sse(body)[0] for c in e["choices"])


def reasons(ibid, name):
    """A metric with a reason label, as {reason: count}."""
    out = {}
    for line in ibid.admin("/metrics").body.decode().splitlines():
        if line.startswith(name + '{reason="'):
            out[line.split('"')[1]] = int(line.rsplit(" ", 1)[1])
    return out


def until(true, what, timeout=10):
    """Time in which this program itself stood still counts for no more than a second."""
    left, last = timeout, time.monotonic()
    while not true():
        assert left > 0, f"waited in vain for {what}"
        time.sleep(0.005)
        now = time.monotonic()
        left, last = left - min(now - last, 1), now


@contextlib.contextmanager
def serving(tmp, **kw):
    """An ibid and its upstream for a whole file: `with` in a module's fixture."""
    up = Upstream()
    i = Ibid(tmp, up if kw.pop("upstream", True) else None, **kw)
    try:
        yield i, up
    finally:
        i.stop()
        up.close()


def prove(ibid, key="sk-test", headers=()):
    """The upstream accepts the credential, so that the cache may answer it. Nothing is kept of it,
    or its vector might come into the index while store() waits for another."""
    r = post(ibid, user(f"proof of {key}"), [*headers, ("x-ibid-cache", "no-store")], key=key)
    assert r.status == 200, (r.status, r.headers, r.body)


def store(ibid, body, **kw):
    """Asks a question and waits until its answer is found by meaning too."""
    before = ibid.metric("ibid_index_entries")
    r = post(ibid, body, **kw)
    assert r.status == 200 and r.source == "upstream", (r.status, r.headers, r.body)
    until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
    return r


class Gate:
    """A behaviour of the upstream that waits: `asked` once a request is there, `open()` lets go."""

    def __init__(self, reply):
        self.reply, self.asked, self.released = reply, threading.Event(), threading.Event()

    def __call__(self, request):
        self.asked.set()
        assert self.released.wait(30)
        return self.reply(request) if callable(self.reply) else self.reply

    def open(self):
        self.released.set()


def later(fn, *args, **kw):
    """Runs fn in a thread; call the result for what it returned."""
    out = []
    t = threading.Thread(target=lambda: out.append(fn(*args, **kw)))
    t.start()

    def result():
        t.join(90)
        assert out, "the request did not come back"
        return out[0]
    return result
