"""`ibid tune`: labelled pairs in, a threshold out."""
import csv
import json
import xml.dom.minidom

import pytest

from client import post, prove, store, user
from conftest import MODELS, needs_encoder
from test_cli import run
from test_wrong_hit import admin
from upstream import answer

PAIRS = [("How do I reset my password?", "How can I reset my password?", True),
         ("How do I enable the alarm?", "How do I disable the alarm?", False),
         ("Where is the nearest station?", "where is the nearest station", True),
         ("What does a week in Rome cost?", "What does a week in Oslo cost?", False),
         ("Why is the sky blue?", "How do I bake bread?", False)]


def tune(*args, **kw):
    return run("tune", *args, IBID_MODEL_DIR=MODELS, **kw)


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"a": a, "b": b, "same": s}) for a, b, s in PAIRS * 100) + "\n\n")
    return str(path)


@needs_encoder
def test_recommends_a_threshold(pairs, tmp_path):
    plot = tmp_path / "plot.svg"
    done = tune(pairs, "--error-max", "0.01", "--svg", str(plot))
    assert done.returncode == 0, done.stderr
    assert "500 pairs, 200 the same, 300 not" in done.stdout and "cache:\n  threshold: 0." in done.stdout
    assert "negation" in done.stdout and "name" in done.stdout
    assert len(xml.dom.minidom.parse(str(plot)).getElementsByTagName("polyline")) == 2


@needs_encoder
def test_pairs_of_a_spreadsheet(pairs, tmp_path):
    """The same pairs as comma-separated values say the same."""
    table = tmp_path / "pairs.csv"
    with open(table, "w", encoding="utf-8-sig", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["same", "note", "a", "b"])
        for a, b, same in PAIRS * 99:
            rows.writerow([str(same).lower(), "", a, b])
        rows.writerow([])
        for a, b, same in PAIRS:
            rows.writerow([int(same), 'said "so",\nthey say', a, b])
    done, as_lines = tune(str(table), "--json", "--error-max", "0.01"), tune(pairs, "--json", "--error-max", "0.01")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(as_lines.stdout)


@pytest.mark.parametrize("text, line, why", [
    ("", 1, "it is empty"), ("a,b\nx,y\n", 1, "must name the columns"), ("a,b,same\nx,y\n", 2, "fewer columns"),
    ("a,b,same\nx,y,1\n\nx,y,maybe\n", 4, "true or false"), ('a,b,same\n"x\ny",z,1\n,z,1\n', 4, "two texts"),
    ('a,b,same\nx,"y,1\n', 2, "nothing closes"), ("," * 64 + "\n", 1, "too many columns"), ("a,b,same\n", None, "no pairs")])
def test_a_table_that_is_not_understood(tmp_path, text, line, why):
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    done = tune(str(table))
    assert done.returncode != 0 and why in done.stderr and (line is None or f"line {line}:" in done.stderr), done.stderr


@needs_encoder
def test_json_for_programs(pairs):
    done = tune(pairs, "--json", "--error-max", "0.01")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["pairs"], found["same"], found["error_max"]) == (500, 200, 0.01)
    assert len(found["thresholds"]) == 100 and found["guards"]["negation"] == {"other": 100, "same": 0}
    at = found["thresholds"][round(found["threshold"] * 100)]
    assert at["right"] == 200 and at["wrong"] == 0 and at["error_high"] <= 0.01


@needs_encoder
def test_too_few_pairs_promise_nothing(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text(json.dumps({"q1": "Why is the sky blue?", "q2": "why is the sky blue", "same": 1}))
    done = tune(str(path), "--error-max", "0.01")
    assert done.returncode == 1 and "More pairs tell more" in done.stdout and "384" in done.stdout


@pytest.mark.parametrize("line, word", [
    ("[1]", "no JSON object"), ("{", "no JSON object"), ('{"a": "x", "same": true}', "it needs two texts"),
    ('{"a": "x", "b": "y"}', "'same' must be"), ('{"a": "x", "b": "y", "same": 2}', "'same' must be")])
def test_a_bad_line_is_named(tmp_path, line, word):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"a": "x", "b": "y", "same": false}\n' + line + "\n")
    done = tune(str(path))
    assert done.returncode == 1 and f"{path}: line 2: " in done.stderr and word in done.stderr


def test_bad_arguments():
    assert tune().returncode == 2
    assert "no number between 0 and 1" in tune("x", "--error-max", "2").stderr
    assert tune("/nonexistent/pairs").returncode == 1
    assert "there are no pairs" in tune("/dev/null").stderr


# --- out of live traffic --------------------------------------------------------------------------------------


ROME = "A week there costs about nine hundred euros with a modest hotel, museums and trains."
OSLO = "Expect two thousand kroner every day for cabins, ferries and restaurants."


def by_town(request):
    text = request.json["messages"][-1]["content"]
    return answer(ROME if "Rome" in text else OSLO if "Oslo" in text else "ok")


@needs_encoder
def test_watching_a_shadow(make_ibid, upstream, tmp_path):
    upstream.default = by_town
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_SEMANTIC": "shadow"})
    prove(ibid, "k")
    for text in ("What does a week in Rome cost?", "How much does a week in Rome cost?", "what does a week in Rome cost",
                 "What does a week in Oslo cost?"):
        store(ibid, user(text), key="k")
    assert ibid.metric("ibid_cache_semantic_hits_total") == 0
    seen = admin(ibid, "GET", "/admin/v1/decisions").json
    assert seen["judges"] and seen["next"] == 3 and [d["same"] for d in seen["decisions"]] == [True, True, False]
    assert seen["decisions"][2]["reason"] == "name" and seen["decisions"][0]["reason"] in ("hit", "below_threshold")
    assert set(seen["decisions"][0]) == {"request", "similarity", "probability", "reason", "same", "by"}
    assert admin(ibid, "GET", "/admin/v1/decisions?after=3").json["decisions"] == []
    assert admin(ibid, "GET", "/admin/v1/decisions?after=1000").json["next"] == 3  # of one before a restart
    for query in ("?after", "?after=", "?after=x", "?before=1", "?after=" + "9" * 30):
        assert admin(ibid, "GET", "/admin/v1/decisions" + query).status == 400
    assert admin(ibid, "GET", "/admin/v1/decisions", token="wrong").status == 401

    plot = tmp_path / "plot.svg"
    done = run("tune", "watch", "--for", "1", "--every", "1", "--json", "--error-max", "0.5", "--svg", str(plot), **ibid.env)
    assert "3 pairs, 2 the same, 1 not" in done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert (found["pairs"], found["same"], found["guards"]) == (3, 2, {"name": {"other": 1, "same": 0}})
    assert plot.exists()


def test_watching_what_does_not_judge(ibid):
    done = run("tune", "watch", "--for", "1", **ibid.env)
    assert done.returncode == 1 and "it needs cache.semantic: shadow" in done.stderr
    assert run("tune", "watch", "--for", "1", "--admin", "127.0.0.1:1", **ibid.env).returncode == 1
    assert run("tune", "watch", "--for", "soon", **ibid.env).returncode == 2
    assert run("tune", "pairs", "--for", "1", **ibid.env).returncode == 2
