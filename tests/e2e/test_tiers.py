"""Several models on this machine: loaded when they are wanted, let go for one another, asked one after the other."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import threading
import time

import pytest

from client import CHAT, post, said, serving, until, user
from conftest import DECODER, MODELS, needs_decoder
from test_architectures import FAMILIES, tiny
from test_cascade import SURE, both
from test_cli import run
from test_routing import routed
from upstream import answer

pytestmark = needs_decoder
SMALL = "smollm2-135m-instruct"
GEMMA = pathlib.Path(MODELS, "gemma-3-270m")
needs_gemma = pytest.mark.skipif(not list(GEMMA.glob("*.gguf")), reason="model not there: ibid models pull gemma-3-270m")
FRESH = (("x-ibid-cache", "no-cache, no-store"),)


def settings(here, local=None, routes=(), **route):
    return json.dumps({"models": here, "local": local or {}, "routes": list(routes), **({"route": {"classifier": "off", **route}} if route else {})})


def gemma(**fields):
    return {"name": "gemma", "model": "gemma-3-270m", "chat_template": "gemma", **fields}


def random_model(path, name="tiny", **fields):
    """Of random weights: sure of nothing."""
    family = next(iter(FAMILIES))
    pre, template, controls, *_ = FAMILIES[family]
    return {"name": name, "model": str(tiny(path / f"{name}.gguf", pre, template, controls)), "context_max": 256, "max_tokens": 16, **fields}


def ask(ibid, model, text="Name a colour.", headers=FRESH, **fields):
    return post(ibid, user(text, model=model, **{"max_tokens": 12, **fields}), list(headers))


def states(ibid):
    return {m["model"]: m for m in ibid.admin("/admin/v1/models", ibid.token()).json["models"]}


def figure(ibid, name, model):
    return ibid.metric(f'ibid_local_model_{name}{{model="{model}"}}')


@needs_gemma
def test_a_model_is_loaded_when_it_is_first_wanted(make_ibid):
    ibid = make_ibid(local=True, config=settings([gemma()]))
    assert [m["id"] for m in ibid.request("GET", "/v1/models").json["data"]] == [SMALL, "gemma"]
    tags = {m["name"]: m for m in ibid.request("GET", "/api/tags").json["models"]}
    assert tags["gemma"]["details"]["family"] == "gemma3" and tags["gemma"]["size"] > 2e8
    shown = ibid.request("POST", "/api/show", json.dumps({"model": "gemma"})).json
    assert shown["model_info"]["general.parameter_count"] == 268098176
    running = lambda: [m["name"] for m in ibid.request("GET", "/api/ps").json["models"]]
    before = states(ibid)
    assert running() == [SMALL]
    assert (before[SMALL]["state"], before["gemma"]["state"]) == ("loaded", "unloaded") and figure(ibid, "loaded", "gemma") == 0
    r = ask(ibid, "gemma")
    assert r.status == 200 and r.source == "local" and r.json["model"] == "gemma" and 'model="gemma"' in r.headers["x-ibid-made"]
    after = states(ibid)
    assert running() == [SMALL, "gemma"]
    assert after["gemma"]["state"] == "loaded" and after["gemma"]["loads"] == 1 and after["gemma"]["tokens_per_s"] > 0
    assert after["gemma"]["loaded_bytes"] == before["gemma"]["loaded_bytes"]  # what was reckoned beforehand is what it takes
    assert ibid.metric("ibid_local_loaded_bytes") == sum(m["loaded_bytes"] for m in after.values())
    assert ibid.metric("ibid_local_waits_total") == 1 and ibid.metric("ibid_local_wait_seconds_total") > 0
    assert ask(ibid, SMALL).json["model"] == SMALL and ibid.metric("ibid_local_waits_total") == 1


@needs_gemma
def test_two_that_do_not_fit_take_turns(make_ibid):
    free = make_ibid(local=True, config=settings([gemma()]))
    alone = {n: ask(free, n).text for n in (SMALL, "gemma")}
    need = {n: m["loaded_bytes"] for n, m in states(free).items()}
    free.stop()
    budget = max(need.values()) + 4096
    ibid = make_ibid(local=True, config=settings([gemma()], {"loaded_max_bytes": budget}))
    seen, over = [], threading.Event()

    def watch():
        while not over.is_set():
            seen.append((ibid.metric("ibid_local_passes_total"), ibid.metric("ibid_local_loaded_bytes")))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for n in (SMALL, "gemma") * 2:
        assert ask(ibid, n).text == alone[n]
        assert states(ibid)[n]["state"] == "loaded"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: (n, ask(ibid, n).text), [SMALL, "gemma"] * 8))
    over.set()
    watcher.join()
    assert got == [(n, alone[n]) for n, _ in got]
    assert 0 < max(b for _, b in seen) <= budget
    assert figure(ibid, "evictions_total", SMALL) >= 2 and figure(ibid, "evictions_total", "gemma") >= 1
    passes = [n for n, _ in seen]
    assert passes == sorted(passes) and passes[-1] > 0  # what only grows does not shrink when a model goes


def test_a_model_that_writes_is_not_let_go(make_ibid, tmp_path):
    """Who waits for the room gets it when the answer has ended, and the answer is whole."""
    other = random_model(tmp_path)
    need = os.path.getsize(other["model"])
    probe = make_ibid(local=True, config=settings([other]))
    need = {n: m["loaded_bytes"] for n, m in states(probe).items()}
    probe.stop()
    ibid = make_ibid(local=True, config=settings([other], {"loaded_max_bytes": max(need.values()) + 4096}))

    def long():
        return ask(ibid, SMALL, "Count from one to one hundred, with a comma behind each number.", max_tokens=120)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(long)
        until(lambda: ibid.metric("ibid_local_sequences") == 1, "the answer")
        second = pool.submit(ask, ibid, "tiny", max_tokens=4)
        until(lambda: states(ibid)["tiny"]["waiting"] == 1, "one that waits")
        # There is no room for both: the one that waits has its answer after this one.
        assert states(ibid)[SMALL]["state"] == "unloading" and states(ibid)[SMALL]["requests"] == 1
        third = pool.submit(lambda: ask(ibid, SMALL, max_tokens=4))  # after the other one
        a, b, c = first.result(), second.result(), third.result()
    assert a.json["usage"]["completion_tokens"] == 120 or a.json["choices"][0]["finish_reason"] == "stop"
    assert b.status == 200 and b.json["model"] == "tiny"
    assert c.status == 200 and c.json["model"] == SMALL and figure(ibid, "loads_total", SMALL) == 2


def test_who_leaves_waits_no_longer(make_ibid, tmp_path):
    other = random_model(tmp_path)
    probe = make_ibid(local=True, config=settings([other]))
    need = {n: m["loaded_bytes"] for n, m in states(probe).items()}
    probe.stop()
    ibid = make_ibid(local=True, config=settings([other], {"loaded_max_bytes": max(need.values()) + 4096, "cpu_share": 0.05}))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: ask(ibid, SMALL, "Count from one to one hundred, with a comma behind each number.", max_tokens=40))
        until(lambda: ibid.metric("ibid_local_sequences") == 1, "the answer")
        with pytest.raises(OSError):
            ibid.request("POST", CHAT, json.dumps(user("x", model="tiny")), {"content-type": "application/json"}, timeout=0.3)
        until(lambda: states(ibid)["tiny"]["waiting"] == 0, "nobody to wait")
        assert first.result().status == 200
    assert ask(ibid, "tiny", max_tokens=4).status == 200


def test_a_file_that_is_missing(make_ibid, upstream, tmp_path):
    path = tmp_path / "later.gguf"
    there = random_model(tmp_path)
    ibid = make_ibid(upstream, local=True, config=settings([{**there, "name": "later", "model": str(path)}, {**there, "name": "pulled", "model": "not-pulled"}]))
    parts = ibid.admin("/readyz").json["parts"]
    assert set(parts) == {"local_model later", "local_model pulled"}
    assert str(path) in parts["local_model later"] and "ibid models pull not-pulled" in parts["local_model pulled"]
    r = ask(ibid, "later")
    assert r.status == 503 and r.json["error"]["code"] == "no_answerer" and "/readyz" in r.json["error"]["message"] and not upstream.posts()
    assert figure(ibid, "broken", "later") == 1 and ask(ibid, SMALL).status == 200
    assert "later" not in [m["name"] for m in make_ibid(local=True, config=settings([{**there, "name": "later", "model": str(path)}])).request("GET", "/api/tags").json["models"]]
    shutil.copy(there["model"], path)
    until(lambda: ask(ibid, "later", max_tokens=4).status == 200, "a look at the file", 30)
    assert "local_model later" not in ibid.admin("/readyz").json["parts"]


def test_a_tier_that_is_broken_is_passed_over(make_ibid, upstream, tmp_path):
    whole = random_model(tmp_path)
    data = pathlib.Path(whole["model"]).read_bytes()
    (tmp_path / "half.gguf").write_bytes(data[: len(data) // 2])
    ibid = make_ibid(upstream, local=True, config=settings([{**whole, "name": "half", "model": str(tmp_path / "half.gguf")}], ladder=["half", SMALL], models="auto", confidence_min=0.7))
    both(upstream)
    assert "half.gguf" in ibid.admin("/readyz").json["parts"]["local_model half"] and ibid.admin("/readyz").json["status"] == "degraded"
    r = ask(ibid, "auto", SURE, max_tokens=60)
    assert r.source == "local" and "Paris" in r.text and r.headers["x-ibid-route"].startswith("local; reason=first") and not upstream.posts()


def test_a_file_that_breaks_later(make_ibid, upstream, tmp_path):
    whole = random_model(tmp_path)
    ibid = make_ibid(upstream, local=True, config=settings([whole], ladder=["tiny", SMALL], models="auto", confidence_min=0.7))
    both(upstream)
    os.truncate(whole["model"], 1000)
    r = ask(ibid, "auto", SURE, max_tokens=60)
    assert r.source == "local" and "Paris" in r.text and r.headers["x-ibid-route"].startswith("local; reason=escalated_absent")
    r = ask(ibid, "tiny")
    assert r.status == 503 and "local_model tiny" in ibid.admin("/readyz").json["parts"]


def test_tier_by_tier(make_ibid, upstream, tmp_path):
    """The first is sure of nothing, the second of some; what neither is sure of goes upstream."""
    ibid = make_ibid(upstream, local=True, config=settings([random_model(tmp_path)], ladder=["tiny", SMALL], models="auto", confidence_min=0.7))
    both(upstream)
    for streamed in (False, True):
        near = ask(ibid, "auto", SURE, max_tokens=60, stream=streamed)
        far = ask(ibid, "auto", "Who won the 1987 Tour de France, and by how much?", max_tokens=60, stream=streamed)
        text = lambda r: said(r.body) if streamed else r.text
        assert near.source == "local" and text(near) == "The capital of France is Paris." and f'model="{SMALL}"' in near.headers["x-ibid-made"]
        assert near.headers["x-ibid-route"].startswith("local; reason=escalated_")
        assert far.source == "upstream" and text(far) == "from afar"
    assert len(upstream.posts()) == 2
    counts = routed(ibid)
    assert counts[("local", "first")] == 4 and sum(n for (t, r), n in counts.items() if t == "local" and r.startswith("escalated")) == 4


def test_a_line_of_its_own(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, local=True, config=settings([random_model(tmp_path, confidence_min=0, max_tokens=200)], ladder=["tiny", SMALL], models="auto", confidence_min=0.7))
    both(upstream)
    r = ask(ibid, "auto", SURE, max_tokens=8)
    assert r.source == "local" and r.json["model"] == "tiny" and r.headers["x-ibid-route"].startswith("local; reason=first")


def test_answers_of_the_ladder_are_kept_as_its_own(make_ibid, tmp_path):
    """Without an upstream the largest model has the last word; what it says is found again, and never in another's name."""
    ibid = make_ibid(local=True, config=settings([random_model(tmp_path)], ladder=["tiny", SMALL], models="auto", confidence_min=0.99))
    first = ask(ibid, "auto", SURE, headers=(), max_tokens=60)
    assert first.source == "local" and first.json["model"] == SMALL and "Paris" in first.text
    again = ask(ibid, "auto", SURE, headers=(), max_tokens=60)
    assert again.source == "exact" and again.text == first.text and again.json["model"] == SMALL
    assert ask(ibid, SMALL, SURE, headers=(), max_tokens=60).source == "local"
    assert ask(ibid, "tiny", SURE, headers=(), max_tokens=8).json["model"] == "tiny"


