"""What looks at the built-in model's answers: a calibration, what is written down of them, votes, hedges, and the
profiles by which a small model is asked."""
import json
import os
import random
import re
import time

import pytest

from client import prove, said, until
from conftest import needs_decoder
from test_cascade import SURE, UNSURE, both
from test_cli import run
from test_routing import config, routed
from upstream import Reply, answer, stream

pytestmark = needs_decoder
STORY = "Write a long story about a river and a mill."
FRESH = {"x-ibid-cache": "no-cache, no-store"}


def lines(path, n=0):
    """The n-th is written when the upstream's answer has ended, which its reader may see before."""
    until(lambda: n == 0 or path.exists() and len(path.read_text().splitlines()) >= n, f"{n} lines")
    return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(path, signs, n, seed):
    """Right where the tokens were likely, nine times of ten."""
    draw = random.Random(seed)
    with open(path, "w", encoding="utf-8") as f:
        for _ in range(n):
            log_p = -2 * draw.random()
            right = (log_p > -1) == (draw.random() < 0.95)
            f.write(json.dumps({"signs": {**signs, "log_p": log_p}, "small": right}) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    """The signs that this version knows, by the file that ships."""
    from conftest import ROOT
    return dict.fromkeys(json.loads((ROOT / "deploy/cascade.json").read_text())["weight"], 0.5)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, signs):
    d = tmp_path_factory.mktemp("cascade")
    done = run("tune", "cascade", "--out", str(d / "cascade.json"), "--models", "smollm2-135m-instruct", outcomes(d / "o", signs, 400, 1))
    assert done.returncode == 0, done.stderr
    return str(d / "cascade.json")


def test_a_calibration_says_how_likely_it_is_right(make_ibid, upstream, learned):
    ibid = make_ibid(upstream, local=True, config=config(cascade=learned, confidence_min=0.5))
    both(upstream)
    near, far = (ibid.chat(SURE, model="auto", max_tokens=60, temperature=t, top_p=1, seed=4, headers=FRESH) for t in (0, 2))
    assert (near.source, far.source) == ("local", "upstream")
    # Tokens that were drawn at such a temperature had little chance.
    assert float(near.headers["x-ibid-route"].split("sure=")[1]) > 0.5 > float(far.headers["x-ibid-route"].split("sure=")[1])
    assert far.headers["x-ibid-route"].startswith("upstream; reason=escalated_unsure")
    assert b"cascade" not in ibid.admin("/readyz").body


def test_the_tolerated_loss_draws_the_line(make_ibid, upstream, learned):
    """All is good enough where everything may be lost, and nothing where nothing may."""
    for loss, source in ((1, "local"), (0, "upstream")):
        ibid = make_ibid(upstream, local=True, config=config(cascade=learned, quality_loss_max=loss))
        both(upstream)
        assert ibid.chat(UNSURE, model="auto", max_tokens=20).source == source
        ibid.stop()


def test_what_ships_is_used_for_its_models(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(cascade="default"))
    both(upstream)
    r = ibid.chat(UNSURE, model="auto", max_tokens=60)
    assert r.source == "upstream" and "reason=escalated_unsure; sure=0." in r.headers["x-ibid-route"]
    assert "route.cascade" not in ibid.read_log()


def test_another_models_calibration_is_a_guess(make_ibid, upstream, learned, tmp_path):
    other = json.loads(open(learned, encoding="utf-8").read()) | {"models": "a-larger-model"}
    (tmp_path / "other.json").write_text(json.dumps(other))
    ibid = make_ibid(upstream, local=True, config=config(cascade=str(tmp_path / "other.json")))
    assert "route.cascade was learned from answers of a-larger-model, not of smollm2-135m-instruct" in ibid.read_log()


