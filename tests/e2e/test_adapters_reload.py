"""Other adapters while ibid serves: put in force with the settings that name them, or not at all; who asked
before is answered by what was there."""
import os
import threading

import pytest

from client import post, serving, until, user
from conftest import needs_decoder
from test_adapters import NAME, save
from test_reload import hang_up, reload, write

pytestmark = needs_decoder


def settings(local="", models="", routes=""):
    return (f"local: {{adapters: '{local.replace(': ', '=').replace(',', '')}'}}\n" + (f"models: [{models}]\n" if models else "") + (f"routes: [{routes}]\n" if routes else ""))


def names(ibid):
    return sorted(m["id"] for m in ibid.request("GET", "/v1/models").json["data"])


def say(ibid, model, n=12, **headers):
    return post(ibid, user("Name a colour.", model=model, max_tokens=n), [("x-ibid-cache", "no-cache, no-store"), *headers.items()])


@pytest.fixture
def files(tmp_path):
    return {n: save(tmp_path / f"{n}.gguf", i) for i, n in enumerate(("one", "two", "three"), 1)}


@pytest.fixture
def ibid(tmp_path, files):
    with serving(tmp_path, upstream=False, local=True, config=settings(f"a: {files['one']}")) as both:
        yield both[0]


def test_adapters_come_change_and_go_without_a_restart(ibid, files):
    plain, one = say(ibid, NAME), say(ibid, "a")
    assert one.status == 200 and one.text != plain.text
    rule = "{name: team, header: 'x-team: b', to: 'local:b'}"
    write(ibid, settings(f"a: {files['one']}, b: {files['two']}", routes=rule))
    r = reload(ibid)
    assert r["reloaded"] and r["needs_restart"] == [] and "local.adapters" in r["changed"]
    assert names(ibid) == sorted([NAME, "a", "b"]) and ibid.metric("ibid_local_adapters") == 2
    two = say(ibid, "b")
    # What stays is what it was; the rule that came with the new one finds it.
    assert say(ibid, "a").text == one.text and two.text not in (one.text, plain.text)
    by_rule = say(ibid, "some", **{"x-team": "b"})
    assert by_rule.text == two.text and by_rule.json["model"] == "b"
    # Another file under the same name, by a signal; and one that goes.
    write(ibid, settings(f"a: {files['two']}"))
    hang_up(ibid)
    assert names(ibid) == sorted([NAME, "a"]) and say(ibid, "a").text == two.text
    assert say(ibid, "b").text == plain.text  # nobody's name: the built-in model is all there is
    write(ibid, settings(""))
    assert reload(ibid)["reloaded"] and names(ibid) == [NAME] and ibid.metric("ibid_local_adapters") == 0
    # The memory of those that went is free again.
    for _ in range(12):
        for name in ("one", "two", "three"):
            write(ibid, settings(f"a: {files[name]}"))
            assert reload(ibid)["reloaded"]
    assert say(ibid, NAME).text == plain.text


def test_a_file_that_was_written_anew_is_read_anew(ibid, files):
    one = say(ibid, "a")
    save(files["one"].parent / "next", 3)
    os.replace(files["one"].parent / "next", files["one"])
    r = reload(ibid)
    assert r["reloaded"] and r["changed"] == []
    assert say(ibid, "a").text != one.text
    # A stored answer of the one before is nobody's now.
    stop = {"stop": [" ", ",", ".", "\n"]}
    ask = lambda: post(ibid, user("Count: one, two, three.", model="a", max_tokens=12, **stop))
    ask()
    before = ask()
    save(files["one"].parent / "next", 2)
    os.replace(files["one"].parent / "next", files["one"])
    assert reload(ibid)["reloaded"]
    after = ask()
    assert after.source == "local" and before.status == 200


@pytest.mark.parametrize("fault, says", [("missing", "cannot open"), ("strange", "for the architecture 'qwen2'"), ("not it", "NAME=PATH")])
def test_what_does_not_fit_is_refused_and_those_before_stay(ibid, files, tmp_path, fault, says):
    one = say(ibid, "a")
    bad = {"missing": "/nowhere.gguf", "strange": save(tmp_path / "bad.gguf", 1, arch="qwen2"), "not it": ""}[fault]
    write(ibid, settings(f"a: {files['two']}, b: {bad}") + "cache: {threshold: 0.91}\n")
    r = reload(ibid, 422)
    assert any(says in x and NAME in x for x in r["error"]["reasons"]), r
    assert names(ibid) == sorted([NAME, "a"]) and say(ibid, "a").text == one.text
    write(ibid, settings(f"a: {files['two']}"))
    assert reload(ibid)["reloaded"] and say(ibid, "a").text != one.text


def test_requests_under_way_end_with_what_they_began_with(ibid, files):
    """Eight at a time are written; the rest waits, and has the adapter that was there when it came."""
    want = say(ibid, "a", 120).text
    got = []
    threads = [threading.Thread(target=lambda: got.append(say(ibid, "a", 120))) for _ in range(20)]
    for t in threads:
        t.start()
    while ibid.metric("ibid_local_queue") + ibid.metric("ibid_local_sequences") < 20 and len(got) < 4:
        pass
    write(ibid, settings(f"a: {files['two']}"))
    assert reload(ibid)["reloaded"]
    other = say(ibid, "a", 120)
    for t in threads:
        t.join()
    assert other.status == 200 and other.text != want
    assert len(got) == 20 and {(r.status, r.text) for r in got} == {(200, want)}


def test_a_model_that_is_not_in_memory_has_its_adapters_when_it_comes(tmp_path, files):
    more = lambda adapters: f"{{name: second, model: smollm2-135m-instruct, adapters: {{{adapters}}}}}"
    with serving(tmp_path, upstream=False, local=True, config=settings("", more(f"a: {files['one']}"))) as both:
        ibid = both[0]
        write(ibid, settings("", more(f"a: {files['two']}, b: {files['one']}")))
        r = reload(ibid)
        assert r["reloaded"] and r["changed"] == ["models"] and r["needs_restart"] == []
        assert names(ibid) == sorted([NAME, "second", "a", "b"])
        a, b = say(ibid, "a"), say(ibid, "second:b")
        assert a.status == b.status == 200 and a.text != b.text
        # Anything else of it needs a restart; its adapters do not.
        write(ibid, settings("", more(f"a: {files['one']}").replace("adapters", "max_tokens: 7, adapters")))
        r = reload(ibid)
        assert r["needs_restart"] == ["models"] and names(ibid) == sorted([NAME, "second", "a"])
        assert say(ibid, "a").text == b.text


def test_a_model_that_lacked_one_is_there_again(tmp_path, files):
    with serving(tmp_path, upstream=False, local=True, config=settings("a: /nowhere.gguf")) as both:
        ibid = both[0]
        assert say(ibid, "a").status == 503
        write(ibid, settings(f"a: {files['one']}"))
        assert reload(ibid)["reloaded"]
        until(lambda: say(ibid, "a").status == 200, "the model")
        assert say(ibid, "a").json["model"] == "a"
