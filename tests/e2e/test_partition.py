"""Two and four ibids on one Redis, each in a network namespace of its own, with real links between them that can be cut:
what one has stored the others find by meaning within a second; one that is cut off from Redis serves by itself, and
catches up; whichever is killed, and when Redis is started again: nothing is lost at the others, nothing is wrong."""
import random
import time

import pytest

from client import until
from conftest import needs_encoder
from network import BACK, FRONT, FarIbid, Network, why_not
from redis_servers import Server, needs_redis
from test_redis import KEY, private, right
from test_redis_faults import STORED, Load, p99
from test_replicas import SECRET, paraphrase, question
from upstream import Upstream, answer, stream

WHY_NOT = why_not()
pytestmark = [needs_encoder, needs_redis, pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))]


class Scene:
    def __init__(self, tmp):
        self.tmp, self.network = tmp, Network()
        self.upstream, self.redis, self.ibids = None, None, []
        try:
            self.upstream = Upstream(host=f"{FRONT}.1")
            self.upstream.default = lambda r: (stream if r.json.get("stream") else answer)(right(r.json["messages"][-1]["content"]), usage=(3, 5))
            self.redis = Server(tmp / "redis", 6379, [f"bind {BACK}.1 127.0.0.1", "protected-mode no"])
            self.redis.start()
            private(tmp / "secret", SECRET)
            (tmp / "accept").write_text(KEY + "\n")
        except BaseException:
            self.close()
            raise

    def add(self):
        folder = self.tmp / f"ibid{len(self.ibids)}"
        folder.mkdir()
        ibid = FarIbid(self.network, folder, self.upstream, {
            "IBID_SECRET_FILE": str(self.tmp / "secret"), "IBID_UPSTREAM_ACCEPT_FILE": str(self.tmp / "accept"),
            "IBID_STORE_URL": f"redis://{BACK}.1:6379", "IBID_STORE_DEADLINE_MS": "200"})
        self.ibids.append(ibid)
        until(lambda: ibid.metric("ibid_store_up") == 1 and ibid.metric("ibid_index_ready") == 1, "Redis")
        return ibid

    def close(self):
        try:
            for i in self.ibids:
                i.stop()
        finally:
            if self.redis:
                self.redis.kill()
            if self.upstream:
                self.upstream.close()
            self.network.close()


@pytest.fixture
def scene(tmp_path):
    s = Scene(tmp_path)
    yield s
    s.close()


def keep(ibid, i):
    r = ibid.chat(question(i), key=KEY, headers={"x-ibid-cache": "no-cache"})
    assert r.status == 200 and r.source == "upstream" and r.text == right(question(i))


def found(ibid, i):
    r = ibid.chat(paraphrase(i), key=KEY)
    return r.status == 200 and (r.source, r.text) == ("semantic", right(question(i)))


def indexed(ibid):
    return ibid.metric("ibid_index_entries")


@pytest.mark.parametrize("count", [2, 4])
def test_what_one_stores_is_found_by_all(scene, count):
    ibids = [scene.add() for _ in range(count)]
    for i, one in enumerate(ibids):
        keep(one, i)
        for other in ibids:
            until(lambda: indexed(other) == i + 1, "the others to hear of it")
        assert all(found(other, i) for other in ibids)


def test_one_is_cut_off(scene):
    one, two, three = scene.add(), scene.add(), scene.add()
    keep(one, 0)
    until(lambda: indexed(two) == 1, "the others to hear of it", timeout=2)
    assert found(two, 0)  # from now on it has the answer in memory, too
    scene.network.cut(two.n)
    try:
        # It answers by itself, from what it has and from the upstream; only the first wait for Redis.
        times = []
        for i in range(10):
            at = time.monotonic()
            assert two.chat(f"alone {i}", key=KEY).text == right(f"alone {i}")
            times.append(time.monotonic() - at)
        until(lambda: two.metric("ibid_store_up") == 0, "it to see that it is alone", timeout=5)
        assert found(two, 0) and max(times) < 2.0, times
        at = time.monotonic()
        for i in range(10):
            assert two.chat(f"alone {i}", key=KEY).source == "exact"
        known = indexed(two)
        keep(two, 1)
        until(lambda: indexed(two) == known + 1, "its own index", timeout=2)
        assert found(two, 1)
        # The others do not notice.
        keep(one, 2)
        until(lambda: indexed(three) == 2, "the third to hear of it", timeout=2)
        assert found(three, 2)
        for ibid in (one, three):
            assert ibid.metric("ibid_store_up") == 1
        known = indexed(two)
    finally:
        scene.network.join(two.n)
    at = time.monotonic()
    until(lambda: two.metric("ibid_store_up") == 1, "Redis again", timeout=5)
    # What it stored meanwhile the others never had; what they stored it hears now.
    until(lambda: indexed(two) == known + 1, "it to catch up", timeout=5)
    assert found(two, 2) and time.monotonic() - at < 5
    keep(two, 3)
    until(lambda: indexed(one) == 3, "the others to hear of it", timeout=2)
    assert found(one, 3)


@pytest.mark.parametrize("count", [2, 4])
def test_any_is_killed_and_redis_is_started_again(scene, count):
    ibids = [scene.add() for _ in range(count)]
    victim = random.choice(ibids)
    rest = [i for i in ibids if i is not victim]
    for q in STORED:
        assert ibids[0].chat(q, key=KEY).text == right(q)
    loads = [Load(i, rate=20, workers=8) for i in rest]
    time.sleep(0.5)
    victim.kill(9)
    time.sleep(0.5)
    scene.redis.kill()
    time.sleep(0.3)
    scene.redis.start()
    for i in rest:
        until(lambda: i.metric("ibid_store_up") == 1, "Redis again", timeout=5)
    victim.start()
    until(lambda: victim.metric("ibid_store_up") == 1, "Redis", timeout=5)
    time.sleep(0.5)
    for load in loads:
        load.stop()
        assert not load.wrong and not load.lost, (load.wrong[:3], load.lost[:3])
        assert len(load.samples) > 20 and p99(load.took(0, time.monotonic())) < 2
    until(lambda: victim.metric("ibid_index_ready") == 1, "what is there to be read", timeout=10)
    time.sleep(1)  # what the load has stored last is heard of
    known = indexed(victim)
    keep(rest[0], 0)
    until(lambda: indexed(victim) == known + 1, "the one that was killed", timeout=2)
    assert found(victim, 0)