@pytest.mark.parametrize("text,why", [("{}", "it is no file of 'ibid tune cascade'"), (None, "No such file")])
def test_a_bad_calibration_is_named(tmp_path, text, why):
    path = tmp_path / "bad.json"
    if text is not None:
        path.write_text(text)
    done = run("serve", IBID_ROUTE_CASCADE=str(path), IBID_ROUTE_MODELS="auto", IBID_DATA_DIR=str(tmp_path / "data"), IBID_ENCODER_MODEL="off",
               IBID_LISTEN="127.0.0.1:0", IBID_ADMIN_LISTEN="127.0.0.1:0")
    assert done.returncode != 0 and "route.cascade" in done.stderr and why in done.stderr


def test_what_came_of_it_is_written_down(make_ibid, upstream, tmp_path):
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, outcomes_file=str(path)))
    n = 0
    for text, small in (("Paris", 1), ("Lyon", 0)):
        upstream.default = lambda r, text=text: stream(text) if r.json.get("stream") else answer(text)
        for streamed in (False, True):
            assert said_of(ibid.chat(SURE, model="auto", max_tokens=20, stream=streamed, headers={"x-ibid-cache": "no-cache"}), streamed) == text
            n += 1
            row = lines(path, n)[-1]
            assert row["reason"] == "escalated_unsure" and 0 < row["sure"] < 1 and row["signs"]["tokens"] > 0
            assert row["small"] == small
            assert "question" not in row and "said" not in row
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert ibid.metric('ibid_outcomes_total{small="right"}') == ibid.metric('ibid_outcomes_total{small="wrong"}') == 2
    # What ibid wrote, ibid can learn from: but for the number of lines.
    done = run("tune", "cascade", str(path))
    assert done.returncode == 1 and "4 outcomes of which it is known whether they were right are too few" in done.stderr


def said_of(r, streamed):
    return said(r.body) if streamed else r.text


def test_texts_only_where_asked_for_and_never_what_may_not_be_kept(make_ibid, upstream, tmp_path):
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=json.dumps({
        "route": {"models": "auto", "classifier": "off", "confidence_min": 1, "outcomes_file": str(path), "outcomes": "texts"}, "privacy": {"action": "count"}}))
    upstream.default = lambda r: answer("Paris")
    ask = lambda q, **kw: ibid.chat(q, model="auto", max_tokens=20, **kw)
    ask(SURE)
    assert lines(path, 1)[0]["question"] == SURE and lines(path)[0]["answered"] == "Paris" and "Paris" in lines(path)[0]["said"]
    ask(SURE + "?", headers={"x-ibid-cache": "no-store"})
    ask("Write to anna@example.com, please.")
    assert len(lines(path, 3)) == 3 and all("question" not in row for row in lines(path)[1:])
    assert "anna" not in path.read_text()


def test_the_file_of_outcomes_is_bounded(make_ibid, upstream, tmp_path):
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, outcomes_file=str(path), outcomes_bytes_max="2KiB"))
    both(upstream)
    for i in range(6):
        assert ibid.chat(f"{SURE} {i}", model="auto", max_tokens=8).source == "upstream"
    until(lambda: ibid.metric("ibid_outcomes_lost_total") + len(lines(path)) == 6, "all six")
    assert 0 < path.stat().st_size <= 2048 and len(lines(path)) in (1, 2)


def test_a_place_that_can_not_be_written_costs_no_answer(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, outcomes_file=str(tmp_path / "no/where")))
    both(upstream)
    assert ibid.chat(SURE, model="auto", max_tokens=8).source == "upstream"
    assert b"outcomes" in ibid.admin("/readyz").body and "route.outcomes_file: cannot write" in ibid.read_log()


def test_some_of_the_good_ones_are_checked(make_ibid, upstream, tmp_path):
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, explore=1, outcomes_file=str(path)))
    upstream.default = lambda r: answer("Paris")
    r = ibid.chat(SURE, model="auto", max_tokens=20)
    assert r.source == "upstream" and "reason=escalated_explored" in r.headers["x-ibid-route"]
    assert lines(path, 1)[0]["reason"] == "escalated_explored" and lines(path)[0]["small"] == 1


