"""What small-first is made of, changed while ibid serves: the calibration and the profiles, and the files behind them."""
import json
import os

import pytest

from conftest import needs_decoder
from test_cascade import SURE, both
from test_reload import hang_up, reload, write
from test_routing import config
from test_small_first import FRESH, WORDS, learned, outcomes, profiled, signs  # noqa: F401

pytestmark = needs_decoder
ASK = "Say the secret word for Tuesday."


def replace(path, text):
    other = path.with_name("next")
    other.write_text(text)
    os.replace(other, path)


def calibration(path, learned, offset):  # noqa: F811
    replace(path, json.dumps(json.loads(open(learned, encoding="utf-8").read()) | {"offset": offset}))


def test_another_calibration(make_ibid, upstream, tmp_path, learned):  # noqa: F811
    """The same file with another content: sure of everything, of nothing, and one that is none."""
    path = tmp_path / "cascade.json"
    calibration(path, learned, 100)
    ibid = make_ibid(upstream, local=True, config=config(cascade=str(path), confidence_min=0.5))
    both(upstream)

    def ask():
        return ibid.chat(SURE, model="auto", max_tokens=20, headers=FRESH)

    assert ask().source == "local"
    calibration(path, learned, -100)
    assert ask().source == "local", "a reload reads it, nothing else"
    hang_up(ibid)
    r = ask()
    assert r.source == "upstream" and "reason=escalated_unsure; sure=0.000" in r.headers["x-ibid-route"]
    replace(path, "{}")
    said = reload(ibid, 422)["error"]["reasons"]
    assert len(said) == 1 and "route.cascade: " in said[0] and "no file of 'ibid tune cascade'" in said[0]
    assert "sure=0.000" in ask().headers["x-ibid-route"], "the old one stays"
    # Off: nothing is calibrated, the chance of the tokens counts.
    write(ibid, config(cascade="off", confidence_min=0.01))
    assert reload(ibid)["needs_restart"] == []
    r = ask()
    assert r.source == "local" and float(r.headers["x-ibid-route"].split("sure=")[1]) < 1


def test_a_calibration_of_other_models_is_told_and_taken_back(make_ibid, upstream, tmp_path, learned):  # noqa: F811
    path = tmp_path / "cascade.json"
    mine = open(learned, encoding="utf-8").read()
    replace(path, mine)
    ibid = make_ibid(upstream, local=True, config=config(cascade=str(path)))
    assert b"cascade" not in ibid.admin("/readyz").body
    replace(path, json.dumps(json.loads(mine) | {"models": "a-larger-model"}))
    reload(ibid)
    assert b"cascade" in ibid.admin("/readyz").body
    assert "route.cascade was learned from answers of a-larger-model" in ibid.read_log()
    replace(path, mine)
    reload(ibid)
    assert b"cascade" not in ibid.admin("/readyz").body


def test_other_profiles_and_examples(make_ibid, tmp_path):
    ibid = make_ibid(local=True, config=profiled(tmp_path, WORDS))

    def ask():
        return ibid.chat(ASK, max_tokens=20, headers=FRESH)

    assert ask().text.strip() == "The word is stone."
    # The file alone has changed.
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(e | {"answer": e["answer"].replace("stone", "copper")}) + "\n" for e in WORDS))
    assert ask().text.strip() == "The word is stone.", "a reload reads it, nothing else"
    hang_up(ibid)
    fresh = make_ibid(local=True, config=(ibid.dir / "ibid.yaml").read_text())
    now = fresh.chat(ASK, max_tokens=20, headers=FRESH).text
    assert ask().text == now and now.strip() != "The word is stone."
    used = ask().json["usage"]["prompt_tokens"]
    # One line of it is wrong: nothing changes.
    (tmp_path / "examples.jsonl").write_text('{"prompt": "a"}\n')
    said = reload(ibid, 422)["error"]["reasons"]
    assert said == ["prompts: small: examples_file: line 1: it needs 'prompt' and 'answer', both texts"]
    assert ask().text == now
    # No profile any more.
    write(ibid, "{}\n")
    r = reload(ibid)
    assert r["changed"] == ["prompts"] and r["needs_restart"] == []
    assert ask().json["usage"]["prompt_tokens"] + 30 < used


@pytest.mark.parametrize("n", [8])
def test_answers_under_way_end_with_the_examples_they_began_with(make_ibid, tmp_path, n):
    """Their texts are borrowed from the profile: it stays until its last request is done."""
    import threading
    ibid = make_ibid(local=True, config=profiled(tmp_path, WORDS))
    want = ibid.chat(ASK, max_tokens=20, headers=FRESH).text
    said = []
    threads = [threading.Thread(target=lambda: said.append(ibid.chat(ASK, max_tokens=20, headers=FRESH).text)) for _ in range(n)]
    [t.start() for t in threads]
    write(ibid, "{}\n")
    reload(ibid)
    [t.join() for t in threads]
    plain = ibid.chat(ASK, max_tokens=20, headers=FRESH).text
    assert len(said) == n and set(said) <= {want, plain} and want != plain
