"""Everything that a Redis, or the way to it, can do to an ibid, under load: 50 requests a second, a fifth of them
streams, half of them stored. In each case nobody's answer is lost or wrong; whom the store holds up it holds up for its
deadline, in the first second; then nobody is, and it is in use again soon after it is well. Short here, at full
length with -m slow. IBID_FAULTS_OUT names a file that gets what was measured, a line of Markdown each.

A sample counts only when this process itself was not held up meanwhile: else it would measure the machine."""
import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from client import CHAT, said, sse, until, user
from conftest import free_port
from redis_wire import RedisWire
from test_redis import KEY, env, right, wait_up  # noqa: F401
from upstream import answer, stream

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server not there: apt install redis-server")

DEADLINE_S = 0.05
RECOVERY_S = 2.0
# What a scheduler does to a client, a server and an upstream that share two cores with others.
NOISE_S = 0.03
HELD_UP_S = 0.015
STORED = [f"stored {i}" for i in range(20)]


class Server:
    """A redis-server whose data outlives it."""

    def __init__(self, folder):
        self.port, self.dir, self.more = free_port(), folder, []
        folder.mkdir()
        self.start()

    def start(self):
        self.proc = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.dir),
             "--enable-protected-configs", "local", *self.more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.listens, "redis-server")

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def signal(self, sig):
        self.proc.send_signal(sig)

    def kill(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGCONT)
            self.proc.kill()
            self.proc.wait(10)

    def cli(self, *words, password=None):
        out = subprocess.run(["redis-cli", "-p", str(self.port), *(["-a", password, "--no-auth-warning"] if password else []),
                              *map(str, words)], capture_output=True, text=True, timeout=20).stdout.strip()
        assert not out.startswith(("ERR", "(error)")), (words, out)
        return out