def test_a_vote(make_ibid, upstream, tmp_path):
    path = tmp_path / "outcomes.jsonl"
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, vote=4))
    both(upstream)
    for streamed in (False, True):
        r = ibid.chat(SURE, model="auto", max_tokens=40, stream=streamed, headers=FRESH)
        assert r.source == "local" and "Paris" in said_of(r, streamed)
    assert ibid.metric("ibid_vote_samples_total") == 6
    assert ibid.metric('ibid_votes_total{chosen="first"}') + ibid.metric('ibid_votes_total{chosen="other"}') == 2
    ibid.stop()
    # How many said so is a sign.
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, vote=4, outcomes_file=str(path)))
    ibid.chat(SURE, model="auto", max_tokens=40)
    assert lines(path, 1)[0]["signs"]["votes"] in (0.25, 0.5, 0.75, 1)


def test_a_vote_for_json(make_ibid, upstream):
    """All samples are written by the schema, which lives as long as the last of them."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1e-9, vote=8))
    both(upstream)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["red", "green", "blue"]}}}
    r = ibid.chat("Which colour has grass?", model="auto", max_tokens=40, response_format=form)
    assert r.source == "local" and r.json["choices"][0]["message"]["content"] in ('"red"', '"green"', '"blue"')


def test_a_vote_that_takes_too_long(make_ibid, upstream):
    """Once: the samples that still come in are nobody's business."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, vote=4, deadline_ms=50))
    both(upstream)
    for streamed in (False, True):
        r = ibid.chat(STORY, model="auto", max_tokens=400, stream=streamed, headers=FRESH)
        assert r.source == "upstream" and "reason=escalated_timeout" in r.headers["x-ibid-route"]
    assert len(upstream.posts()) == 2
    until(lambda: ibid.metric("ibid_local_sequences") == 0, "the samples' end")


def test_a_client_that_leaves_a_vote(make_ibid, upstream):
    import socket
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, vote=4))
    both(upstream)
    body = json.dumps({"model": "auto", "max_tokens": 400, "messages": [{"role": "user", "content": "Write a long story about a river."}],
                       "response_format": {"type": "json_object"}}).encode()
    with socket.create_connection(("127.0.0.1", ibid.port)) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        time.sleep(0.3)
    until(lambda: ibid.metric("ibid_local_sequences") == 0, "the samples' end")
    assert ibid.chat(SURE, model="auto", max_tokens=20).source == "local"




def test_the_upstream_is_asked_beside(make_ibid, upstream):
    """The first good answer is given out: the upstream's, where the built-in model takes its time."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, hedge_ms=20))
    both(upstream)
    for streamed in (False, True):
        r = ibid.chat(STORY, model="auto", max_tokens=400, stream=streamed, headers=FRESH)
        assert r.source == "upstream" and said_of(r, streamed) == "from afar" and r.headers["x-ibid-route"] == "upstream; reason=hedged"
    assert ibid.metric('ibid_hedges_total{won="upstream"}') == 2 and ibid.metric('ibid_hedges_total{won="local"}') == 0
    assert routed(ibid)[("upstream", "hedged")] == 2
    until(lambda: ibid.metric("ibid_local_sequences") == 0, "the built-in model's end")


def test_a_hedge_among_votes(make_ibid, upstream):
    """Everything that runs beside ends, whoever was first."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, hedge_ms=20, vote=4))
    both(upstream)
    assert ibid.chat(STORY, model="auto", max_tokens=400, headers=FRESH).headers["x-ibid-route"] == "upstream; reason=hedged"
    until(lambda: ibid.metric("ibid_local_sequences") == 0, "the samples' end")
    assert ibid.metric("ibid_votes_total{chosen=\"first\"}") == 0


