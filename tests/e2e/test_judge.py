"""Judges in the background: what they say becomes a label, an entry that is no answer goes, and nobody ever hears them."""
import json

import pytest

from client import post, prove, reasons, store, until, user
from conftest import needs_decoder, needs_encoder
from test_cli import run
from test_wrong_hit import ASKED, STORED, admin, explain, feedback
from upstream import Reply, answer

UPSTREAM = {"IBID_JUDGE_GREY": "upstream", "IBID_JUDGE_MODEL": "judge-model", "IBID_JUDGE_WIDTH": "1"}
PRICES = "prices:\n- {model: judge-model, input: 100, output: 1000, source: s, date: 2026-01-31}\n"


def judged(ibid, who="upstream", **labels):
    return {v: ibid.metric(f'ibid_judged_total{{judge="{who}",verdict="{v}"}}') for v in ("yes", "no", "unsure", "failed")}


def cases(upstream):
    return [r for r in upstream.posts() if r.json["model"] == "judge-model"]


def script(upstream, verdict, said="See the page Billing."):
    """The same server answers clients and judges."""
    def reply(request):
        if request.json["model"] == "judge-model":
            return verdict if isinstance(verdict, Reply) else answer(verdict, model="judge-model", usage=(100, 2))
        return answer(said)
    upstream.default = reply


def hit(ibid):
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    r = post(ibid, user(ASKED), key="k")
    assert r.source == "semantic"
    return r


@needs_encoder
@pytest.mark.parametrize("verdict, same", [("Yes.", True), ("No", False)])
def test_a_verdict_is_a_label(make_ibid, upstream, verdict, same):
    script(upstream, verdict)
    ibid = make_ibid(upstream, encoder=True, env=UPSTREAM, config=PRICES + "explain: {questions: show}\n")
    r = hit(ibid)
    assert r.text == "See the page Billing." and b"judge" not in r.body
    until(lambda: judged(ibid)["yes" if same else "no"] == 1, "the verdict")
    d = explain(ibid, r).json
    assert d["judged_by"] == "upstream" and d["judged_same"] is same
    box = admin(ibid, "GET", "/admin/v1/inbox").json
    assert [(p["request"], p["judged_same"], p["judged_by"]) for p in box["pairs"]] == [(d["request"], same, "upstream")]
    # What the upstream was told: both questions, and nobody's credential.
    (case,) = cases(upstream)
    told = case.json["messages"][-1]["content"]
    assert ASKED in told and STORED in told and case.header("authorization") == [] and case.json["max_tokens"] == 16
    # What it cost is in the ledger, and no request of anybody's.
    assert ibid.metric("ibid_judge_usd_total") == pytest.approx(100 * 100e-6 + 2 * 1000e-6)
    # A person has the last word; whether the judge agreed is counted.
    assert feedback(ibid, r, "right").status == 200
    assert ibid.metric(f'ibid_judge_reports_total{{judge="upstream",agrees="{"yes" if same else "no"}"}}') == 1
    ibid.stop()


@needs_encoder
def test_bounded_learns_from_it(make_ibid, upstream):
    script(upstream, "No.")
    ibid = make_ibid(upstream, encoder=True, env={**UPSTREAM, "IBID_CACHE_POLICY": "bounded", "IBID_CACHE_ERROR_MAX": "0.5", "IBID_CACHE_EXPLORE": "0"})
    hit(ibid)
    until(lambda: judged(ibid)["no"] == 1, "the verdict")
    assert admin(ibid, "GET", "/admin/v1/policy").json["all"]["other"] == 1


@needs_encoder
def test_what_is_certain_is_not_judged(make_ibid, upstream):
    script(upstream, "Yes")
    ibid = make_ibid(upstream, encoder=True, env={**UPSTREAM, "IBID_JUDGE_WIDTH": "0"})
    hit(ibid)
    ibid.stop()
    assert cases(upstream) == []


@needs_encoder
def test_budget_deadline_and_words_that_are_none(make_ibid, upstream):
    script(upstream, "Perhaps, who knows?")
    ibid = make_ibid(upstream, encoder=True, env={**UPSTREAM, "IBID_JUDGE_PER_MINUTE": "1"})
    r = hit(ibid)
    until(lambda: judged(ibid)["failed"] == 1, "no verdict")
    assert "judged_by" not in explain(ibid, r).json
    assert post(ibid, user(ASKED + " "), [("x-ibid-cache", "no-cache")], key="k").status == 200
    post(ibid, user("Where can I download the invoice?"), key="k")
    until(lambda: reasons(ibid, "ibid_judge_skipped_total")["budget"] >= 1, "the budget")
    assert len(cases(upstream)) == 1


