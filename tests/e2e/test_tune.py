"""`ibid tune`: labelled pairs in, a threshold out."""
import json
import xml.dom.minidom

import pytest

from conftest import MODELS, needs_encoder
from test_cli import run

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
