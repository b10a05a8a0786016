"""cache.rewrite: a follow-up question is compared without its conversation where it is sure what it means."""
import pytest

from client import post, prove, serving, store, until
from conftest import needs_encoder
from test_wrong_hit import explain, feedback
from upstream import answer

pytestmark = needs_encoder

FULL = "How is gout prevented?"
NO_STORE = [("x-ibid-cache", "no-store")]


def talk(*turns, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    for turn in turns[:-1]:
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "So it is said."}]
    return {"model": "m", "messages": messages + [{"role": "user", "content": turns[-1]}]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("rewrite"), encoder=True,
                 env={"IBID_CACHE_REWRITE": "rules", "IBID_EXPLAIN_QUESTIONS": "show"}) as both:
        yield both[0]


def test_what_it_means_is_compared(shared):
    prove(shared, "made")
    one = store(shared, talk(FULL), key="made")
    two = post(shared, talk("What is gout?", "How is it prevented?"), NO_STORE, key="made")
    assert (two.source, two.text, two.headers.get("x-ibid-rewrite")) == ("semantic", one.text, "made"), two.headers
    d = explain(shared, two).json
    assert (d["asked"], d["question"], d["rewritten"]) == ("How is it prevented?", FULL, True)
    assert shared.metric('ibid_cache_rewrite_total{reason="made"}') >= 1


def test_another_conversation_is_another_question(shared):
    prove(shared, "other")
    one = store(shared, talk(FULL), key="other")
    for first in ("What is malaria?", "What is rust?", "Tell me about Oslo."):
        two = post(shared, talk(first, "How is it prevented?"), NO_STORE, key="other")
        assert two.source == "upstream" and two.text != one.text, (first, two.headers)


def test_a_conversation_is_found_by_another(shared):
    """What was stored in the one is found in the other, and by who asks in full."""
    prove(shared, "both")
    one = store(shared, talk("What is gout?", "Can it come back?", "How is it prevented?"), key="both")
    two = post(shared, talk("Tell me about gout.", "How is it prevented?"), NO_STORE, key="both")
    three = post(shared, talk("how is gout prevented"), NO_STORE, key="both")
    assert [(r.source, r.text) for r in (two, three)] == [("semantic", one.text)] * 2, (two.headers, three.headers)


def test_a_clear_question_is_clear_anywhere(shared):
    prove(shared, "whole")
    one = store(shared, talk("What is the capital of Norway?"), key="whole")
    two = post(shared, talk("What is gout?", "What is the capital of Norway?"), NO_STORE, key="whole")
    assert (two.source, two.text, two.headers.get("x-ibid-rewrite")) == ("semantic", one.text, "whole"), two.headers


@pytest.mark.parametrize("turns", [
    ("Answer in French.", "What is the capital of Norway?"),
    ("Explain all of it briefly.", "What is the capital of Norway?"),
    ("I am a child.", "What is the capital of Norway?"),
    ("What is Sweden? Keep it short.", "What is the capital of Norway?"),
], ids=["language", "manner", "person", "several"])
def test_what_may_change_the_answer_keeps_the_conversation(shared, turns):
    prove(shared, turns[0])
    one = store(shared, talk("What is the capital of Norway?"), key=turns[0])
    two = post(shared, talk(*turns), NO_STORE, key=turns[0])
    assert two.source == "upstream" and two.text != one.text and "x-ibid-rewrite" not in two.headers, two.headers


def test_the_rest_is_compared_exactly(shared):
    prove(shared, "exact")
    one = store(shared, talk("What is gout?", "How is it prevented?", system="You are a doctor."), key="exact")
    ask = ("Tell me about gout.", "How is it prevented?")
    assert post(shared, talk(*ask, system="You are a doctor."), NO_STORE, key="exact").text == one.text
    for body in (talk(*ask, system="You are a poet."), talk(*ask), {**talk(*ask, system="You are a doctor."), "model": "n"}):
        two = post(shared, body, NO_STORE, key="exact")
        assert two.source == "upstream" and two.text != one.text, two.headers


def test_where_it_is_not_sure_the_conversation_counts(shared):
    """As without the setting: the same conversation, other last words."""
    prove(shared, "open")
    asked = ("What is the capital of France?", "How many people live there?")
    one = store(shared, talk(*asked), key="open")
    two = post(shared, talk(asked[0], "How many people are living there?"), NO_STORE, key="open")
    assert (two.source, two.text) == ("semantic", one.text) and "x-ibid-rewrite" not in two.headers, two.headers
    three = post(shared, talk("What is the capital of Spain?", asked[1]), NO_STORE, key="open")
    assert three.source == "upstream" and three.text != one.text


def test_an_answer_that_points_back_stays_in_its_conversation(shared, make_ibid, upstream):
    upstream.default = answer("As mentioned above, with iron.")
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_REWRITE": "rules"})
    prove(ibid, "k")
    ask = talk("What is gout?", "How is it prevented?")
    assert post(ibid, ask, key="k").source == "upstream"
    until(lambda: ibid.metric('ibid_cache_exact_only_total{reason="leans_back"}') == 1, "counted")
    assert post(ibid, ask, key="k").source == "exact"
    assert post(ibid, talk(FULL), NO_STORE, key="k").source == "upstream"


def test_off_is_the_default(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    one = store(ibid, talk(FULL), key="k")
    two = post(ibid, talk("What is gout?", "How is it prevented?"), NO_STORE, key="k")
    assert two.source == "upstream" and two.text != one.text and "x-ibid-rewrite" not in two.headers


def test_a_wrong_one_never_comes_again(shared):
    prove(shared, "wrong")
    store(shared, talk(FULL), key="wrong")
    ask = talk("What is gout?", "How is it prevented?")
    two = post(shared, ask, NO_STORE, key="wrong")
    assert two.source == "semantic", two.headers
    said = feedback(shared, two)
    assert said.status == 200 and said.json["refused"], said.body
    assert post(shared, ask, NO_STORE, key="wrong").source == "upstream"