@needs_encoder
@pytest.mark.parametrize("broken", [Reply(status=500, body=b"{}"), Reply(body=b"{"), Reply(body=b"x" * 100000), Reply(fault="rst", at=0, body=b"xx")])
def test_a_broken_judge_harms_nobody(make_ibid, upstream, broken):
    script(upstream, broken)
    ibid = make_ibid(upstream, encoder=True, env=UPSTREAM)
    hit(ibid)
    until(lambda: judged(ibid)["failed"] == 1, "the failure")
    assert post(ibid, user(STORED), key="k").source == "exact"


@needs_encoder
def test_a_judge_that_hangs_is_given_up(make_ibid, upstream):
    script(upstream, Reply(body=b"{}", fault="stall", at=1))
    ibid = make_ibid(upstream, encoder=True, env={**UPSTREAM, "IBID_JUDGE_DEADLINE_MS": "100"})
    hit(ibid)
    until(lambda: judged(ibid)["failed"] == 1, "the deadline")


@needs_encoder
def test_ibid_ends_while_a_judge_is_asked(make_ibid, upstream):
    script(upstream, Reply(body=b"{}", fault="stall", at=1))
    ibid = make_ibid(upstream, encoder=True, env=UPSTREAM)
    hit(ibid)
    until(lambda: len(cases(upstream)) == 1, "the question")
    ibid.stop()


@needs_encoder
def test_what_may_not_leave_is_not_told(make_ibid, upstream):
    script(upstream, "Yes")
    ibid = make_ibid(upstream, encoder=True, env=UPSTREAM)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    assert post(ibid, user(ASKED), [("x-ibid-cache", "no-store")], key="k").source == "semantic"
    until(lambda: reasons(ibid, "ibid_judge_skipped_total")["private"] == 1, "the count")
    assert cases(upstream) == []


def test_an_answer_that_is_none_goes(make_ibid, upstream):
    script(upstream, "No", said="Bananas are curved.")
    ibid = make_ibid(upstream, env={"IBID_JUDGE_ADMISSION": "upstream", "IBID_JUDGE_MODEL": "judge-model"})
    prove(ibid, "k")
    assert post(ibid, user(STORED), key="k").text == "Bananas are curved."
    until(lambda: ibid.metric("ibid_judge_removed_total") == 1, "the removal")
    assert post(ibid, user(STORED), key="k").source == "upstream"
    until(lambda: ibid.metric("ibid_judge_removed_total") == 2, "the next removal")
    script(upstream, "Yes", said="See the page Billing.")
    assert post(ibid, user(ASKED), key="k").source == "upstream"
    until(lambda: judged(ibid)["yes"] == 1, "the verdict")
    assert post(ibid, user(ASKED), key="k").source == "exact"


@pytest.mark.parametrize("said, why", [("I'm not sure.", "no_answer"), ("The answer is the plant. " * 8, "nonsense"), ("The page Billing.", None)])
def test_strict_stores_no_answer_that_is_none(make_ibid, upstream, said, why):
    upstream.default = lambda r: answer(said)
    ibid = make_ibid(upstream, env={"IBID_JUDGE_STRICT": "on"})
    prove(ibid, "k")
    for _ in range(2):
        assert post(ibid, user(STORED), key="k").text == said
    assert (reasons(ibid, "ibid_cache_unstored_total").get(why, 0) == 2) is (why is not None)
    assert (post(ibid, user(STORED), key="k").source == "exact") is (why is None)


@needs_encoder
@needs_decoder
def test_the_model_here_judges_and_is_not_heard(make_ibid, upstream):
    script(upstream, "Yes")
    ibid = make_ibid(upstream, encoder=True, local=True, env={"IBID_JUDGE_GREY": "local", "IBID_JUDGE_ADMISSION": "local", "IBID_JUDGE_WIDTH": "1", "IBID_JUDGE_SURE": "1"})
    r = hit(ibid)
    assert r.text == "See the page Billing."
    # Two answers were stored (that of the proof was not), and a decision was near.
    until(lambda: sum(judged(ibid, "local").values()) == 2, "the verdicts", timeout=60)
    assert judged(ibid, "local")["failed"] == 0 and ibid.metric("ibid_judge_cpu_seconds_total") > 0
    assert cases(upstream) == [] and ibid.metric("ibid_judge_usd_total") == 0
    assert post(ibid, user(STORED), key="k").source == "exact"


