"""`ibid tune router`: labelled questions in, a classifier out."""
import json
import random

import pytest

from conftest import MODELS, needs_encoder
from test_cli import run

SUMS = "A farmer sells {} eggs a day for ${} each. How many dollars does he make in {} days?"
FACTS = ["What is the capital of {}?", "Who wrote the anthem of {}?", "Which river flows through {}?"]
PLACES = ["France", "Peru", "Kenya", "Japan", "Norway", "Chile", "India", "Greece"]


def tune(*args, **kw):
    return run("tune", "router", *args, IBID_MODEL_DIR=MODELS, **kw)


def labels(path, n, seed, small="small", large="large", prompt="prompt"):
    """The small model can do facts and not sums, nine times of ten."""
    draw = random.Random(seed)
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            sums = draw.random() < 0.4
            text = SUMS.format(*(draw.randrange(2, 90) for _ in range(3))) if sums \
                else draw.choice(FACTS).format(draw.choice(PLACES))
            right = (draw.random() < 0.9) != sums
            row = {prompt: text, small: int(right), "id": i}
            if large:
                row[large] = 1
            f.write(json.dumps(row) + "\n")
    return str(path)


@needs_encoder
def test_learns_and_tests(tmp_path):
    out = tmp_path / "router.json"
    done = tune(labels(tmp_path / "a", 300, 1), "--test", labels(tmp_path / "b", 200, 2), "--json", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for part, n in (("held_out", 300), ("tested", 200)):
        assert found[part]["questions"] == found[part]["with_vector"] == n
        assert found[part]["apgr"] > 0.68 and found[part]["ece"] < 0.1
    assert len(found["settings"]) == 101 and found["settings"][100]["quality_lost"] == 0
    written = json.loads(out.read_text())
    assert written["kind"] == "ibid router" and written["dimensions"] == 384 and len(written["labelled"]) == 200
    assert written["encoder"].startswith("xxh3:")


def test_without_an_encoder_and_other_names(tmp_path):
    out = tmp_path / "router.json"
    path = labels(tmp_path / "a", 200, 1, small="weak", large=None, prompt="text")
    done = tune("--no-encoder", path, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "APGR" in done.stdout and "200 questions, 0 with a vector" in done.stdout
    written = json.loads(out.read_text())
    assert written["dimensions"] == 0 and "labelled" not in written and "with_vector" not in written


@pytest.mark.parametrize("line, word", [
    ("[1]", "no JSON object"), ('{"small": 1}', "'prompt'"), ('{"prompt": "x"}', "'small'"),
    ('{"prompt": "x", "small": 2}', "'small'"), ('{"prompt": "x", "small": 1, "large": "y"}', "'large'")])
def test_a_bad_line_is_named(tmp_path, line, word):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "x", "small": true}\n' + line + "\n")
    done = tune("--no-encoder", str(path))
    assert done.returncode == 1 and f"{path}: line 2: " in done.stderr and word in done.stderr


def test_what_nothing_can_be_learned_from(tmp_path):
    few = tune("--no-encoder", labels(tmp_path / "few", 20, 1))
    assert few.returncode == 1 and "20 questions are too few" in few.stderr
    same = tmp_path / "same"
    same.write_text('{"prompt": "x", "small": 1}\n' * 60)
    done = tune("--no-encoder", str(same))
    assert done.returncode == 1 and "nothing to learn" in done.stderr
    assert tune("--no-encoder", "/dev/null").returncode == 1
    assert tune("--no-encoder", "/nonexistent").returncode == 1
    assert tune().returncode == 2 and tune("x", "--examples", "-1").returncode == 2
    unwritable = tune("--no-encoder", labels(tmp_path / "a", 60, 1), "--out", "/nonexistent/x")
    assert unwritable.returncode == 1 and "cannot write '/nonexistent/x'" in unwritable.stderr
