"""The same question at several ibids on one Redis, at once: one of them asks the upstream, the others wait for its
answer, by a lease in Redis. Whatever happens to the one that asks, or to Redis: everybody is answered, and rightly."""
import signal
import socket
import threading
import time

import pytest

from client import Gate, until
from test_redis import KEY, answering, env, right, wait_up  # noqa: F401
from test_shutdown import base_env, start_failing
from upstream import Reply, answer, stream
from wire import chat_bytes

ASK = "What is the same for all?"


@pytest.fixture
def replicas(make_ibid, upstream, redis, env):  # noqa: F811
    answering(upstream)

    def make(count=2, **more):
        made = [make_ibid(upstream, env=env | {"IBID_STORE_URL": redis.url, "IBID_STORE_DEADLINE_MS": "1000"} | more) for _ in range(count)]
        for i in made:
            wait_up(i)
        return made
    return make


class Crowd:
    """`count` clients of one ibid ask the same at once. What they got: (source, text), or the exception."""

    def __init__(self, ibid, count, question=ASK, **fields):
        self.got, self.lock = [], threading.Lock()
        self.threads = [threading.Thread(target=self._one, args=(ibid, question, fields)) for _ in range(count)]
        for t in self.threads:
            t.start()

    def _one(self, ibid, question, fields):
        try:
            r = ibid.chat(question, key=KEY, **fields)
            got = (r.source, r.text if r.status == 200 else r.status)
        except OSError as e:
            got = ("lost", repr(e))
        except Exception as e:  # a connection that was cut in the middle
            got = ("lost", repr(e))
        with self.lock:
            self.got.append(got)

    def wait(self):
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), "a client was not answered"
        return self.got


def leases(ibid):
    out = {}
    for line in ibid.admin("/metrics").body.decode().splitlines():
        if line.startswith("ibid_leases_total{"):
            out[line.split('"')[1]] = int(line.rsplit(" ", 1)[1])
    return out


def held(redis):
    return redis.command("KEYS", "ibid:l:*")


@pytest.mark.parametrize("count", [2, 4])
def test_one_call_for_all(replicas, upstream, redis, count):
    made = replicas(count)
    upstream.default = lambda r: answer(right(ASK), delay=1.0)
    crowds = [Crowd(i, 50) for i in made]
    got = [g for c in crowds for g in c.wait()]
    assert len(upstream.posts()) == 1
    assert {text for _, text in got} == {right(ASK)} and len(got) == 50 * count
    sources = [s for s, _ in got]
    assert sources.count("upstream") == 1 and set(sources) <= {"upstream", "coalesced", "exact"}
    said = [leases(i) for i in made]
    assert sum(s["led"] for s in said) == 1 and sum(s["joined"] for s in said) == count - 1 and not any(s["alone"] for s in said)
    until(lambda: not held(redis), "the lease to be given back", timeout=1)


def test_an_answer_longer_than_the_lease(replicas, upstream):
    """Who asks renews it, and a stream is waited for to its end."""
    one, two = replicas(IBID_CACHE_LEASE_MS="300")
    upstream.default = lambda r: stream("a b c d e f g h", usage=(3, 5), pieces=90, gap=0.12) if r.json.get("stream") else answer("not this")
    first = threading.Thread(target=lambda: one.chat(ASK, key=KEY, stream=True))
    first.start()
    until(lambda: upstream.posts(), "the call")
    at = time.monotonic()
    got = Crowd(two, 10).wait()
    first.join()
    assert time.monotonic() - at > 0.6, "the stream was too short for this test"
    assert {s for s, _ in got} == {"coalesced"} and {t for _, t in got} == {"a b c d e f g h"} and len(upstream.posts()) == 1


def test_the_one_that_asks_is_killed(replicas, upstream):
    one, two = replicas(IBID_CACHE_LEASE_MS="1000")
    gate = Gate(answer(right(ASK)))
    upstream.script = [gate, answer(right(ASK))]
    lost = Crowd(one, 50)
    assert gate.asked.wait(10)
    crowd = Crowd(two, 50)
    until(lambda: two.metric("ibid_store_gets_total") >= 3, "it to look for the answer")
    at = time.monotonic()
    one.kill(signal.SIGKILL)
    got = crowd.wait()
    took = time.monotonic() - at
    gate.open()
    assert {text for _, text in got} == {right(ASK)} and len(got) == 50
    assert len(upstream.posts()) == 2 and took < 1.0 + 1.5, took  # the lease's time, and some
    assert {s for s, _ in lost.wait()} == {"lost"}  # as clients of a killed server see it
    one.start()