@needs_encoder
@needs_decoder
def test_ibid_ends_while_the_model_here_judges(make_ibid, upstream):
    script(upstream, "Yes")
    ibid = make_ibid(upstream, encoder=True, local=True, env={"IBID_JUDGE_GREY": "local", "IBID_JUDGE_WIDTH": "1"})
    hit(ibid)
    ibid.stop()


@pytest.mark.parametrize("setting, word", [
    ("judge: {grey: upstream}", "judge.model"), ("judge: {admission: upstream, model: m}", "there is no upstream to ask"),
    ("judge: {grey: local}\nlocal: {model: 'off'}", "needs a model on this machine"), ("judge: {grey: maybe}", "judge.grey"),
    ("judge: {grey: local}\nexplain: {bytes_max: 0}", "explain.bytes_max"), ("judge: {sure: 0.4}", "judge.sure")])
def test_a_judge_that_could_not_be_asked_is_refused(tmp_path, setting, word):
    (tmp_path / "ibid.yaml").write_text(setting + "\n")
    done = run("check", "-c", str(tmp_path / "ibid.yaml"))
    assert done.returncode != 0 and word in done.stderr, done.stderr


# --- what a judge is worth ----------------------------------------------------------------------------------


PAIRS = [(STORED, ASKED, True), ("How do I enable the alarm?", "How do I disable the alarm?", False),
         ("Why is the sky blue?", "How do I bake bread?", False), ("Where is the station?", "where is the station", True)]


@pytest.fixture
def pairs(tmp_path):
    (tmp_path / "pairs").write_text("".join(json.dumps({"a": a, "b": b, "same": s}) + "\n" for a, b, s in PAIRS * 3))
    return str(tmp_path / "pairs")


@needs_encoder
def test_the_rules_are_measured(pairs, tmp_path):
    from conftest import MODELS
    done = run("tune", "judge", "--json", "--scores", str(tmp_path / "scores"), pairs, IBID_MODEL_DIR=MODELS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["judge"], found["pairs"], found["same"], found["judged"], found["auc"]) == ("rules", 12, 6, 12, 1)
    assert found["right_with_bias"] == 12
    scores = [float(x) for x in (tmp_path / "scores").read_text().split()]
    assert len(scores) == 12 and min(scores[0::4] + scores[3::4]) > max(scores[1::4] + scores[2::4])
    assert "area under the ROC curve       1.000" in run("tune", "judge", pairs, IBID_MODEL_DIR=MODELS).stdout


@needs_decoder
def test_a_model_is_measured(tmp_path):
    from conftest import MODELS
    pairs = str(tmp_path / "pairs")
    (tmp_path / "pairs").write_text("".join(json.dumps({"a": a, "b": b, "same": s}) + "\n" for a, b, s in PAIRS[:2]))
    done = run("tune", "judge", "-q", "--by", "local", "--json", pairs, IBID_MODEL_DIR=MODELS)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["judge"] == "local" and found["judged"] == 2 and 0 <= found["auc"] <= 1 and found["ms_each"] > 0
    assert "local_bias: " in run("tune", "judge", "-q", "--by", "local", pairs, IBID_MODEL_DIR=MODELS).stdout


def test_answers_by_the_rules(tmp_path):
    path = tmp_path / "answers"
    path.write_text("".join(json.dumps({"a": "Why?", "b": b, "same": s}) + "\n" for b, s in (("Because.", 1), ("I'm not sure.", 0))))
    found = json.loads(run("tune", "judge", "--answers", "--json", str(path)).stdout)
    assert (found["auc"], found["right"]) == (1, 2)


def test_bad_arguments(pairs):
    assert run("tune", "judge").returncode == 2
    assert "neither rules nor local" in run("tune", "judge", "--by", "dice", pairs).stderr
    assert run("tune", "judge", "/nonexistent").returncode == 1
    assert "models pull" in run("tune", "judge", "--by", "local", "-m", "no-such-model", pairs).stderr
