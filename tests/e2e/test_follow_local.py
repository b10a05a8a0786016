"""The same question to the built-in model by many at the same time: it is written once, and streams get it as it comes."""
import json
import socket
import threading

import pytest

from client import post, reasons, said, until, user
from conftest import needs_decoder
from wire import Answer, chat_bytes, read_all

pytestmark = needs_decoder
LONG = {"question": "Write a very long essay about the history of the sea.", "max_tokens": 120}
MANY = 200


@pytest.fixture
def ibid(make_ibid):
    """One that has one answer written at a time, and lets few wait: were it asked more often, it would say so."""
    return make_ibid(local=True, env={"IBID_LOCAL_QUEUE_MAX": "2", "IBID_LOCAL_SEQUENCES": "1"})


def begin(ibid, stream=True, **kw):
    s = socket.create_connection(("127.0.0.1", ibid.port), 10)
    s.sendall(chat_bytes(stream=stream, **{**LONG, **kw}))
    return s


def first_word(s):
    data = b""
    s.settimeout(60)
    while data.count(b'"content":') < 3:
        part = s.recv(65536)
        assert part, data
        data += part
    return data


def ended(s, data=b""):
    more, how = read_all(s, 120)
    s.close()
    return Answer(data + more, how)


def written(ibid):
    """Tokens that the model has written."""
    return ibid.metric('ibid_local_tokens_total{kind="completion"}')


def by(ibid, source):
    return ibid.metric('ibid_requests_total{source="%s"}' % source)


def test_two_hundred_streams_are_one_answer(ibid):
    leader = begin(ibid)
    got = [(leader, first_word(leader))]
    got += [(s, first_word(s)) for s in (begin(ibid) for _ in range(MANY - 1))]
    out = [ended(s, data) for s, data in got]
    assert all(r.status == 200 and r.whole and r.body == out[0].body for r in out)
    assert [r.source for r in out] == ["local"] + ["coalesced"] * (MANY - 1)
    assert out[0].body.endswith(b"data: [DONE]\n\n") and len(said(out[0].body)) > 100
    assert written(ibid) == LONG["max_tokens"]
    assert ibid.metric("ibid_streams_followed_total") == MANY - 1 and by(ibid, "local") == 1 and by(ibid, "coalesced") == MANY - 1


@pytest.mark.parametrize("limit", [12, 200])
def test_two_hundred_whole_ones_are_one_answer(ibid, limit):
    """One that is cut at the limit, too: it is not kept, but would be cut there again. The other ends by itself."""
    question = "What is the capital of France?" if limit == 200 else LONG["question"]
    out, start = [], threading.Barrier(MANY)

    def one():
        start.wait()
        out.append(post(ibid, user(question, model="gpt-4o", max_tokens=limit)))
    threads = [threading.Thread(target=one) for _ in range(MANY)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(out) == MANY and all(r.status == 200 for r in out), {(r.status, r.source) for r in out}
    assert len({r.text for r in out}) == 1 and len({r.json["usage"]["completion_tokens"] for r in out}) == 1
    assert {r.json["choices"][0]["finish_reason"] for r in out} == {"length" if limit == 12 else "stop"}
    assert written(ibid) == out[0].json["usage"]["completion_tokens"]
    assert by(ibid, "local") == 1
    assert ibid.metric("ibid_cache_stored_total") == (limit == 200)
    if limit == 12:
        assert reasons(ibid, "ibid_cache_unstored_total") == {"truncated": 1}


def test_calls_that_the_operator_has_reused_are_one_answer(make_ibid):
    ibid = make_ibid(local=True, env={"IBID_CACHE_TOOL_CALLS": "exact", "IBID_LOCAL_QUEUE_MAX": "2", "IBID_LOCAL_SEQUENCES": "1"})
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"],
                                                                              "additionalProperties": False}}}
    sockets = [begin(ibid, stream=n % 2 == 0, question="The weather in Paris?", tools=[tool], tool_choice="required") for n in range(20)]
    out = [ended(s) for s in sockets]
    assert all(r.status == 200 and r.whole for r in out) and by(ibid, "local") == 1, {(r.status, r.source) for r in out}
    assert {r.json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] for r in out[1::2]} == {out[1].json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]}


def test_the_first_one_leaves(ibid):
    """It is written to its end for the others, and what it cost is in the book."""
    leader = begin(ibid)
    first_word(leader)
    others = [(s, first_word(s)) for s in (begin(ibid) for _ in range(5))]
    leader.close()
    ibid.wait_metric("ibid_client_gone_total", 1)
    late = begin(ibid)
    others.append((late, first_word(late)))
    out = [ended(s, data) for s, data in others]
    assert all(r.whole and r.body == out[0].body and r.source == "coalesced" for r in out)
    assert written(ibid) == LONG["max_tokens"]
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "its end")


def test_when_all_have_left_the_model_stops(ibid):
    clients = [begin(ibid) for _ in range(3)]
    for s in clients:
        first_word(s)
    for n, s in enumerate(clients):
        s.close()
        ibid.wait_metric("ibid_client_gone_total", n + 1)
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0 and ibid.metric("ibid_local_sequences") == 0, "the worker to stop", 5)
    assert ibid.metric("ibid_cache_stored_total") == 0
    assert post(ibid, user("Hi.", max_tokens=1)).status == 200


def test_a_deadline_is_one_for_all(make_ibid):
    ibid = make_ibid(local=True, env={"IBID_LOCAL_DEADLINE_MS": "2500", "IBID_LOCAL_CPU_SHARE": "0.05"})
    leader = begin(ibid, max_tokens=500)
    first_word(leader)
    follower = begin(ibid, max_tokens=500)
    data = first_word(follower)
    leader.close()  # and it holds also where nobody leads
    r = ended(follower, data)
    assert not r.whole and b"[DONE]" not in r.body and json.loads(r.body.split(b"data: ")[-1])["error"]["message"] == "the built-in model stopped early"
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "its end")


def test_who_wants_other_bytes_waits_for_the_end(ibid):
    leader = begin(ibid)
    data = first_word(leader)
    others = [begin(ibid, stream=False), begin(ibid, stream_options={"include_usage": True}), begin(ibid, headers=["x-ibid-metadata: on"])]
    ibid.wait_metric("ibid_requests_in_flight", 4)
    text = said(ended(leader, data).body)
    out = [ended(s) for s in others]
    assert all(r.source == "coalesced" and r.whole for r in out)
    assert out[0].text == text and all(said(r.body) == text for r in out[1:])
    assert ibid.metric("ibid_streams_followed_total") == 0 and written(ibid) == LONG["max_tokens"]


def test_who_reads_nothing_holds_up_nobody(ibid):
    leader = begin(ibid)
    data = first_word(leader)
    stuck = begin(ibid)
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    follower = begin(ibid)
    mine = first_word(follower)
    assert ended(leader, data).body == ended(follower, mine).body
    assert ended(stuck).whole


def test_the_program_ends_while_they_follow(make_ibid):
    ibid = make_ibid(local=True, env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "300", "IBID_LOCAL_CPU_SHARE": "0.05"})
    got = [(s, first_word(s)) for s in (begin(ibid, max_tokens=500) for _ in range(3))]
    got.pop(0)[0].close()
    ibid.wait_metric("ibid_client_gone_total", 1)
    ibid.stop()
    for s, data in got:
        assert not ended(s, data).whole