def test_the_one_that_asks_hangs(replicas, upstream):
    """It comes back with its answer when another has asked already: no harm."""
    one, two = replicas(IBID_CACHE_LEASE_MS="300")
    gate = Gate(answer(right(ASK)))
    upstream.script = [gate, answer(right(ASK))]
    first = Crowd(one, 5)
    assert gate.asked.wait(10)
    one.proc.send_signal(signal.SIGSTOP)
    try:
        got = Crowd(two, 5).wait()
    finally:
        one.proc.send_signal(signal.SIGCONT)
    gate.open()
    got += first.wait()
    assert {text for _, text in got} == {right(ASK)} and len(got) == 10 and len(upstream.posts()) == 2


def test_an_answer_that_is_not_kept(replicas, upstream, redis):
    """An error, or a truncated answer, is one client's: the next replica asks at once, not at the lease's end."""
    one, two = replicas(IBID_CACHE_LEASE_MS="60000")
    gate = Gate(Reply(status=500, body=b'{"error": {"message": "no"}}'))
    upstream.script = [gate, answer(right(ASK))]
    first = Crowd(one, 1)
    assert gate.asked.wait(10)
    second = Crowd(two, 20)
    until(lambda: two.metric("ibid_store_gets_total") >= 3, "it to look for the answer")
    at = time.monotonic()
    gate.open()
    assert {text for _, text in second.wait()} == {right(ASK)} and time.monotonic() - at < 3
    assert first.wait() == [("upstream", 500)] and len(upstream.posts()) == 2
    until(lambda: not held(redis), "the lease to be given back", timeout=1)


def test_a_client_that_leaves_passes_it_on(replicas, upstream):
    one, two = replicas()
    gate = Gate(answer(right(ASK)))
    upstream.script = [gate, answer(right(ASK))]
    leaver = socket.create_connection(("127.0.0.1", one.port))
    leaver.sendall(chat_bytes(ASK, key=KEY))
    assert gate.asked.wait(10)
    rest, other = Crowd(one, 5), Crowd(two, 5)
    time.sleep(0.3)
    leaver.close()
    got = rest.wait() + other.wait()
    gate.open()
    assert {text for _, text in got} == {right(ASK)} and len(upstream.posts()) == 2


@pytest.mark.parametrize("what", ["killed", "frozen"])
def test_redis_goes_meanwhile(replicas, upstream, redis, what):
    one, two = replicas(IBID_STORE_DEADLINE_MS="50")
    gate = Gate(answer(right(ASK)))
    upstream.script = [gate, answer(right(ASK))]
    first = Crowd(one, 10)
    assert gate.asked.wait(10)
    second = Crowd(two, 10)
    until(lambda: two.metric("ibid_store_gets_total") >= 3, "it to look for the answer")
    at = time.monotonic()
    redis.stop() if what == "killed" else redis.signal(signal.SIGSTOP)
    try:
        assert {text for _, text in second.wait()} == {right(ASK)} and time.monotonic() - at < 2
        gate.open()
        assert {text for _, text in first.wait()} == {right(ASK)}
        assert len(upstream.posts()) == 2 and leases(two)["alone"] == 1
    finally:
        redis.signal(signal.SIGCONT) if what == "frozen" else redis.start()


def test_off_everybody_asks_for_themselves(replicas, upstream, redis):
    one, two = replicas(IBID_CACHE_LEASE_MS="0")
    upstream.default = lambda r: answer(right(ASK), delay=0.5)
    crowds = [Crowd(one, 5), Crowd(two, 5)]
    for c in crowds:
        c.wait()
    assert len(upstream.posts()) == 2 and not held(redis) and leases(one) == {"led": 0, "joined": 0, "alone": 0}


def test_a_stranger_does_not_wait(make_ibid, upstream, redis, env):  # noqa: F811
    """In a shared space too a credential that its upstream has not accepted gets nobody's answer, and holds nobody up."""
    answering(upstream)
    more = env | {"IBID_STORE_URL": redis.url, "IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "all"}
    one, two = make_ibid(upstream, env=more), make_ibid(upstream, env=more)
    wait_up(one)
    wait_up(two)
    gate = Gate(answer(right(ASK)))
    upstream.script = [gate, Reply(status=401, body=b'{"error": {"message": "who?"}}')]
    first = Crowd(one, 1)
    assert gate.asked.wait(10)
    r = two.chat(ASK, key="sk-stranger")
    assert r.status == 401 and r.source == "upstream" and leases(two) == {"led": 0, "joined": 0, "alone": 0}
    gate.open()
    assert first.wait() == [("upstream", right(ASK))]


def test_a_lease_too_short_is_refused(tmp_path):
    done = start_failing(base_env(tmp_path) | {"IBID_CACHE_LEASE_MS": "299"})
    assert done.returncode == 2 and "cache.lease_ms" in done.stderr and "300" in done.stderr
