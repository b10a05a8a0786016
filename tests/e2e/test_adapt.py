"""cache.adapt: what comes in a partition moves P(same) there, and nowhere else."""
import json

import pytest

from client import post, prove, serving, store, user
from conftest import needs_encoder

pytestmark = needs_encoder

STORED, ASKED = "Where can I download my invoice?", "Where do I download my invoice?"
FRAME = "How do I open a savings account with %d free transfers each month?"
SAME = ["How do I change my password?", "How can I change my password?", "How could I change my password?",
        "how do i change my password", "How may I change my password?"]
TO = 'ibid_cache_adapted_total{to="%s"}'


def fresh(ibid, text, key, least=None):
    """Asks, and leaves no trace; with the threshold that the caller asks for."""
    more = [] if least is None else [("x-ibid-threshold", "%.4f" % least)]
    return post(ibid, user(text), [("x-ibid-cache", "no-store"), *more], key=key)


def explain(ibid, r):
    token = {"authorization": f"Bearer {ibid.token()}"}
    return json.loads(ibid.request("GET", f"/admin/v1/explain/{r.headers['x-ibid-request']}", None, token,
                                   port=ibid.admin_port).body)


def exact_metric(ibid, name):
    for line in ibid.admin("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


def begin(ibid, key):
    """What a new partition makes of the pair."""
    prove(ibid, key)
    store(ibid, user(STORED), key=key)
    return explain(ibid, fresh(ibid, ASKED, key))


def frames(ibid, key, times):
    store(ibid, user(FRAME % 5), key=key)
    for i in range(times):
        r = fresh(ibid, FRAME % (6 + i), key)
        assert r.source == "upstream", r.headers


def rewordings(ibid, key, times):
    store(ibid, user(SAME[0]), key=key)
    for i in range(times):
        fresh(ibid, SAME[1 + i % (len(SAME) - 1)], key)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("adapt"), encoder=True) as both:
        yield both[0]


def test_frames_make_a_partition_stricter_and_rewordings_looser(shared):
    new = begin(shared, "new")
    assert new["hit"] and new["traffic"] == {"lookups": 0, "refused": 0, "moved": 0}
    p = new["probability"]

    begin(shared, "frames")
    frames(shared, "frames", 40)
    seen = explain(shared, fresh(shared, ASKED, "frames"))
    assert seen["traffic"]["refused"] >= 40 and seen["traffic"]["moved"] < -0.2
    assert seen["probability"] < p - 0.002
    hits, misses = exact_metric(shared, TO % "hit"), exact_metric(shared, TO % "miss")
    assert fresh(shared, ASKED, "frames", p - 0.001).source == "upstream"
    assert exact_metric(shared, TO % "miss") == misses + 1

    begin(shared, "reworded")
    rewordings(shared, "reworded", 60)
    seen = explain(shared, fresh(shared, ASKED, "reworded"))
    assert seen["traffic"]["refused"] == 0 and 0.1 < seen["traffic"]["moved"] <= 0.25
    assert seen["probability"] > p
    between = (p + seen["probability"]) / 2
    hits = exact_metric(shared, TO % "hit")
    assert fresh(shared, ASKED, "reworded", between).source == "semantic"
    assert exact_metric(shared, TO % "hit") == hits + 1
    # A guard's refusal stays one, whatever came before.
    assert fresh(shared, "Where do I upload my invoice?", "reworded").source == "upstream"

    # Each partition for itself: one that is new is what it was.
    again = begin(shared, "newer")
    assert again["traffic"]["lookups"] == 0 and again["probability"] == p
    assert exact_metric(shared, "ibid_cache_adapted_partitions") >= 4


def test_strangers_make_nothing_looser(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_STRANGERS": "yes"})
    p = begin(ibid, "k")["probability"]
    rewordings(ibid, "k", 60)
    seen = explain(ibid, fresh(ibid, ASKED, "k"))
    assert seen["traffic"]["moved"] == 0 and seen["probability"] == p and seen["traffic"]["lookups"] >= 60
    frames(ibid, "k", 60)
    seen = explain(ibid, fresh(ibid, ASKED, "k"))
    assert seen["traffic"]["moved"] < 0 and seen["probability"] < p


@pytest.mark.parametrize("off", [{"IBID_CACHE_ADAPT": "off"}, {"IBID_CACHE_POLICY_PARTITIONS_MAX": "0"}])
def test_off_decides_all_alike(make_ibid, upstream, off):
    ibid = make_ibid(upstream, encoder=True, env=off)
    p = begin(ibid, "k")["probability"]
    frames(ibid, "k", 20)
    seen = explain(ibid, fresh(ibid, ASKED, "k"))
    assert seen["traffic"] == {"lookups": 0, "refused": 0, "moved": 0} and seen["probability"] == p
    assert exact_metric(ibid, "ibid_cache_adapted_partitions") == 0
