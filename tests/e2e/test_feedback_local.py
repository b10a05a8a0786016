"""What people say of the built-in model's answers becomes what the cascade and the router learn from."""
import json

import pytest

from conftest import MODELS, needs_decoder, needs_encoder
from test_cascade import SURE, both
from test_cli import run
from test_routing import config
from test_small_first import FRESH, lines
from test_tune_router import tune

SIGNS = {"log_p": -1.0}


def feedback(ibid, request, status=200, **more):
    r = ibid.request("POST", "/admin/v1/feedback", json.dumps({"request": request, **more}),
                     headers={"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)
    assert r.status == status, r.body
    return r.json


@needs_decoder
def test_a_report_on_an_answer_that_was_given_out(make_ibid, upstream, tmp_path):
    path = tmp_path / "outcomes"
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, outcomes_file=str(path), outcomes="texts"))
    both(upstream)
    ids = []
    for streamed, headers in ((False, {}), (True, {}), (False, {"x-ibid-cache": "no-store"})):
        r = ibid.chat(f"{SURE} ({len(ids)})", model="auto", max_tokens=20, stream=streamed, headers=headers)
        assert r.source == "local", r.headers
        ids.append(r.headers["x-ibid-request"])
    assert len(set(ids)) == 3 and all(len(i) == 16 for i in ids)
    assert feedback(ibid, ids[0], verdict="wrong") == {"learned": True}
    assert feedback(ibid, ids[1], verdict="right") == {"learned": True}
    assert feedback(ibid, ids[2], verdict="right") == {"learned": True}
    got = lines(path, 3)
    assert [(x["reason"], x["small"]) for x in got] == [("reported", 0), ("reported", 1), ("reported", 1)]
    assert got[0]["question"] == f"{SURE} (0)" and got[0]["said"] and "answered" not in got[0]
    assert "question" not in got[2] and "said" not in got[2], "the client said no-store"
    assert all(x["signs"].keys() == got[0]["signs"].keys() and 0 < x["sure"] < 1 for x in got)
    assert ibid.metric('ibid_outcomes_total{small="right"}') == 2 and ibid.metric('ibid_outcomes_total{small="wrong"}') == 1
    # Once; and of what was never said, nothing is learned.
    feedback(ibid, ids[0], 404, verdict="wrong")
    feedback(ibid, "0123456789abcdef", 404, verdict="wrong")
    feedback(ibid, "short", 404, verdict="right")
    feedback(ibid, ids[1], 404, verdict="wrong", evict=True)
    assert len(lines(path)) == 3


@needs_decoder
def test_without_a_file_nothing_can_be_reported(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01))
    both(upstream)
    r = ibid.chat(SURE, model="auto", max_tokens=20, headers=FRESH)
    assert r.source == "local" and "x-ibid-request" not in r.headers


@needs_encoder
@pytest.mark.parametrize("encoder", [True, False])
def test_the_router_learns_from_outcomes(tmp_path, encoder):
    """Of the lines that have a text and a verdict; the others are passed over, and said to be."""
    path = tmp_path / "outcomes"
    with open(path, "w", encoding="utf-8") as f:
        for i in range(60):
            sums = i % 2 == 0
            q = f"What is {i} times {i + 7}, minus 3?" if sums else f"Name river number {i} of that country."
            f.write(json.dumps({"reason": "escalated_unsure", "signs": SIGNS, "small": int(not sums), "question": q, "said": "a", "answered": "b"}) + "\n")
        f.write(json.dumps({"reason": "escalated_unsure", "signs": SIGNS, "question": "and this?"}) + "\n")
        f.write(json.dumps({"reason": "escalated_unsure", "signs": SIGNS, "small": 1}) + "\n")
        f.write(json.dumps({"prompt": "What is 5 times 8?", "small": 0}) + "\n")
    done = tune(*([] if encoder else ["--no-encoder"]), "--json", "--out", str(tmp_path / "router.json"), str(path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["held_out"]["questions"] == 61 and "2 outcomes without a text" in done.stderr
    apart = [json.loads(run("route", "explain", "--json", q, IBID_MODEL_DIR=MODELS, IBID_ROUTE_MODELS="auto", IBID_ROUTE_CLASSIFIER=str(tmp_path / "router.json")).stdout) for q in
             ("What is 9 times 16, minus 3?", "Name river number 9 of that country.")]
    assert apart[0]["enough"] < apart[1]["enough"]
    path.write_text(json.dumps({"signs": SIGNS}) + "\n")
    done = tune("--no-encoder", str(path))
    assert done.returncode == 1 and "there are no questions in it" in done.stderr