def test_a_client_that_leaves_a_hedge(make_ibid, upstream):
    import socket
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, hedge_ms=1))
    upstream.default = lambda r: Reply(delay=3, body=b"{}")
    body = json.dumps({"model": "auto", "max_tokens": 400, "messages": [{"role": "user", "content": STORY}]}).encode()
    with socket.create_connection(("127.0.0.1", ibid.port)) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: upstream.posts(), "the question")
    until(lambda: ibid.metric("ibid_local_sequences") == 0, "the model's end")


def test_shutting_down_in_the_middle_of_a_hedge(make_ibid, upstream):
    import threading
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, hedge_ms=1), env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "200"})
    upstream.default = lambda r: Reply(delay=20, body=b"{}")
    got = []
    asked = threading.Thread(target=lambda: got.append(ibid.chat(STORY + " Make it very, very long.", model="auto", max_tokens=2000)))
    asked.start()
    until(lambda: upstream.posts(), "the question")
    ibid.stop()
    asked.join()
    assert got and (got[0].status == 503 or got[0].source == "local")


def test_the_built_in_model_may_still_be_first(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, hedge_ms=1))

    def slow(_):
        time.sleep(8)
        return answer("from afar")
    upstream.default = slow
    t0 = time.monotonic()
    r = ibid.chat(SURE, model="auto", max_tokens=20, headers=FRESH)
    assert r.source == "local" and "Paris" in r.text and time.monotonic() - t0 < 8
    until(lambda: ibid.metric('ibid_hedges_total{won="local"}') == 1, "the count")
    assert r.headers["x-ibid-route"].startswith("local; reason=first; sure=")


def test_where_it_is_unsure_the_upstream_is_waited_for(make_ibid, upstream):
    """It is asked once."""
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, hedge_ms=1))

    def slow(_):
        time.sleep(2)
        return answer("from afar")
    upstream.default = slow
    r = ibid.chat(SURE, model="auto", max_tokens=8, headers=FRESH)
    assert r.source == "upstream" and r.text == "from afar" and "reason=escalated_unsure" in r.headers["x-ibid-route"]
    assert len(upstream.posts()) == 1


def test_an_error_is_no_good_answer(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=0.01, hedge_ms=1))
    upstream.default = lambda r: Reply(status=500, body=b"{}")
    r = ibid.chat(SURE, model="auto", max_tokens=20, headers=FRESH)
    assert r.source == "local" and "Paris" in r.text
    ibid.stop()
    # Where both are none, the client has the upstream's word.
    ibid = make_ibid(upstream, local=True, config=config(confidence_min=1, hedge_ms=1))
    r = ibid.chat(SURE, model="auto", max_tokens=20, headers=FRESH)
    assert r.status == 500 and r.source == "upstream"


def test_an_upstream_that_is_not_there_is_no_hedge(make_ibid):
    from conftest import free_port
    ibid = make_ibid(f"http://127.0.0.1:{free_port()}", local=True, config=config(confidence_min=0.01, hedge_ms=1))
    r = ibid.chat(SURE, model="auto", max_tokens=20, headers=FRESH)
    assert r.source == "local" and "Paris" in r.text


# --- profiles -----------------------------------------------------------------------------------

def profiled(tmp_path, lessons=(), route=None, **profile):
    path = tmp_path / "examples.jsonl"
    path.write_text("".join(json.dumps(e) + "\n" for e in lessons))
    return json.dumps({"prompts": [{"name": "small", "models": "smollm2-*", **({"examples_file": str(path)} if lessons else {}), **profile}],
                       **({"route": route} if route else {})})


WORDS = [{"prompt": f"Say the secret word for {x}.", "answer": f"The word is {y}."} for x, y in (("Monday", "glass"), ("Tuesday", "stone"), ("Friday", "river"))]