CODE = "What does this print?\n```c\nint main(void) {\n    puts(\"x\");\n}\n```"
TOOL = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"enum": ["b"]}}, "required": ["a"], "additionalProperties": False}}}], "tool_choice": {"type": "function", "function": {"name": "f"}}}


@pytest.mark.parametrize("limits, request_, why", [
    ({"context_max": 44, "max_tokens": 8}, {"text": "word " * 40}, "context"),
    ({"json": "off"}, {"text": "A colour?", "response_format": {"type": "json_object"}}, "json"),
    ({"code": "off"}, {"text": CODE}, "code"),
    ({"languages": ["en"]}, {"text": "Wie heißt die Hauptstadt von Frankreich und wie viele Menschen sind dort?"}, "language"),
    ({}, {"text": "Call it.", **TOOL}, "tools"),
])
def test_hard_facts_choose_among_them(make_ibid, upstream, tmp_path, limits, request_, why):
    tiny_ = random_model(tmp_path, confidence_min=0, **limits)
    upstream.default = lambda r: answer("from afar")
    fields = {**request_, "max_tokens": 8}
    text = fields.pop("text")
    alone = make_ibid(upstream, local=True, config=settings([tiny_], ladder="tiny", models="auto", confidence_min=0.5))
    r = ask(alone, "auto", text, **fields)
    assert r.source == "upstream" and r.headers["x-ibid-route"] == f"upstream; reason={why}"
    if why == "tools":
        tiny_["tools"] = "on"
        r = ask(make_ibid(upstream, local=True, config=settings([tiny_], ladder="tiny", models="auto", confidence_min=0.5)), "auto", text, **{**fields, "max_tokens": 60})
        assert r.source == "local" and r.json["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
        return
    two = make_ibid(upstream, local=True, config=settings([tiny_, random_model(tmp_path, "wide", confidence_min=0)], ladder=["tiny", "wide"], models="auto", confidence_min=0.5))
    r = ask(two, "auto", text, **fields)
    assert r.source == "local" and r.json["model"] == "wide", (r.status, r.headers)
    assert ask(two, "auto", "Hi?", max_tokens=4).json["model"] == "tiny"


def test_a_rule_names_one(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, local=True, config=settings([random_model(tmp_path)], routes=[{"name": "code", "regex": "(?i)python", "to": "local:tiny"}]))
    upstream.default = lambda r: answer("from afar")
    r = ask(ibid, "gpt-4o", "Some Python, please", max_tokens=6)
    assert r.source == "local" and r.json["model"] == "tiny" and r.headers["x-ibid-route"] == 'local; reason=rule; rule="code"'
    assert ask(ibid, "gpt-4o", "Some more").source == "upstream"


def test_nobody_waits_longer_than_there_is_patience(make_ibid, upstream, tmp_path):
    other = random_model(tmp_path)
    probe = make_ibid(local=True, config=settings([other]))
    need = {n: m["loaded_bytes"] for n, m in states(probe).items()}
    probe.stop()
    ibid = make_ibid(upstream, local=True, config=settings([other], {"loaded_max_bytes": max(need.values()) + 4096, "cpu_share": 0.05}, ladder="tiny", models="auto", confidence_min=0.5, deadline_ms=300))
    upstream.default = lambda r: answer("from afar")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: ask(ibid, SMALL, "Count from one to two hundred, with a comma behind each number.", max_tokens=60))
        until(lambda: ibid.metric("ibid_local_sequences") == 1, "the answer")
        began = time.time()
        r = ask(ibid, "auto", "What is it?")
        assert r.source == "upstream" and r.headers["x-ibid-route"] == "upstream; reason=escalated_timeout" and time.time() - began < 5
        assert first.result().status == 200


