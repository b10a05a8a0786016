"""Small first, rung by rung: each model's answer is judged, voted on and hedged for itself."""
import json
import time

import pytest

from client import said, until
from conftest import needs_decoder
from test_cascade import SURE, both
from test_routing import config, routed
from test_small_first import FRESH, STORY, learned, lines, signs  # noqa: F401 (fixtures)
from test_tiers import SMALL, ask, random_model, settings
from upstream import Reply, answer

pytestmark = needs_decoder


def ladder(tmp_path, here=None, **route):
    return settings([random_model(tmp_path, **(here or {}))], ladder=["tiny", SMALL], models="auto", **route)


def idle(ibid):
    until(lambda: ibid.metric("ibid_local_sequences") == 0, "the end of what was written")


def test_each_is_judged_by_the_calibration(make_ibid, upstream, tmp_path, learned):
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, cascade=learned, confidence_min=0.5, outcomes_file=str(path)))
    both(upstream)
    for streamed in (False, True):
        r = ask(ibid, "auto", SURE, max_tokens=60, stream=streamed)
        assert r.source == "local" and "Paris" in (said(r.body) if streamed else r.text) and f'model="{SMALL}"' in r.headers["x-ibid-made"]
        assert r.headers["x-ibid-route"].startswith("local; reason=escalated_") and "sure=0." in r.headers["x-ibid-route"]
    # The line of a model is its own where it has one: here any answer is good.
    ibid.stop()
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, {"confidence_min": 1e-9, "max_tokens": 200}, cascade=learned, confidence_min=0.9))
    r = ask(ibid, "auto", SURE, max_tokens=8)
    assert r.json["model"] == "tiny" and r.headers["x-ibid-route"].startswith("local; reason=first; sure=0.")
    assert not upstream.posts()


def test_all_that_are_asked_are_named_when_another_was_learned_from(make_ibid, upstream, tmp_path, learned):
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, cascade=learned))
    assert "not of tiny" in json.dumps(ibid.admin("/readyz").json)


def test_what_is_checked_is_checked_by_the_upstream(make_ibid, upstream, tmp_path):
    """Another small model knows no better."""
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, {"max_tokens": 200}, confidence_min=1e-9, explore=1, outcomes_file=str(path)))
    both(upstream)
    r = ask(ibid, "auto", SURE, max_tokens=8, headers=())
    assert r.source == "upstream" and "reason=escalated_explored" in r.headers["x-ibid-route"]
    assert lines(path, 1)[0]["reason"] == "escalated_explored" and routed(ibid)[("local", "first")] == 1


def test_each_votes(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, {"max_tokens": 200}, confidence_min=0.3, vote=4))
    both(upstream)
    for streamed in (False, True):
        r = ask(ibid, "auto", SURE, max_tokens=30, stream=streamed)
        assert r.source == "local" and "Paris" in (said(r.body) if streamed else r.text)
    assert 6 < ibid.metric("ibid_vote_samples_total") <= 12
    idle(ibid)


@pytest.mark.parametrize("form", [{}, {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["red", "green"]}}}}])
def test_samples_of_a_model_that_failed_end_beside_the_next_one(make_ibid, upstream, tmp_path, form):
    """Its context is too small after all; the form they write by lives as long as the last of them."""
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, {"context_max": 64, "max_tokens": 8}, confidence_min=1e-9, vote=8))
    both(upstream)
    for streamed in (False, True):
        r = ask(ibid, "auto", "x q z j " * 30, max_tokens=30, stream=streamed, **form)
        assert r.source == "local" and r.headers["x-ibid-route"].startswith("local; reason=escalated_context")
    idle(ibid)
    assert ask(ibid, "auto", SURE, max_tokens=60).status == 200


def test_the_upstream_is_asked_once_beside_all_of_them(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, confidence_min=0.7, hedge_ms=1, vote=2))

    def slow(_):
        time.sleep(6)
        return answer("from afar")
    upstream.default = slow
    r = ask(ibid, "auto", SURE, max_tokens=60)
    assert r.source == "local" and "Paris" in r.text and r.headers["x-ibid-route"].startswith("local; reason=escalated_")
    until(lambda: ibid.metric('ibid_hedges_total{won="local"}') == 1, "the count")
    assert len(upstream.posts()) == 1
    idle(ibid)


def test_whom_none_of_them_answers_waits_for_the_upstream(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, local=True, config=ladder(tmp_path, confidence_min=1, hedge_ms=1))

    def slow(_):
        time.sleep(3)
        return answer("from afar")
    upstream.default = slow
    r = ask(ibid, "auto", SURE, max_tokens=30)
    assert r.source == "upstream" and r.text == "from afar" and "reason=escalated_" in r.headers["x-ibid-route"]
    assert len(upstream.posts()) == 1


def test_the_upstream_may_be_first_while_a_model_is_read(make_ibid, upstream, tmp_path):
    """Nobody waits for the model then."""
    here = random_model(tmp_path, max_tokens=200, load="demand")
    ibid = make_ibid(upstream, local=True, config=settings([here], ladder=[SMALL, "tiny"], models="auto", confidence_min=1, hedge_ms=1))

    def slow(_):
        time.sleep(0.3)
        return answer("from afar")
    upstream.default = slow
    for _ in range(4):
        r = ask(ibid, "auto", SURE, max_tokens=30)
        assert r.source == "upstream" and r.text == "from afar"
    assert len(upstream.posts()) == 4
    idle(ibid)
    assert ask(ibid, "tiny", max_tokens=8).status == 200


def test_a_model_that_writes_beside_keeps_its_deadline(make_ibid, upstream):
    """The upstream's head and end do not touch it, nor does a second place that would be asked."""
    both_hedges = {**json.loads(config(confidence_min=0.01, hedge_ms=1, deadline_ms=400)), "upstream": {"hedge_after_ms": 20, "hedge_share": 1}}
    ibid = make_ibid(upstream, local=True, config=json.dumps(both_hedges))
    upstream.default = lambda r: Reply(status=500, body=b"{}")
    t0 = time.monotonic()
    r = ibid.chat(STORY, model="auto", max_tokens=2000, headers=FRESH)
    assert r.status == 500 and r.source == "upstream" and time.monotonic() - t0 < 10
    assert "reason=escalated_timeout" in r.headers["x-ibid-route"]
    idle(ibid)


def test_both_hedges(make_ibid, upstream):
    """Beside the model one place is asked; where the upstream alone is left, a second one."""
    both_hedges = {**json.loads(config(confidence_min=1, hedge_ms=5000)), "upstream": {"hedge_after_ms": 50, "hedge_share": 1}}
    ibid = make_ibid(upstream, local=True, config=json.dumps(both_hedges))
    seen = []

    def first_is_slow(_):
        seen.append(1)
        if len(seen) == 1:
            time.sleep(3)
        return answer("from afar")
    upstream.default = first_is_slow
    t0 = time.monotonic()
    r = ibid.chat(SURE, model="auto", max_tokens=8)
    assert r.source == "upstream" and r.text == "from afar" and "reason=escalated_" in r.headers["x-ibid-route"]
    assert time.monotonic() - t0 < 3 and len(seen) == 2
