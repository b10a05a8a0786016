"""Several ibids on one Redis: what one of them has stored, the others find by meaning within a second."""
import signal
import time

import pytest

from client import post, prove, until, user
from conftest import needs_encoder
from wire import ask

pytestmark = needs_encoder

SECRET = "a secret of thirty-two bytes or so"
PLACES = "Lisbon Oslo Vienna Madrid Dublin Prague Warsaw Athens Helsinki Zurich Milan Lyon Porto Ghent Turin Seville Bergen Graz Basel Leeds".split()
THINGS = "invoice parcel voucher contract licence router printer camera keyboard monitor battery charger headset tablet scanner".split()


def question(i):
    return f"How do I return the {THINGS[i % 15]} that I ordered in {PLACES[i // 15]}?"


def paraphrase(i):
    return question(i).replace("How do I", "How can I")


@pytest.fixture
def replica(make_ibid, upstream, redis, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "accept").write_text("k\n")

    def make():
        ibid = make_ibid(upstream, encoder=True, env={
            "IBID_SECRET_FILE": str(tmp_path / "secret"), "IBID_STORE_URL": redis.url, "IBID_STORE_DEADLINE_MS": "1000",
            "IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "accept")})
        until(lambda: ibid.metric("ibid_store_up") == 1 and ibid.metric("ibid_index_ready") == 1, "Redis")
        return ibid
    return make


def indexed(ibid):
    return ibid.metric("ibid_index_entries")


def keep(ibid, i):
    """Stored without a look-up, whatever is near."""
    r = post(ibid, user(question(i)), key="k", headers=[("x-ibid-cache", "no-cache")])
    assert r.status == 200 and r.source == "upstream"
    return r.text


@pytest.mark.parametrize("count", [2, 4])
def test_what_one_stores_is_found_by_all(replica, count):
    ibids = [replica() for _ in range(count)]
    for i, one in enumerate(ibids):
        text = keep(one, i)
        at = time.monotonic()
        for other in ibids:
            until(lambda: indexed(other) == i + 1, "the others to hear of it", timeout=1)
        assert time.monotonic() - at < 1
        for other in ibids:
            hit = post(other, user(paraphrase(i)), key="k")
            assert (hit.source, hit.text) == ("semantic", text)
    for one in ibids:
        assert one.metric("ibid_store_entries_heard_total") == count - 1 and one.metric("ibid_store_newcomers_total") == count - 1


def test_a_burst(replica):
    one, two = replica(), replica()
    texts = [keep(one, i) for i in range(200)]
    for ibid in (one, two):
        until(lambda: indexed(ibid) == 200, "all of them", timeout=90)
        assert ibid.metric("ibid_store_entries_untold_total") == ibid.metric("ibid_store_newcomers_dropped_total") == 0
    hit = post(two, user(paraphrase(199)), key="k")
    assert (hit.source, hit.text) == ("semantic", texts[199])


def test_who_was_away_hears_of_it(replica):
    one, two = replica(), replica()
    two.proc.send_signal(signal.SIGSTOP)
    try:
        keep(one, 0)
        until(lambda: one.metric("ibid_store_entries_told_total") == 1, "the word")
    finally:
        two.proc.send_signal(signal.SIGCONT)
    until(lambda: indexed(two) == 1, "the one that was away", timeout=5)
    assert post(two, user(paraphrase(0)), key="k").source == "semantic"


def test_the_one_that_stored_it_is_killed(replica):
    one, two, three = replica(), replica(), replica()
    text = keep(one, 0)
    until(lambda: one.metric("ibid_store_entries_told_total") == 1, "the word")
    one.kill(9)
    for other in (two, three):
        until(lambda: indexed(other) == 1, "the others", timeout=2)
        assert post(other, user(paraphrase(0)), key="k").text == text
    # One that comes later reads what is there.
    one.start()
    until(lambda: indexed(one) == 1, "the store to be read")
    assert post(one, user(paraphrase(0)), key="k").source == "semantic"


def test_redis_comes_back_without_its_stream(replica, redis):
    one, two = replica(), replica()
    keep(one, 0)
    until(lambda: indexed(two) == 1, "the other", timeout=2)
    redis.command("DEL", "ibid:stored")
    keep(one, 1)
    until(lambda: indexed(two) == 2, "the other", timeout=2)
    # What is no word of ours does no harm.
    redis.command("XADD", "ibid:stored", "*", "n", "1 stored", "m", "x")
    keep(two, 2)
    until(lambda: indexed(one) == 3, "the other", timeout=2)


def test_removed_before_it_was_fetched(replica, redis):
    one, two = replica(), replica()
    two.proc.send_signal(signal.SIGSTOP)
    try:
        keep(one, 0)
        until(lambda: one.metric("ibid_store_entries_told_total") == 1, "the word")
        redis.command("DEL", *redis.command("KEYS", "ibid:e:*"))
    finally:
        two.proc.send_signal(signal.SIGCONT)
    until(lambda: two.metric("ibid_store_entries_heard_total") == 1, "the word", timeout=5)
    assert ask(two, "alive?").status in (200, 401)
    assert indexed(two) == 0 and two.metric("ibid_store_newcomers_dropped_total") == 0
