"""A scripted upstream: an OpenAI-like server that can split, stall, reset and lie at any byte.

Each request is answered by the next behaviour of `script` (the last one stays), or by `default`.
Everything it received is kept in `requests`, so that tests can say what the upstream saw and how
often. Plain sockets, because the misbehaviour is the point."""
import json
import socket
import struct
import threading
import time


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]


def completion(text, model="stub-model", finish="stop", usage=(12, 7), **message):
    return {
        "id": "chatcmpl-upstream", "object": "chat.completion", "created": 1700000000, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, **message},
                     "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


def chunk(delta, finish=None, model="stub-model", **extra):
    return {"id": "chatcmpl-upstream", "object": "chat.completion.chunk", "created": 1700000000, "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **extra}


def events(text, model="stub-model", finish="stop", usage=None, done=True):
    """The bytes of a streamed answer."""
    words = [w + " " for w in text.split(" ")]
    words[-1] = words[-1].rstrip(" ")
    out = [chunk({"role": "assistant", "content": ""}, model=model)]
    out += [chunk({"content": w}, model=model) for w in words]
    out.append(chunk({}, finish, model=model))
    if usage:
        out.append({**chunk({}, model=model), "choices": [],
                    "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}})
    data = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in out)
    return data + (b"data: [DONE]\n\n" if done else b"")


class Reply:
    """One answer. `at` and `fault` say where it goes wrong: after `at` bytes of the body, `fault` is
    one of 'fin', 'rst', 'stall'; `pieces` splits the body; `delay` waits before the head."""

    def __init__(self, status=200, body=b"", content_type="application/json", headers=(), chunked=False,
                 length=None, delay=0.0, at=None, fault=None, pieces=None, gap=0.0, raw=None, close=False):
        self.__dict__.update(locals())


def answer(text, **kw):
    extra = {k: kw.pop(k) for k in list(kw) if k in ("model", "finish", "usage", "refusal", "tool_calls")}
    return Reply(body=json.dumps(completion(text, **extra)).encode(), **kw)


def stream(text, **kw):
    extra = {k: kw.pop(k) for k in list(kw) if k in ("model", "finish", "usage", "done")}
    return Reply(body=events(text, **extra), content_type="text/event-stream", chunked=True, **kw)


class Upstream:
    def __init__(self, port=0, host="127.0.0.1"):
        self.script, self.requests, self.connections = [], [], 0
        self.dropped = 0  # answers that could not be written: the client of the upstream had left
        self.default = lambda r: (stream if r.json.get("stream") else answer)(f"answer {len(self.requests)}", usage=(12, 7))
        self.lock = threading.Lock()
        self.stopping = False
        self.release = threading.Event()  # lets stalled answers go
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen(256)
        self.host, self.port = self.sock.getsockname()
        self.conns = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/v1"

    def posts(self):
        return [r for r in self.requests if r.method == "POST"]

    def close(self):
        self.stopping = True
        self.release.set()
        try:
            # Who waits in accept() goes: else it may take the connections of the next one, by the number of its file.
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for c in list(self.conns):
            try:
                c.close()
            except OSError:
                pass

    def _accept(self):
        while not self.stopping:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self.conns.add(c)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _read_request(self, f):
        line = f.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (h := f.readline().rstrip(b"\r\n")):
            k, v = h.decode("latin-1").split(":", 1)
            headers.append((k, v.strip()))
        names = {k.lower(): v for k, v in headers}
        if names.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while (n := int(f.readline().split(b";")[0], 16)):
                body += f.read(n)
                f.readline()
            f.readline()
        else:
            body = f.read(int(names.get("content-length", 0)))
        return Request(method, target, headers, body)

    def _serve(self, c):
        f = c.makefile("rb")
        try:
            while not self.stopping and (r := self._read_request(f)):
                with self.lock:
                    self.requests.append(r)
                    step = self.script.pop(0) if len(self.script) > 1 else (self.script[0] if self.script else self.default)
                reply = step(r) if callable(step) else step
                if not self._answer(c, reply):
                    break
        except (OSError, ValueError):
            pass
        finally:
            self.conns.discard(c)
            try:
                c.close()
            except OSError:
                pass

    def _send(self, c, data):
        try:
            c.sendall(data)
            return True
        except OSError:
            self.dropped += 1
            return False

    def _fault(self, c, kind):
        if kind == "stall":
            self.release.wait(30)
        if kind == "rst":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _answer(self, c, r):
        if r.delay:
            time.sleep(r.delay)
        if r.raw is not None:
            return self._send(c, r.raw) and not r.close
        if r.at is not None and r.at < 0:  # before any byte
            return self._fault(c, r.fault)
        head = f"HTTP/1.1 {r.status} X\r\nContent-Type: {r.content_type}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in r.headers)
        if r.chunked:
            head += "Transfer-Encoding: chunked\r\n"
        else:
            head += f"Content-Length: {len(r.body) if r.length is None else r.length}\r\n"
        if not self._send(c, head.encode() + b"\r\n"):
            return False
        body = r.body if r.at is None else r.body[: r.at]
        size = r.pieces or len(body) or 1
        for i in range(0, len(body), size):
            part = body[i: i + size]
            if r.chunked:
                part = b"%x\r\n%s\r\n" % (len(part), part)
            if not self._send(c, part):
                return False
            if r.gap:
                time.sleep(r.gap)
        if r.at is not None:
            return self._fault(c, r.fault)
        if r.chunked and not self._send(c, b"0\r\n\r\n"):
            return False
        return not r.close
