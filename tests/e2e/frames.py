"""HTTP/2 by the frame, for tests in which the frames are the point (RFC 9113)."""
import json
import socket
import struct
import time

from hpack import Decoder, Encoder
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame,
                              SettingsFrame, WindowUpdateFrame)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 5, 6, 7, 8, 9, 11
INITIAL_WINDOW, MAX_STREAMS, MAX_HEADER_LIST = 4, 3, 6


class Stream:
    def __init__(self):
        self.headers, self.body, self.ended, self.reset, self.informed = {}, bytearray(), False, None, []

    @property
    def status(self):
        return int(self.headers[":status"]) if self.headers else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def source(self):
        return self.headers.get("x-ibid-source")


class Client:
    """One connection. What comes is read by `pump`, `until` and `answer`; with `window=None` nothing
    is given back, so that windows shut."""

    def __init__(self, ibid, settings=None, greet=True, window=1 << 24, port=None):
        self.sock = socket.create_connection(("127.0.0.1", port or ibid.port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.streams, self.settings, self.goaway, self.pongs, self.acks, self.ended = {}, {}, None, 0, 0, None
        self.credit = {}  # a stream's number (0: all of them): what was added to its window
        self.buffer, self.next, self.window, self.held = b"", 1, window, None
        if greet:
            self.sock.sendall(PREFACE)
            self.send(SettingsFrame(0, settings=settings or {}))
            if window:
                self.send(WindowUpdateFrame(0, window_increment=window))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- out

    def raw(self, data):
        """False when the peer has gone."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def send(self, *frames):
        return self.raw(b"".join(f.serialize() for f in frames))

    def head(self, headers):
        return self.encoder.encode(headers)

    def open(self, headers, end=True, body=None):
        """A request; its stream's number."""
        n, self.next = self.next, self.next + 2
        flags = ["END_HEADERS"] + (["END_STREAM"] if end and body is None else [])
        frames = [HeadersFrame(n, data=self.head(headers), flags=flags)]
        if body is not None:
            parts = [body[i:i + 16384] for i in range(0, len(body), 16384)] or [b""]
            frames += [DataFrame(n, data=p) for p in parts]
            if end:
                frames[-1].flags.add("END_STREAM")
        self.streams[n] = Stream()
        self.send(*frames)
        return n

    def chat(self, question, key="sk-test", headers=(), end=True, **fields):
        body = json.dumps({"model": "stub-model", "messages": [{"role": "user", "content": question}], **fields}).encode()
        return self.open(request("POST", "/v1/chat/completions", [("content-type", "application/json"),
                                 ("content-length", str(len(body))), ("authorization", f"Bearer {key}"), *headers]), end, body)

    # --- in

    def _take(self, f):
        s = self.streams.get(f.stream_id)
        if isinstance(f, SettingsFrame):
            if "ACK" in f.flags:
                self.acks += 1
            else:
                self.settings.update(f.settings)
                self.send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(f, (HeadersFrame, ContinuationFrame)):
            self.held = (self.held or b"") + f.data
            if "END_HEADERS" in f.flags:
                got = dict(self.decoder.decode(self.held))
                self.held = None
                if got[":status"].startswith("1"):
                    s.informed.append(got)
                else:
                    s.headers = got
        elif isinstance(f, DataFrame):
            s.body += f.data
            if self.window and f.flow_controlled_length:
                self.send(WindowUpdateFrame(0, window_increment=f.flow_controlled_length),
                          WindowUpdateFrame(f.stream_id, window_increment=f.flow_controlled_length))
        elif isinstance(f, RstStreamFrame) and s:
            s.reset = f.error_code
        elif isinstance(f, GoAwayFrame):
            self.goaway = f
        elif isinstance(f, WindowUpdateFrame):
            self.credit[f.stream_id] = self.credit.get(f.stream_id, 0) + f.window_increment
        elif isinstance(f, PingFrame):
            self.pongs += "ACK" in f.flags
        if s and "END_STREAM" in f.flags:
            s.ended = True

    def room(self, n, sent):
        """Bytes of a body that the windows still allow, when `sent` of this one are the only ones."""
        return min(self.settings[INITIAL_WINDOW] + self.credit.get(n, 0), 65535 + self.credit.get(0, 0)) - sent

    def pump(self, timeout):
        """Reads what comes within the time; False when nothing did."""
        if self.ended:
            return False
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data = self.sock.recv(1 << 20)
        except TimeoutError:
            return False
        except OSError:
            data, self.ended = b"", "rst"
        if not data:
            self.ended = self.ended or "fin"
            return False
        view, at = memoryview(self.buffer + data), 0
        while len(view) - at >= 9:
            f, n = Frame.parse_frame_header(view[at:at + 9])
            if len(view) - at < 9 + n:
                break
            f.parse_body(view[at + 9:at + 9 + n])
            at += 9 + n
            self._take(f)
        self.buffer = bytes(view[at:])
        return True

    def until(self, true, timeout=15):
        """Reads until it is so; False when it never was."""
        end = time.monotonic() + timeout
        while not true():
            if time.monotonic() > end or self.ended:
                return bool(true())
            self.pump(min(0.2, end - time.monotonic()))
        return True

    def answer(self, n, timeout=15):
        s = self.streams[n]
        assert self.until(lambda: s.ended or s.reset is not None, timeout), (vars(s), self.goaway, self.ended)
        return s

    def gone(self, timeout=15):
        """The code it was sent away with, once the connection is closed."""
        assert self.until(lambda: self.ended, timeout), "the connection is still open"
        return self.goaway.error_code if self.goaway else None


def request(method="GET", path="/v1/models", more=(), authority="x", scheme="http"):
    head = [(":method", method), (":scheme", scheme), (":path", path)]
    if authority is not None:
        head.append((":authority", authority))
    return head + list(more)


def bare(kind, flags, stream, payload=b""):
    """A frame as it is, whatever the rules say."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