def test_an_end_in_the_middle(tmp_path):
    """Draining cuts who waits for a model, and ends."""
    other = random_model(tmp_path)
    with serving(tmp_path, upstream=False, local=True, config=settings([other])) as (probe, _):
        need = {n: m["loaded_bytes"] for n, m in states(probe).items()}
    (tmp_path / "two").mkdir()
    with serving(tmp_path / "two", upstream=False, local=True, config=settings([other], {"loaded_max_bytes": max(need.values()) + 4096, "cpu_share": 0.05}), env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "300"}) as (ibid, _):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            first = pool.submit(lambda: ask(ibid, SMALL, "Count from one to two hundred, with a comma behind each number.", max_tokens=500))
            until(lambda: ibid.metric("ibid_local_sequences") == 1, "the answer")
            second = pool.submit(lambda: ask(ibid, "tiny"))
            until(lambda: states(ibid)["tiny"]["waiting"] == 1, "one that waits")
            ibid.stop()
            assert {first.result().status, second.result().status} == {503}
            assert second.result().json["error"]["code"] == "shutting_down"


@pytest.mark.parametrize("text, says", [
    ({"models": [{"name": "a", "model": "x"}, {"name": SMALL, "model": "y"}]}, f"'{SMALL}' is the name of two"),
    ({"models": [{"name": "a b", "model": "x"}]}, "a name has no blank"),
    ({"models": [{"name": "a", "model": "x", "context_max": 100, "max_tokens": 100}]}, "leaves no room for a question"),
    ({"models": [{"name": "a", "model": "x", "load": "never"}]}, "load"),
    ({"models": [{"name": "a"}]}, "model"),
    ({"route": {"ladder": ["nobody"]}}, "route.ladder: there is no model 'nobody'"),
    ({"routes": [{"name": "r", "to": "local:nobody"}]}, "routes: r: to: there is no model 'nobody'"),
    ({"routes": [{"name": "r", "to": "somewhere"}]}, "is not local, local:NAME, upstream or classifier"),
    ({"local": {"loaded_max_bytes": -1}}, "local.loaded_max_bytes"),
])
def test_settings_that_make_no_sense(tmp_path, text, says):
    (tmp_path / "ibid.yaml").write_text(json.dumps(text))
    done = run("check", "--config", str(tmp_path / "ibid.yaml"))
    assert done.returncode != 0 and says in done.stderr + done.stdout, done.stderr


def test_a_model_that_never_fits_is_told(make_ibid, tmp_path):
    ibid = make_ibid(local=True, config=settings([random_model(tmp_path)], {"loaded_max_bytes": "32MiB"}))
    assert "local.loaded_max_bytes" in ibid.admin("/readyz").json["parts"]["local_model"]
    assert ask(ibid, "tiny", max_tokens=4).status == 200 and ask(ibid, SMALL).status == 503
    # Unnamed, it is for the first that is there.
    assert ask(ibid, "whatever", max_tokens=4).json["model"] == "tiny"


def test_it_is_explained_without_a_server(tmp_path):
    rules = [{"name": "code", "regex": "(?i)python", "to": "local:tiny"}]
    (tmp_path / "ibid.yaml").write_text(settings([random_model(tmp_path)], routes=rules, ladder=["tiny", SMALL], models="auto", confidence_min=0.5))
    explain = lambda text, *args: run("route", "explain", text, "--config", str(tmp_path / "ibid.yaml"), *args, IBID_ENCODER_MODEL="off")
    assert explain("Some Python").stdout == "local; reason=rule; rule=code; model=tiny\n"
    assert json.loads(explain("Some Python", "--json").stdout)["model"] == "tiny"
