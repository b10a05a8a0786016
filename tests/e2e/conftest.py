"""The real binary on real sockets of 127.0.0.1. IBID_BIN names it (default build/release/ibid);
IBID_TEST_MODELS the folder of the models (default ~/.cache/ibid/models); without them the tests
that need a model are skipped, with a word. IBID_TEST_LOOPS: how many loops serve (default 1)."""
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from upstream import Upstream

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get("IBID_BIN", str(ROOT / "build/release/ibid"))
MODELS = os.environ.get("IBID_TEST_MODELS", os.path.expanduser("~/.cache/ibid/models"))
ENCODER = pathlib.Path(MODELS, "all-minilm-l6-v2/model.safetensors")
DECODER = pathlib.Path(MODELS, "smollm2-135m-instruct")

needs_encoder = pytest.mark.skipif(not ENCODER.exists(), reason="encoder not there: ibid models pull all-minilm-l6-v2")
needs_decoder = pytest.mark.skipif(not list(DECODER.glob("*.gguf")), reason="model not there: ibid models pull smollm2-135m-instruct")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, or needs what takes long to install; only with tests/run.sh --all")


def ports():
    """Below those that the kernel gives to clients, so that nobody has one before it is used; every worker has its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
    at = random.randrange(1500)
    while True:
        yield 20000 + 1500 * worker + at
        at = (at + 1) % 1500


PORTS = ports()


def free_port():
    for port in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Response:
    def __init__(self, r, body):
        self.status, self.body = r.status, body
        self.headers = {k.lower(): v for k, v in r.getheaders()}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def source(self):
        return self.headers.get("x-ibid-source")

    @property
    def text(self):
        return self.json["choices"][0]["message"]["content"]


class Ibid:
    """One running ibid with a data directory of its own."""

    def __init__(self, tmp, upstream=None, env=None, encoder=False, local=False, config=None):
        self.dir = pathlib.Path(tmp)
        self.port, self.admin_port = free_port(), free_port()
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.dir),
            "IBID_LISTEN": f"127.0.0.1:{self.port}", "IBID_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "IBID_DATA_DIR": str(self.dir / "data"), "IBID_MODEL_DIR": MODELS,
            "IBID_ENCODER_MODEL": "all-minilm-l6-v2" if encoder else "off",
            "IBID_LOCAL_MODEL": "smollm2-135m-instruct" if local else "off",
            # Tests run beside others, which an idle thread would wait for.
            "IBID_LOCAL_PRIORITY": "low",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        if os.environ.get("IBID_TEST_LOOPS"):
            self.env["IBID_LOOPS"] = os.environ["IBID_TEST_LOOPS"]
        if upstream:
            self.env["IBID_UPSTREAM_URL"] = upstream if isinstance(upstream, str) else upstream.url
        self.env.update(env or {})
        self.args = []
        if config:
            (self.dir / "ibid.yaml").write_text(config)
            self.args = ["-c", str(self.dir / "ibid.yaml")]
        self.proc = None
        self.start()

    def start(self, wait=True):
        self.log = open(self.dir / "log", "ab")
        self.proc = subprocess.Popen([BIN, "serve", *self.args], env=self.env, stdout=self.log, stderr=self.log)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout=20):
        end = time.time() + timeout
        while time.time() < end:
            if self.proc.poll() is not None:
                raise AssertionError(f"ibid ended with {self.proc.returncode}:\n{self.read_log()}")
            try:
                if self.admin("/healthz").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("ibid did not become ready:\n" + self.read_log())

    def read_log(self):
        return (self.dir / "log").read_text(errors="replace")

    def kill(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)
        code = self.proc.wait(40)
        self.log.close()
        return code

    def stop(self):
        if self.proc.poll() is None:
            code = self.kill(signal.SIGTERM)
            assert code == 0, f"ibid ended with {code}:\n{self.read_log()}"
        assert "Sanitizer" not in self.read_log(), self.read_log()
        assert "handles_left_open" not in self.read_log(), self.read_log()
        assert "system_call_denied" not in self.read_log(), self.read_log()

    def request(self, method, path, body=None, headers=None, port=None, timeout=60, host="127.0.0.1"):
        c = http.client.HTTPConnection(host, port or self.port, timeout=timeout)
        try:
            c.request(method, path, body=body, headers=headers or {})
            r = c.getresponse()
            return Response(r, r.read())
        finally:
            c.close()

    def chat(self, user, key="sk-test", model="stub-model", headers=None, messages=None, **fields):
        body = {"model": model, "messages": messages or [{"role": "user", "content": user}], **fields}
        h = {"content-type": "application/json", **(headers or {})}
        if key:
            h["authorization"] = f"Bearer {key}"
        return self.request("POST", "/v1/chat/completions", json.dumps(body), h)

    def admin(self, path, token=None):
        h = {"authorization": f"Bearer {token}"} if token else {}
        return self.request("GET", path, headers=h, port=self.admin_port, timeout=10)

    def token(self):
        return (self.dir / "data/admin.token").read_text().strip()

    def stats(self):
        return self.admin("/admin/v1/stats", self.token()).json

    def savings(self):
        return self.admin("/admin/v1/savings", self.token()).json

    def metric(self, name):
        total = 0.0
        for line in self.admin("/metrics").body.decode().splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def wait_metric(self, name, at_least, timeout=10):
        end = time.time() + timeout
        while self.metric(name) < at_least:
            assert time.time() < end, f"{name} is {self.metric(name)}, wanted {at_least}"
            time.sleep(0.01)


@pytest.fixture
def upstream():
    u = Upstream()
    yield u
    u.close()


@pytest.fixture
def make_ibid(tmp_path):
    made = []

    def make(upstream=None, name=None, **kw):
        d = tmp_path / (name or f"ibid{len(made)}")
        d.mkdir(exist_ok=True)
        made.append(Ibid(d, upstream, **kw))
        return made[-1]

    yield make
    for i in made:
        i.stop()


@pytest.fixture
def ibid(make_ibid, upstream):
    return make_ibid(upstream)


class Redis:
    def __init__(self, tmp):
        self.port, self.dir = free_port(), tmp
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.proc = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", str(self.dir)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 10
        while time.time() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def signal(self, sig):
        self.proc.send_signal(sig)

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGCONT)
            self.proc.kill()
            self.proc.wait(10)

    def command(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in
                                                           (x if isinstance(x, bytes) else str(x).encode() for x in words)))
            f = s.makefile("rb")
            return self._read(f)

    def _read(self, f):
        line = f.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._read(f) for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest


@pytest.fixture
def redis(tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("redis-server not there: apt install redis-server")
    d = tmp_path / "redis"
    d.mkdir()
    r = Redis(d)
    yield r
    r.stop()
