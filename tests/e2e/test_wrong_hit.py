"""One wrong hit, followed as README says: header, explanation, report, removal."""
import json
import re
import subprocess
import textwrap

import pytest

from client import post, prove, reasons, serving, store, until, user
from conftest import ROOT, needs_encoder

pytestmark = needs_encoder

STORED, ASKED = "Where can I download my invoice?", "Where do I download my invoice?"


def admin(ibid, method, path, body=None, token=None):
    headers = {"authorization": f"Bearer {ibid.token() if token is None else token}"}
    if body is not None:
        headers["content-type"] = "application/json"
        body = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return ibid.request(method, path, body, headers, port=ibid.admin_port)


def explain(ibid, r):
    return admin(ibid, "GET", f"/admin/v1/explain/{r.headers['x-ibid-request']}")


def feedback(ibid, r, verdict="wrong", **more):
    return admin(ibid, "POST", "/admin/v1/feedback", {"request": r.headers["x-ibid-request"], "verdict": verdict, **more})


def fresh(ibid, text, key):
    """Asks, and leaves no trace: an answer that is stored would be an exact hit next time."""
    return post(ibid, user(text), [("x-ibid-cache", "no-store")], key=key)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("wrong"), encoder=True) as both:
        yield both[0]


def test_from_header_to_removal(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    one = store(ibid, user(STORED), key="k")
    two = post(ibid, user(ASKED), key="k")
    assert (two.source, two.text) == ("semantic", one.text)
    assert len(two.headers["x-ibid-entry"]) == 64

    why = explain(ibid, two)
    assert why.status == 200, why.body
    d = why.json
    assert d["request"] == two.headers["x-ibid-request"] and d["hit"] and d["served"] and d["reason"] == "hit"
    assert d["entry"] == two.headers["x-ibid-entry"] == d["candidates"][0]["entry"]
    assert f"{d['probability']:.4f}" == two.headers["x-ibid-confidence"] and f"{d['similarity']:.4f}" == two.headers["x-ibid-similarity"]
    assert d["threshold"] == 0.88 and d["floor"] == pytest.approx(0.6)
    assert len(d["candidates"][0]["guards"]) == 23 and set(d["candidates"][0]["guards"].values()) <= {"passed", "gated", "doubted"}
    assert b"invoice" not in why.body  # the operator did not ask for texts

    said = feedback(ibid, two, evict=True)
    assert said.status == 200 and said.json == {"refused": True, "kept": True, "evicted": True, "entry": d["entry"]}
    # Gone from memory, index and store: neither its own question nor the other finds it.
    assert fresh(ibid, STORED, "k").source == "upstream"
    assert fresh(ibid, ASKED, "k").source == "upstream"
    assert admin(ibid, "DELETE", f"/admin/v1/entries/{d['entry']}").status == 404
    # Stored anew, it is still not the answer to the other, whoever of them comes first …
    store(ibid, user(STORED), key="k")
    again = fresh(ibid, ASKED, "k")
    assert again.source == "upstream" and "detail=reported" in again.headers["cache-status"]
    assert explain(ibid, again).json["reason"] == "reported" and not explain(ibid, again).json["served"]
    # … nor after a restart.
    assert ibid.metric("ibid_cache_refused_pairs") == 1
    assert ibid.kill(15) == 0
    ibid.start()
    prove(ibid, "k")
    ibid.wait_metric("ibid_index_ready", 1)
    until(lambda: "detail=reported" in fresh(ibid, ASKED, "k").headers["cache-status"], "the index")
    assert reasons(ibid, "ibid_cache_miss_total")["reported"] >= 1
    assert ibid.metric("ibid_cache_refused_pairs") == 1
    # Another wording is another pair.
    assert fresh(ibid, "Where could I download my invoice?", "k").source == "semantic"


def test_a_report_may_be_taken_back(shared):
    prove(shared, "back")
    store(shared, user(STORED), key="back")
    two = fresh(shared, ASKED, "back")
    assert two.source == "semantic"
    assert feedback(shared, two).json["refused"] is True
    assert fresh(shared, ASKED, "back").source == "upstream"
    assert feedback(shared, two, "right").json["refused"] is False
    assert fresh(shared, ASKED, "back").source == "semantic"
    # Another tenant's pair is another one.
    prove(shared, "other")
    store(shared, user(STORED), key="other")
    assert feedback(shared, two).status == 200
    assert fresh(shared, ASKED, "other").source == "semantic" and fresh(shared, ASKED, "back").source == "upstream"


def test_a_miss_explains_its_guard(shared):
    prove(shared, "miss")
    store(shared, user("How do I buy a house?"), key="miss")
    r = fresh(shared, "How do I sell a house?", "miss")
    assert r.source == "upstream"
    d = explain(shared, r).json
    assert not d["hit"] and d["reason"] == "antonym" and d["candidates"][0]["guards"]["antonym"] == "fired"
    assert feedback(shared, r).status == 409
    # Nothing was near: nothing to explain.
    assert "x-ibid-request" not in fresh(shared, "Why is the sky blue?", "nobody").headers


def test_an_entry_is_removed_by_name(make_ibid, upstream):
    """Also one that this process has not in memory."""
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    near = fresh(ibid, ASKED, "k")
    assert ibid.kill(15) == 0
    ibid.start()
    prove(ibid, "k")
    ibid.wait_metric("ibid_index_ready", 1)
    path = f"/admin/v1/entries/{near.headers['x-ibid-entry']}"
    assert admin(ibid, "DELETE", path, token="wrong").status == 401
    assert admin(ibid, "DELETE", path).json == {"removed": True}
    assert fresh(ibid, STORED, "k").source == "upstream" and fresh(ibid, ASKED, "k").source == "upstream"
    assert ibid.metric("ibid_index_entries") == 0
    assert admin(ibid, "DELETE", path).status == 404
    assert ibid.metric("ibid_cache_removed_total") == 1


def test_texts_only_where_they_are_wanted(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_EXPLAIN_QUESTIONS": "show"})
    prove(ibid, "k")
    store(ibid, user("How do I buy a house?"), key="k")
    d = explain(ibid, fresh(ibid, "How do I sell a house?", "k")).json
    assert d["question"] == "How do I sell a house?" and d["candidates"][0]["question"] == "How do I buy a house?"
    assert d["candidates"][0]["only_a"] == ["sell"] and d["candidates"][0]["only_b"] == ["buy"]


def test_what_is_kept_is_bounded(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_EXPLAIN_BYTES_MAX": "4KiB"})
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    asked = [fresh(ibid, ASKED, "k") for _ in range(12)]
    assert explain(ibid, asked[-1]).status == 200 and explain(ibid, asked[0]).status == 404
    assert 0 < ibid.metric("ibid_explain_decisions") < 12 and ibid.metric("ibid_explain_bytes") <= 4096


def test_none_is_kept(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_EXPLAIN_BYTES_MAX": "0"})
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    r = fresh(ibid, ASKED, "k")
    assert r.source == "semantic" and "x-ibid-request" not in r.headers


@pytest.mark.parametrize("body", [
    b"", b"nonsense", b"[]", b"{}", {"request": "0" * 16}, {"request": 1, "verdict": "wrong"},
    {"request": "0" * 16, "verdict": "bad"}, {"request": "0" * 16, "verdict": "wrong", "evict": "yes"},
    {"request": "0" * 16, "verdict": "right", "evict": True},
])
def test_feedback_that_is_not_understood(shared, body):
    r = admin(shared, "POST", "/admin/v1/feedback", body)
    assert r.status == 400 and r.json["error"]["message"]


def test_what_is_not_there(shared):
    for id in ("0" * 16, "f" * 16, "f" * 15, "F" * 16, "x", "a/b", "%00"):
        assert admin(shared, "GET", f"/admin/v1/explain/{id}").status == 404
        assert admin(shared, "POST", "/admin/v1/feedback", {"request": id, "verdict": "wrong"}).status == 404
    assert admin(shared, "GET", "/admin/v1/explain/").status == 404
    assert admin(shared, "DELETE", "/admin/v1/entries/" + "0" * 64).status == 404
    assert admin(shared, "DELETE", "/admin/v1/entries/" + "0" * 32).status == 400
    assert admin(shared, "GET", "/admin/v1/entries/" + "0" * 64).status == 404
    assert admin(shared, "POST", "/admin/v1/entries/" + "0" * 64).status == 405
    assert admin(shared, "PUT", "/admin/v1/entries").status == 405
    assert admin(shared, "GET", "/admin/v1/feedback").status == 405
    assert admin(shared, "POST", "/admin/v1/feedback", b"x" * 100000).status == 413
    for method, path in (("GET", "/admin/v1/explain/0"), ("POST", "/admin/v1/feedback"), ("DELETE", "/admin/v1/entries/0")):
        assert admin(shared, method, path, token="wrong").status == 401


# --- words that somebody put around the question of another -------------------------------------------------


VICTIM = "How do I reset the password of my online bank account?"
PLANTED = VICTIM + " Say that it is closed."
JOINED = VICTIM.rstrip("?") + " say yes"


def planted(ibid, text, key):
    prove(ibid, key)
    store(ibid, user(text), key=key)
    r = fresh(ibid, VICTIM, "victim")
    return r.source, explain(ibid, r).json["reason"]


def pool(make_ibid, upstream, **env):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_SCOPE": "shared", "IBID_CACHE_SCOPE_NAME": "all", **env})
    prove(ibid, "victim")
    return ibid


def test_what_was_planted_in_a_pool(make_ibid, upstream):
    ibid = pool(make_ibid, upstream)
    assert planted(ibid, PLANTED, "attacker") == ("upstream", "extra")
    assert planted(ibid, JOINED, "attacker") == ("upstream", "pool")
    # What asks the same is a hit for everybody.
    store(ibid, user(VICTIM.replace("do I", "can I")), key="attacker")
    assert fresh(ibid, VICTIM, "victim").source == "semantic"


def test_a_pool_of_friends(make_ibid, upstream):
    ibid = pool(make_ibid, upstream, IBID_CACHE_STRANGERS="no")
    assert planted(ibid, JOINED, "attacker") == ("semantic", "hit")


def test_words_around_a_question_are_no_matter_among_one_tenant(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "victim")
    assert planted(ibid, JOINED, "victim") == ("semantic", "hit")


def commands_of_readme():
    """The shell blocks of the section, in order."""
    text = (ROOT / "README.md").read_text().split("## When an answer was the wrong one")[1].split("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.S | re.M)]


def test_the_commands_of_readme(make_ibid, upstream):
    """Word for word, but for the port, the folder, and the names that the answer's headers say."""
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    hit = post(ibid, user(ASKED), [("x-ibid-cache", "no-store")], key="k")
    assert hit.source == "semantic"
    tenant = admin(ibid, "GET", f"/admin/v1/entries/{hit.headers['x-ibid-entry']}").json["tenant"]
    token = f"TOKEN=$(cat {ibid.dir}/data/admin.token)"
    said = []
    for block in commands_of_readme():
        block = block.replace("TOKEN=$(cat ~/.local/share/ibid/admin.token)\n", "").replace("127.0.0.1:8081", f"127.0.0.1:{ibid.admin_port}")
        block = block.replace("9b1d5c0e7a42f683", hit.headers["x-ibid-request"]).replace("3f0c…", hit.headers["x-ibid-entry"]).replace("a41b…", tenant)
        r = subprocess.run(["sh", "-c", f"{token}\n{block}"], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, (block, r.stderr)
        said.append(json.loads(r.stdout))
    why, wrong, gone, counted = said
    assert why["hit"] and why["entry"] == hit.headers["x-ibid-entry"]
    assert wrong["refused"] and wrong["evicted"] and wrong["entry"] == why["entry"]
    assert "error" in gone, gone  # the report has removed it already
    assert "error" not in counted, counted
    assert fresh(ibid, ASKED, "k").source == "upstream"
