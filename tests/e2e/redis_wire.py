"""What is between an ibid and its Redis, as a test wants it: slow, cut, dropped, dribbling, garbled. A proxy on
127.0.0.1; `mode` may change at any time, and counts for what comes from then on."""
import queue
import socket
import struct
import threading
import time


def others(data):
    """Each bulk reply in it that is whole is another."""
    out = b""
    while data.startswith(b"$"):
        n, _, rest = data[1:].partition(b"\r\n")
        n = int(n) + 2 if int(n) >= 0 else 0
        if len(rest) < n:
            break
        out, data = out + b"$5\r\nhello\r\n", rest[n:]
    return out + data


class RedisWire:
    def __init__(self, redis):
        self.redis, self.mode, self.conns, self.closing = redis, "pass", set(), False
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(64)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def close(self):
        self.closing = True
        self.sock.close()
        for c in list(self.conns):
            self.cut(c)

    @staticmethod
    def cut(c, rst=False):
        try:
            if rst:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                c.shutdown(socket.SHUT_RDWR)
            c.close()
        except OSError:
            pass

    def reset_all(self):
        for c in list(self.conns):
            self.cut(c, rst=True)

    def _accept(self):
        while not self.closing:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                s = socket.create_connection(("127.0.0.1", self.redis.port), 2)
            except OSError:
                self.cut(c, rst=True)
                continue
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.conns |= {c, s}
            threading.Thread(target=self._pump, args=(c, s, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(s, c, True), daemon=True).start()

    def _pump(self, a, b, replies):
        """From a to b; the writer has what is read, and when it is due: a slow line is long, not narrow."""
        line = queue.Queue()
        threading.Thread(target=self._write, args=(line, a, b, replies), daemon=True).start()
        try:
            while data := a.recv(65536):
                line.put((time.monotonic(), data))
        except OSError:
            pass
        line.put((0, b""))

    def _write(self, line, a, b, replies):
        try:
            while True:
                at, data = line.get()
                if not data or not self._give(at, data, b, replies):
                    break
        except OSError:
            pass
        for c in (a, b):
            self.conns.discard(c)
            self.cut(c, rst=self.mode == "reset")

    def _give(self, at, data, b, replies):
        """False: the connection is over."""
        mode = self.mode
        if mode == "drop":
            return True  # as on a cable that was pulled: nobody is told
        if not replies or mode in ("pass", "reset"):
            b.sendall(data)
        elif mode.startswith("slow:"):
            time.sleep(max(0, at + float(mode[5:]) / 1000 - time.monotonic()))
            b.sendall(data)
        elif mode == "dribble":
            for i in range(len(data)):
                if self.mode == "dribble":
                    time.sleep(0.001)
                    b.sendall(data[i: i + 1])
                else:
                    b.sendall(data[i:])
                    break
        elif mode == "cut":
            b.sendall(data[: len(data) // 2])
            return False
        elif mode == "garbage":
            b.sendall(b"\x00\xff!garbage\r\n*99999999\r\n$-7\r\n" + data)
        elif mode == "flip":  # within a value: its frame has a checksum
            wrong = bytearray(data)
            for i in range(200, len(data), 200):
                wrong[i] ^= 0x20 if data[i: i + 1].isalnum() else 0
            b.sendall(bytes(wrong))
        elif mode == "swap":  # whole and valid, but an answer to something else
            b.sendall(others(data))
        else:
            raise AssertionError(mode)
        return True
