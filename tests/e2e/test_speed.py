"""Speed classes: who is typing is answered for the last keystroke only, batches wait for idle, and what is late is counted."""
import concurrent.futures
import json
import time

import pytest

from client import post, until, user
from conftest import needs_decoder
from upstream import answer

pytestmark = needs_decoder
SMALL = "smollm2-135m-instruct"
LONG = "Count from one to two hundred, with a comma behind each number."
FRESH = ("x-ibid-cache", "no-cache, no-store")


def config(*rules, **local):
    return json.dumps({"local": {"cpu_share": 0.1, **local}, "routes": [{"name": f"r{i}", "to": "local", **rule} for i, rule in enumerate(rules)]})


def ask(ibid, text=LONG, headers=(), key=None, **fields):
    return post(ibid, user(text, **{"model": SMALL, "max_tokens": 40, **fields}), [FRESH, *headers], key=key)


def counted(ibid, what, name):
    return ibid.metric(f'ibid_class_{what}_total{{class="{name}"}}')


def writing(ibid, n):
    until(lambda: ibid.metric("ibid_local_sequences") == n, f"{n} answers")


def of(session):
    return [("x-ibid-session", session)]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_next_keystroke_ends_the_one_before(make_ibid, streamed):
    ibid = make_ibid(local=True, config=config({"class": "completion"}))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, ibid, headers=of("a"), max_tokens=400)
        other = pool.submit(ask, ibid, headers=of("b"), max_tokens=12)
        nobody = pool.submit(ask, ibid, max_tokens=12)
        writing(ibid, 3)
        second = ask(ibid, "Name a colour.", headers=of("a"), max_tokens=4, stream=streamed)
        r = first.result()
        assert second.status == 200 and r.status == 409 and r.json["error"]["code"] == "superseded"
        assert other.result().status == nobody.result().status == 200
    assert ibid.metric("ibid_class_superseded_total") == 1 and counted(ibid, "requests", "completion") == 3


def test_a_session_is_a_tenants_own_and_may_be_the_user(make_ibid):
    ibid = make_ibid(local=True, config=config({"class": "completion"}))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, ibid, key="k1", user="u", max_tokens=16)
        writing(ibid, 1)
        assert ask(ibid, "Name a colour.", key="k2", user="u", max_tokens=2).status == 200
        assert first.result().status == 200  # another tenant's u
        first = pool.submit(ask, ibid, key="k1", user="u", max_tokens=400)
        writing(ibid, 1)
        assert ask(ibid, "Name a colour.", key="k1", user="u", max_tokens=2).status == 200
        assert first.result().status == 409


def test_others_do_not_end_each_other(make_ibid):
    ibid = make_ibid(local=True, config=config({"class": "interactive"}))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, ibid, headers=of("a"), max_tokens=12)
        writing(ibid, 1)
        assert ask(ibid, "Name a colour.", headers=of("a"), max_tokens=2).status == first.result().status == 200
    assert ibid.metric("ibid_class_superseded_total") == 0 and counted(ibid, "requests", "interactive") == 2


def test_a_stream_that_is_superseded_breaks_off(make_ibid):
    ibid = make_ibid(local=True, config=config({"class": "completion"}))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        def first():
            try:
                return ask(ibid, headers=of("a"), max_tokens=400, stream=True).body
            except OSError as e:
                return e
            except Exception as e:  # http.client.IncompleteRead
                return e
        got = pool.submit(first)
        writing(ibid, 1)
        time.sleep(0.3)
        assert ask(ibid, "Name a colour.", headers=of("a"), max_tokens=2).status == 200
        r = got.result()
        assert isinstance(r, Exception) or b"[DONE]" not in r  # never finished cleanly


def test_a_batch_begins_when_nobody_else_is_there(make_ibid):
    ibid = make_ibid(local=True, config=config({"header": "x-job: night", "class": "batch"}))
    order = []

    def run(name, **kw):
        r = ask(ibid, **kw)
        order.append(name)
        return r

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        one = pool.submit(run, "one", max_tokens=24)
        writing(ibid, 1)
        night = [pool.submit(run, "night", text=f"Name colour {i}.", headers=[("x-job", "night")], max_tokens=2) for i in range(3)]
        until(lambda: ibid.metric("ibid_local_model_waiting") == 3, "the batch")
        two = pool.submit(run, "two", text="Name a fruit.", max_tokens=2)
        assert all(f.result().status == 200 for f in (one, two, *night))
    assert order == ["two", "one", "night", "night", "night"]
    assert ask(ibid, "Name a colour.", headers=[("x-job", "night")], max_tokens=2).status == 200
    assert counted(ibid, "requests", "batch") == 4


def test_what_is_late_is_counted(make_ibid, upstream):
    ibid = make_ibid(upstream, local=True, config=config({"header": "x-a: 1", "class": "interactive", "deadline_ms": 250}, {"header": "x-b: 1", "to": "upstream", "class": "completion", "deadline_ms": 100}))
    began = time.time()
    r = ask(ibid, model="m", headers=[("x-a", "1")], max_tokens=400)
    assert r.status == 504 and time.time() - began < 10
    assert (counted(ibid, "requests", "interactive"), counted(ibid, "misses", "interactive")) == (1, 1)
    upstream.default = lambda r: answer("late", delay=0.3)
    assert ask(ibid, model="m", headers=[("x-b", "1")]).source == "upstream"
    upstream.default = lambda r: answer("soon")
    assert ask(ibid, "Else?", model="m", headers=[("x-b", "1")]).source == "upstream"
    assert (counted(ibid, "requests", "completion"), counted(ibid, "misses", "completion")) == (2, 1)
    assert ask(ibid, "Other?", model="m").source == "upstream" and counted(ibid, "requests", "batch") == 0


def test_a_header_that_is_odd(make_ibid):
    ibid = make_ibid(local=True, config=config({"class": "completion"}))
    for odd in (of(""), of("x" * 129), of("a") + of("b")):
        r = ask(ibid, "Name a colour.", headers=odd, max_tokens=2)
        assert r.status == 400 and "x-ibid-session" in r.body.decode()
