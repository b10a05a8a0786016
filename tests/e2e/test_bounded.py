"""The policy `bounded` in the running binary: it learns from answers alone, keeps it over a restart,
shows what it has learned, and takes what people say."""
from client import post, prove, until, user
from conftest import needs_encoder
from test_wrong_hit import admin, explain, feedback
from upstream import answer

pytestmark = needs_encoder

ASKED = ["How can I change my PIN?", "How do I change my PIN number?", "Can I change the PIN of my card?",
         "Where can I change my card's PIN?", "I want to change my PIN", "How to change the PIN for my card?",
         "What do I do to change my card PIN?", "Please tell me how to change my PIN"]
PIN = "Open the drawer called Cards, press Security and choose four new digits."
SETTINGS = {"IBID_CACHE_POLICY": "bounded", "IBID_CACHE_ERROR_MAX": "0.005"}


def policy(ibid):
    return admin(ibid, "GET", "/admin/v1/policy").json


def ask(ibid, text):
    before = ibid.metric("ibid_index_entries")
    r = post(ibid, user(text), key="k")
    assert r.status == 200
    if r.source == "upstream":
        until(lambda: ibid.metric("ibid_index_entries") > before, "the index")
    return r


def reply(request):
    text = PIN if "PIN" in request.json["messages"][-1]["content"] else "Something else entirely, about gardens."
    return answer(text)


def test_learns_from_answers(make_ibid, upstream):
    upstream.default = reply
    ibid = make_ibid(upstream, encoder=True, env=SETTINGS)
    prove(ibid, "k")
    sources = [ask(ibid, text).source for text in ASKED]
    seen = policy(ibid)
    assert seen["policy"] == "bounded" and seen["error_max"] == 0.005
    # What was asked of the upstream beside a near question taught that it says the same.
    assert seen["all"]["same"] >= 2 and seen["all"]["other"] == 0
    assert seen["grouped_answers"] == seen["all"]["same"] + 1  # those that joined, and the one they did
    assert seen["all"]["served"] + seen["all"]["same"] == len(ASKED) - 1
    assert sources.count("semantic") == seen["all"]["served"]
    assert [p["same"] for p in seen["partitions"]] == [seen["all"]["same"]]
    assert ibid.metric('ibid_policy_labels_total') == seen["all"]["same"]
    # Exact hits are requests too: they earn the right to err.
    before = seen["all"]["requests"]
    assert post(ibid, user(ASKED[0]), key="k").source == "exact"
    assert policy(ibid)["all"]["requests"] == before + 1

    ibid.kill(15)
    ibid.start()
    after = policy(ibid)
    assert after["all"]["same"] == seen["all"]["same"] and after["grouped_answers"] == seen["grouped_answers"]


def test_neighbours_that_left_the_memory_teach_too(make_ibid, upstream):
    upstream.default = reply
    ibid = make_ibid(upstream, encoder=True, env={**SETTINGS, "IBID_CACHE_ERROR_MAX": "0.0001",
                                                      "IBID_STORE_MEMORY_ENTRIES_MAX": "1"})
    prove(ibid, "k")
    others = ["How tall is the tower?", "Which bird sings at night?", "What does a ticket to the sea cost?"]
    for text in [t for pair in zip(ASKED, others) for t in pair]:
        ask(ibid, text)
    until(lambda: policy(ibid)["all"]["same"] == len(others) - 1, "the labels")


def test_other_answers_are_learned_too(make_ibid, upstream):
    answers = iter([PIN, "Something else entirely, about gardens and hedges.", "Whales sing at night below the ice."])
    upstream.default = lambda request: answer(next(answers, "Nothing."))
    ibid = make_ibid(upstream, encoder=True, env={**SETTINGS, "IBID_CACHE_ERROR_MAX": "0.0001"})
    prove(ibid, "k")  # takes the first
    ask(ibid, ASKED[0])
    ask(ibid, ASKED[1])
    seen = policy(ibid)["all"]
    assert (seen["same"], seen["other"], seen["served"]) == (0, 1, 0)


def test_a_report_is_a_label(make_ibid, upstream):
    upstream.default = reply
    ibid = make_ibid(upstream, encoder=True, env={**SETTINGS, "IBID_CACHE_ERROR_MAX": "0.5", "IBID_CACHE_EXPLORE": "0"})
    prove(ibid, "k")
    hit = None
    for text in ASKED:
        r = ask(ibid, text)
        hit = r if r.source == "semantic" else hit
    assert hit is not None
    why = explain(ibid, hit).json
    assert why["reason"] == "hit" and why["probability"] >= why["threshold"] >= 0.5
    before = policy(ibid)["all"]
    assert feedback(ibid, hit).status == 200
    after = policy(ibid)["all"]
    assert (after["other"], after["same"]) == (before["other"] + 1, before["same"])
    assert after["weights"] != before["weights"]


def test_the_view_without_it(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    assert policy(ibid) == {"policy": "threshold", "threshold": 0.88}
    assert b"ibid_policy" not in ibid.admin("/metrics").body


def test_a_caller_can_only_tighten(make_ibid, upstream):
    upstream.default = reply
    ibid = make_ibid(upstream, encoder=True, env={**SETTINGS, "IBID_CACHE_ERROR_MAX": "0.5", "IBID_CACHE_EXPLORE": "0"})
    prove(ibid, "k")
    for text in ASKED[:-1]:
        ask(ibid, text)
    strict = post(ibid, user(ASKED[-1]), [("x-ibid-threshold", "0.9999"), ("x-ibid-cache", "no-store")], key="k")
    loose = post(ibid, user(ASKED[-1]), [("x-ibid-threshold", "0.01"), ("x-ibid-cache", "no-store")], key="k")
    assert (strict.source, loose.source) == ("upstream", "semantic")