def test_examples_of_the_operator(make_ibid, tmp_path):
    plain = make_ibid(local=True)
    ibid = make_ibid(local=True, config=profiled(tmp_path, WORDS))
    ask = "Say the secret word for Tuesday."
    r = ibid.chat(ask, max_tokens=20)
    assert r.text.strip() == "The word is stone." and plain.chat(ask, max_tokens=20).text.strip() != r.text.strip()
    # They cost tokens, and are no part of what is compared.
    assert r.json["usage"]["prompt_tokens"] > 60
    again = ibid.chat(ask, max_tokens=20)
    assert again.source == "exact" and again.text == r.text


def test_examples_of_a_rule_alone(make_ibid, tmp_path):
    """What helps with texts harms sums: a profile is for the requests of a rule, told by what the model was given."""
    text = json.loads(profiled(tmp_path, WORDS))
    text |= {"routes": [{"name": "sums", "regex": r"\d+ [-+*/] \d+", "to": "local"}], "prompts": [{"name": "bare", "routes": ["sums"]}, *text["prompts"]]}
    ibid = make_ibid(local=True, config=json.dumps(text))
    used = [ibid.chat(q, max_tokens=4, model="auto").json["usage"]["prompt_tokens"] for q in ("What is 2 + 3?", "What is two and three?")]
    assert used[0] + 30 < used[1]
    (tmp_path / "ibid.yaml").write_text(json.dumps({"prompts": [{"name": "bare", "routes": ["sums"]}]}))
    done = run("check", "--config", str(tmp_path / "ibid.yaml"))
    assert done.returncode != 0 and "prompts: bare: routes: there is no rule 'sums'" in done.stderr


def test_a_profile_is_the_local_models_alone(make_ibid, upstream, tmp_path):
    """The upstream sees what the client wrote, and a stored answer is found by it."""
    ibid = make_ibid(upstream, local=True, config=profiled(tmp_path, WORDS, style="tags", order="task_first", system_bytes_max=10, think="on",
                                                           route={"models": "auto", "classifier": "off", "confidence_min": 1}))
    both(upstream)
    messages = [{"role": "system", "content": "Be brief. Be kind. Be good."}, {"role": "user", "content": "A mill.\n\nWhat is it?"}]
    assert ibid.chat("", model="auto", messages=messages, max_tokens=20).source == "upstream"
    assert upstream.posts()[-1].json["messages"] == messages


def test_a_system_prompt_is_cut(make_ibid, tmp_path):
    """Measured by the tokens that the model was given."""
    whole, cut = make_ibid(local=True), make_ibid(local=True, config=profiled(tmp_path, system_bytes_max=100))
    messages = [{"role": "system", "content": "Be brief. " * 60}, {"role": "user", "content": "Hello?"}]
    used = [i.chat("", messages=messages, max_tokens=4).json["usage"]["prompt_tokens"] for i in (whole, cut)]
    assert used[1] < used[0] - 100


def test_what_was_thought_is_not_shown(make_ibid, upstream, tmp_path):
    think = [{"prompt": f"What is {a} + {b}?", "answer": f"{a} and {b} make {a + b}. Answer: {a + b}"} for a, b in ((1, 2), (3, 4), (2, 2))]
    ibid = make_ibid(local=True, config=profiled(tmp_path, think, think="on"))
    for streamed in (False, True):
        r = ibid.chat("What is 2 + 3?", max_tokens=20, stream=streamed, headers=FRESH)
        assert re.fullmatch(r"\d+\.?", said_of(r, streamed).strip()), r.body
    ibid.stop()
    # A vote is held on what is left.
    ibid = make_ibid(upstream, local=True, config=profiled(tmp_path, think, think="on", route={"models": "auto", "classifier": "off", "confidence_min": 1e-9, "vote": 3}))
    both(upstream)
    assert re.fullmatch(r"\d+\.?", ibid.chat("What is 2 + 3?", model="auto", max_tokens=20).text.strip())
    ibid.stop()
    # No answer in it: the upstream is asked, where there is one to ask.
    ibid = make_ibid(upstream, local=True, config=profiled(tmp_path, [{"prompt": "Tell me about rivers.", "answer": "Rivers run to the sea."}], think="on",
                                                           route={"models": "auto", "classifier": "off", "confidence_min": 1e-9}))
    both(upstream)
    r = ibid.chat("Tell me about rivers.", model="auto", max_tokens=10)
    assert r.source == "upstream" and "reason=escalated_form" in r.headers["x-ibid-route"]