class Load:
    def __init__(self, ibid, rate=50, workers=24):
        self.ibid, self.rate, self.samples, self.wrong, self.lost, self.gaps = ibid, rate, [], [], [], []
        self.jobs, self.ended, self.lock = queue.Queue(), threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        self.threads += [threading.Thread(target=f, daemon=True) for f in (self._feed, self._metronome)]
        for t in self.threads:
            t.start()

    def _metronome(self):
        last = time.monotonic()
        while not self.ended.is_set():
            time.sleep(0.002)
            now = time.monotonic()
            if now - last > HELD_UP_S:
                self.gaps.append((last, now))
            last = now

    def _feed(self):
        n, at = 0, time.monotonic()
        while not self.ended.is_set():
            question = STORED[n // 2 % len(STORED)] if n % 2 else f"new {n}"
            self.jobs.put((question, n % 5 == 0))
            n, at = n + 1, at + 1 / self.rate
            time.sleep(max(0, at - time.monotonic()))
            at = max(at, time.monotonic() - 0.1)  # no burst after a pause of the whole machine
        for _ in self.threads:
            self.jobs.put(None)

    def _work(self):
        c = http.client.HTTPConnection(getattr(self.ibid, "host", "127.0.0.1"), self.ibid.port, timeout=20)
        while job := self.jobs.get():
            question, streamed = job
            body = json.dumps(user(question, **({"stream": True} if streamed else {})))
            begin = time.monotonic()
            try:
                c.request("POST", CHAT, body, {"content-type": "application/json", "authorization": f"Bearer {KEY}"})
                r = c.getresponse()
                data = r.read()
                end = time.monotonic()
                if r.status != 200:
                    self.lost.append((question, r.status, data[:200]))
                    continue
                text = said(data) if streamed else json.loads(data)["choices"][0]["message"]["content"]
                if text != right(question) or streamed and not sse(data)[1]:
                    self.wrong.append((question, text))
                with self.lock:
                    self.samples.append((begin, end, r.getheader("x-ibid-source")))
            except Exception as e:
                self.lost.append((question, repr(e)))
                c.close()

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(30)
            assert not t.is_alive(), "a request never ended"

    def took(self, since, until_):
        """Sorted seconds of the requests that began then and were not held up by the machine."""
        return sorted(end - begin for begin, end, _ in list(self.samples) if since <= begin < until_ and
                      not any(a < end and begin < b for a, b in list(self.gaps)))

    def of_its_own(self, since, until_):
        """Seconds between, without those in which this machine did other things."""
        return until_ - since - sum(max(0, min(b, until_) - max(a, since)) for a, b in self.gaps)


def p99(times):
    return times[min(len(times) - 1, int(len(times) * 0.99))] if times else None


class Bench:
    def __init__(self, ibid, server, wire):
        self.ibid, self.server, self.wire = ibid, server, wire

    def set(self, name, value):
        self.server.cli("CONFIG", "SET", name, value)

    def refill(self):
        for q in STORED:
            assert self.ibid.chat(q, key=KEY).text == right(q)


# --- the faults: what begins it, what ends it, how it shows -------------------------------------------------


def wire_mode(mode):
    def begin(b):
        b.wire.mode = mode

    def end(b):
        b.wire.mode = "pass"
    return begin, end


def killed(b):
    b.server.kill()


def start_again(b):
    b.server.start()


def restarted_empty(b):
    b.server.kill()
    b.server.start()


def restarted_with_data(b):
    b.server.cli("SAVE")
    b.server.kill()
    b.server.start()


def frozen(b):
    b.server.signal(signal.SIGSTOP)


def thawed(b):
    b.server.signal(signal.SIGCONT)


def emptied(b):
    b.server.cli("FLUSHALL")


def made_a_replica(b):
    b.server.cli("REPLICAOF", "127.0.0.1", "1")


def made_a_replica_without_data(b):
    b.set("replica-serve-stale-data", "no")
    made_a_replica(b)


def made_a_master(b):
    b.server.cli("REPLICAOF", "NO", "ONE")


def full(b):
    b.set("maxmemory", 1)


def with_room(b):
    b.set("maxmemory", 0)


def disk_gone(b):
    b.set("save", "3600 1")
    shutil.rmtree(b.server.dir)
    b.server.cli("BGSAVE")
    until(lambda: "rdb_last_bgsave_status:err" in b.server.cli("INFO", "persistence"), "a save that fails")


def disk_back(b):
    b.server.dir.mkdir()
    b.set("dir", b.server.dir)
    b.server.cli("BGSAVE")
    until(lambda: "rdb_last_bgsave_status:ok" in b.server.cli("INFO", "persistence"), "a save that works")


def loading(b):
    """A restart that takes its time."""
    b.server.cli("EVAL", "for i=1,1000 do redis.call('SET','other:'..i,'x') end", 0)
    b.server.cli("SAVE")
    b.server.kill()
    delay_us = int((b.fault_s + 0.7) * 1000)  # each of the thousand
    b.server.more = ["--key-load-delay", str(delay_us), "--loading-process-events-interval-bytes", "1024"]
    b.server.start()
    b.server.more = []


def loaded(b):
    until(lambda: "loading:0" in b.server.cli("INFO", "persistence").split(), "it to be loaded", timeout=30)


def other_password(b):
    b.set("requirepass", "another")
    b.server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", password="another")


def no_password(b):
    b.server.cli("CONFIG", "SET", "requirepass", "", password="another")


def reset(b):
    b.wire.mode = "reset"
    b.wire.reset_all()


def nothing(b):
    pass


# name: (begins, ends, what the log or /readyz says of it, what the store is meanwhile: 0 not in use, 1 in use, None: now this, now that)
FAULTS = {
    "killed": (killed, start_again, "closed by Redis|lost|refused", 0),
    "frozen": (frozen, thawed, "time out", 0),
    "restarted, empty": (restarted_empty, nothing, "closed by Redis|lost|refused", None),
    "restarted, with its data": (restarted_with_data, nothing, "closed by Redis|lost|refused", None),
    "emptied (FLUSHALL)": (emptied, nothing, None, 1),
    "made a replica (READONLY)": (made_a_replica, made_a_master, "READONLY", None),
    "a replica without its master (MASTERDOWN)": (made_a_replica_without_data, made_a_master, "MASTERDOWN", 0),
    "full, noeviction (OOM)": (full, with_room, "OOM", 1),
    "its disk gone (MISCONF)": (disk_gone, disk_back, "MISCONF", 1),
    "loading (LOADING)": (loading, loaded, "LOADING", 0),
    "another password (NOAUTH)": (other_password, no_password, "NOAUTH", 0),
    "every connection reset": (reset, lambda b: setattr(b.wire, "mode", "pass"), "lost|closed", None),
    "packets dropped, nobody told": (*wire_mode("drop"), "time out", 0),
    "20 ms away": (*wire_mode("slow:20"), None, 1),
    "200 ms away": (*wire_mode("slow:200"), "time out", 0),
    # Quick enough for the greeting, too slow for entries: it is tried again about once a second, by three look-ups.
    "a byte a millisecond": (*wire_mode("dribble"), "time out", None),
    "cut in the middle of a reply": (*wire_mode("cut"), "closed by Redis|lost", None),
    "garbage before each reply": (*wire_mode("garbage"), "not the protocol", 0),
    "bits flipped in values": (*wire_mode("flip"), None, None),
    "other values than those asked for": (*wire_mode("swap"), None, 1),
}


@pytest.fixture
def bench(make_ibid, upstream, env, tmp_path):  # noqa: F811
    upstream.default = lambda r: (stream if r.json.get("stream") else answer)(right(r.json["messages"][-1]["content"]), usage=(3, 5))
    server = Server(tmp_path / "redis")
    wire = RedisWire(server)
    ibid = make_ibid(upstream, env=env | {"IBID_STORE_URL": wire.url})
    wait_up(ibid)
    yield Bench(ibid, server, wire)
    wire.close()
    server.kill()


def in_use(b):
    """Answers from the store: `new` entries are written and read back."""
    question = f"in use {time.monotonic()}"
    return b.ibid.metric("ibid_store_up") == 1 and [b.ibid.chat(question, key=KEY).source, b.ibid.chat(question, key=KEY).source] == ["upstream", "exact"]


def run(b, name, warm_s, fault_s):
    begin, end, said_, up = FAULTS[name]
    b.fault_s = fault_s
    b.refill()
    load = Load(b.ibid)
    time.sleep(warm_s)
    t0 = time.monotonic()
    begin(b)
    t1 = time.monotonic()
    time.sleep(fault_s)
    state = b.ibid.metric("ibid_store_up"), b.ibid.metric("ibid_store_breaker_open")
    shown = b.ibid.admin("/readyz").body.decode()
    end(b)
    t2 = time.monotonic()
    until(lambda: in_use(b), "it to be in use again", timeout=15)
    t3 = time.monotonic()
    time.sleep(0.4)
    load.stop()
    recovery = load.of_its_own(t2, t3)
    assert not load.wrong and not load.lost, (load.wrong[:3], load.lost[:3])
    log = b.ibid.read_log() + shown
    # What is under way when it begins belongs to the fault.
    base, first, later = p99(load.took(t0 - warm_s + 0.05, t0 - 0.1)), load.took(t0 - 0.1, t1 + 1), load.took(t1 + 1, t2)
    out = os.environ.get("IBID_FAULTS_OUT")
    if out:
        ms = [f"{x * 1000:.0f}" if x is not None else "" for x in (base, p99(first), p99(later))]
        with open(out, "a") as f:
            f.write(f"| {name} | {t2 - t1:.1f} | {len(load.samples)} | {' | '.join(ms)} | {recovery:.1f} |\n")
    if up is not None:
        assert state[0] == up, state
    assert said_ is None or any(w in log for w in said_.split("|")), log[-2000:]
    for word in ("answer to <", KEY):  # whatever is said of a reply, it is not what was in it
        assert word not in log
    if base is not None:
        assert not first or p99(first) <= base + DEADLINE_S + NOISE_S, (base, first[-5:])
        assert not later or p99(later) <= base + (DEADLINE_S + NOISE_S if name in ("20 ms away", "a byte a millisecond") else NOISE_S), (base, later[-5:])
    assert recovery < RECOVERY_S, recovery
    return state


@pytest.mark.parametrize("name", FAULTS)
def test_a_short_fault(bench, name):
    run(bench, name, 0.4, 1.2 if FAULTS[name][3] == 0 else 0.6)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_long_fault(bench, name):
    run(bench, name, 3, 30 if name == "frozen" else 8)
