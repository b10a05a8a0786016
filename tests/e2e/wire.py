"""Bytes on sockets, for tests in which the bytes are the point: a client that says whether an answer
came whole, and a peer that answers with whatever a function sends."""
import json
import socket
import struct
import threading
import time


class Answer:
    """What a client got: `whole` only when the framing said that this was all of it."""

    def __init__(self, data, ended, head_request=False):
        self.data, self.ended = data, ended  # ended: 'fin', 'rst', 'timeout' or 'open'
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        self.status = int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/") else None
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.body, self.whole, self.rest = b"", False, b""
        if self.status is None or b"\r\n\r\n" not in data:
            return
        if head_request or self.status in (204, 304):
            self.whole, self.rest = True, rest
        elif self.headers.get("transfer-encoding") == "chunked":
            self._read_chunks(rest)
        elif "content-length" in self.headers:
            n = int(self.headers["content-length"])
            self.body, self.rest, self.whole = rest[:n], rest[n:], len(rest) >= n
        else:
            self.body, self.whole = rest, ended == "fin"

    def _read_chunks(self, rest):
        body, at = [], 0
        while (end := rest.find(b"\r\n", at)) >= 0:
            n, at = int(rest[at:end], 16), end + 2
            if n == 0:
                self.whole, self.rest = rest[at:at + 2] == b"\r\n", rest[at + 2:]
                break
            body.append(rest[at:at + n])
            if len(rest) < at + n + 2:
                break
            at += n + 2
        self.body = b"".join(body)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def source(self):
        return self.headers.get("x-ibid-source")

    @property
    def text(self):
        return self.json["choices"][0]["message"]["content"]


def chat_bytes(question, stream=False, key="sk-test", headers=(), close=True, **fields):
    body = {"model": "stub-model", "messages": [{"role": "user", "content": question}], **fields}
    if stream:
        body["stream"] = True
    data = json.dumps(body).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: x", f"Authorization: Bearer {key}",
             "Content-Type: application/json", f"Content-Length: {len(data)}", *headers]
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def read_all(s, timeout=15):
    """Until the peer ends the connection."""
    data, end = bytearray(), time.monotonic() + timeout
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return bytes(data), "timeout"
        s.settimeout(left)
        try:
            part = s.recv(65536)
        except TimeoutError:
            return bytes(data), "timeout"
        except ConnectionError:
            return bytes(data), "rst"
        if not part:
            return bytes(data), "fin"
        data += part


def exchange(port, data, timeout=15, head_request=False):
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        try:
            s.sendall(data)
        except ConnectionError:
            pass
        return Answer(*read_all(s, timeout), head_request)


def ask(ibid, question, timeout=15, **kw):
    return exchange(ibid.port, chat_bytes(question, **kw), timeout)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def framed(body, content_type="application/json", chunked=False, extra="", status="200 OK"):
    """All bytes of an answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{extra}"
    if not chunked:
        return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


class Peer:
    """Accepts connections and gives each to `serve(peer, socket, number)` on a thread of its own; all
    bytes of every connection are kept in `received`."""

    def __init__(self, serve, wrap=None):
        self.serve, self.wrap = serve, wrap
        self.received, self.released = [], threading.Event()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(512)
        self.port = self.sock.getsockname()[1]
        self.lock, self.open = threading.Lock(), set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def close(self):
        self.released.set()
        # close() alone does not wake accept()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for s in list(self.open):
            s.close()

    def _accept(self):
        while True:
            try:
                s, _ = self.sock.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                n = len(self.received)
                self.received.append(b"")
                self.open.add(s)
            threading.Thread(target=self._run, args=(s, n), daemon=True).start()

    def _run(self, s, n):
        try:
            if self.wrap:
                s = self.wrap(s)
            self.serve(self, s, n)
        except (OSError, ValueError):
            pass
        finally:
            self.open.discard(s)
            try:
                s.close()
            except OSError:
                pass

    def read(self, s, n):
        data = s.recv(65536)
        with self.lock:
            self.received[n] += data
        return data

    def read_head(self, s, n):
        """(head, what came of the body); (b'', b'') at the end."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = self.read(s, n)
            if not part:
                return b"", b""
            data += part
        head, _, rest = data.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n", rest

    def read_request(self, s, n):
        """(head, body) of a request with a length, or a chunked one; (b'', b'') at the end."""
        head, body = self.read_head(s, n)
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            while not body.endswith(b"0\r\n\r\n"):
                part = self.read(s, n)
                if not part:
                    break
                body += part
        elif b"content-length:" in lower:
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                part = self.read(s, n)
                if not part:
                    break
                body += part
        return head, body


def assert_sse_error(r):
    """The message of the error event with which a stream was broken off."""
    assert r.status == 200 and r.body.endswith(b"\n\n"), r.body[-300:]
    last = r.body.rstrip(b"\n").rpartition(b"\n\n")[2]
    assert last.startswith(b"data: {"), r.body[-300:]
    error = json.loads(last[6:])["error"]
    assert error["type"] == "server_error"
    return error["message"]