@pytest.mark.parametrize("profile,why", [({"style": "odd"}, "style"), ({"examples": 5}, "examples"), ({"system_bytes_max": -1}, "system_bytes_max"), ({"thinks": "on"}, "thinks")])
def test_bad_profiles(tmp_path, profile, why):
    (tmp_path / "ibid.yaml").write_text(profiled(tmp_path, **profile))
    done = run("check", "--config", str(tmp_path / "ibid.yaml"))
    assert done.returncode != 0 and why in done.stderr + done.stdout


def test_bad_examples(tmp_path):
    (tmp_path / "ibid.yaml").write_text(profiled(tmp_path, [{"prompt": "a", "answer": "b"}, {"prompt": "a"}]))
    done = run("serve", "--config", str(tmp_path / "ibid.yaml"), IBID_DATA_DIR=str(tmp_path / "data"), IBID_ENCODER_MODEL="off", IBID_LISTEN="127.0.0.1:0", IBID_ADMIN_LISTEN="127.0.0.1:0")
    assert done.returncode != 0 and "prompts: small: examples_file: line 2: it needs 'prompt' and 'answer'" in done.stderr


# --- the command --------------------------------------------------------------------------------

def test_learns_and_tests(tmp_path, signs):
    out = tmp_path / "cascade.json"
    done = run("tune", "cascade", outcomes(tmp_path / "a", signs, 400, 1), "--test", outcomes(tmp_path / "b", signs, 300, 2), "--json", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for part, n in (("held_out", 400), ("tested", 300)):
        assert found[part]["outcomes"] == n and found[part]["auc"] > 0.85 and found[part]["ece"] < 0.12
    assert found["loss_max"] == 0.02 and len(found["settings"]) == 101 and found["settings"][100]["lost"] == 0
    assert json.loads(out.read_text())["kind"] == "ibid cascade"
    loose = json.loads(run("tune", "cascade", str(tmp_path / "a"), "--loss-max", "0.1", "--json").stdout)
    assert loose["held_out"]["stays"] >= found["held_out"]["stays"] and loose["held_out"]["lost"] <= 0.1
    assert "AUC" in run("tune", "cascade", str(tmp_path / "a")).stdout


def test_bad_outcomes(tmp_path, signs):
    bad = tmp_path / "bad"
    for text, why in (("{}", "'signs' is no object"), (json.dumps({"signs": {"log_p": 1}}), "it has other signs than this version knows"),
                      (json.dumps({"signs": signs, "small": 2}), "'small' and 'large' must be"), (json.dumps({"signs": {**signs, "log_p": "x"}, "small": 1}), "a sign is no number")):
        bad.write_text(text + "\n")
        done = run("tune", "cascade", str(bad))
        assert done.returncode == 1 and f"line 1: {why}" in done.stderr
    bad.write_text(json.dumps({"signs": signs}) + "\n")
    assert "0 outcomes of which it is known" in run("tune", "cascade", str(bad)).stderr
    outcomes(bad, signs, 60, 1)
    assert run("tune", "cascade", "--loss-max", "2", str(bad)).returncode == 2
    assert run("tune", "cascade").returncode == 2
    bad.write_text("".join(json.dumps({"signs": signs, "small": 1}) + "\n" for _ in range(60)))
    assert "all answers were right, or none" in run("tune", "cascade", str(bad)).stderr
