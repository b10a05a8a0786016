"""The same question in other words: what is a hit, what must not be one, and what switches it off."""
import pytest

from client import Gate, later, post, prove, reasons, serving, store, until, user
from conftest import needs_encoder
from upstream import answer

pytestmark = needs_encoder

SAME = [
    ("How do I reset my password?", "How can I reset my password?"),
    ("What is the capital of France?", "what's the capital of France"),
    ("How do I cancel my subscription?", "How can I cancel my subscription?"),
    ("Explain how photosynthesis works.", "Explain how does photosynthesis work?"),
    ("Where can I download my invoice?", "Where do I download my invoice?"),
]
NOT_SAME = [
    ("How do I turn on dark mode?", "How do I turn off dark mode?"),
    ("How do I enable two-factor authentication?", "How do I disable two-factor authentication?"),
    ("What is 15% of 240?", "What is 15% of 250?"),
    ("Who won the 2014 World Cup?", "Who won the 2018 World Cup?"),
    ("Is it safe to eat raw eggs?", "Is it not safe to eat raw eggs?"),
    ("How do I convert euros to dollars?", "How do I convert dollars to euros?"),
    ("What is the capital of Sweden?", "What is the capital of Norway?"),
    ("Write a letter to Alice about the invoice.", "Write a letter to Bob about the invoice."),
    ("Is Python faster than Java?", "Is Java faster than Python?"),
    ("What happens before the meeting?", "What happens after the meeting?"),
    ("How many calories are in 100 g of rice?", "How many calories are in 200 g of rice?"),
    ("Translate \"good morning\" to German.", "Translate \"good evening\" to German."),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("semantic"), encoder=True) as both:
        yield both


@pytest.mark.parametrize("stored,asked", SAME)
def test_a_paraphrase_is_a_hit(shared, stored, asked):
    ibid, _ = shared
    key = f"same {SAME.index((stored, asked))}"
    prove(ibid, key)
    one = store(ibid, user(stored), key=key)
    two = post(ibid, user(asked), key=key)
    assert (two.source, two.text) == ("semantic", one.text), two.headers


@pytest.mark.parametrize("stored,asked", NOT_SAME)
def test_another_question_is_not(shared, stored, asked):
    ibid, _ = shared
    number = NOT_SAME.index((stored, asked))
    for a, b, key in ((stored, asked, f"there {number}"), (asked, stored, f"back {number}")):
        prove(ibid, key)
        one = store(ibid, user(a), key=key)
        two = post(ibid, user(b), key=key)
        assert two.source == "upstream" and two.text != one.text, two.headers


def test_a_question_belongs_to_its_conversation(shared):
    ibid, _ = shared
    prove(ibid, "history")

    def ask(about, text):
        messages = [{"role": "user", "content": f"Tell me about {about}."}, {"role": "assistant", "content": f"{about} is a city."}, {"role": "user", "content": text}]
        return {"model": "m", "messages": messages}
    oslo = store(ibid, ask("Oslo", "How many people live there?"), key="history")
    rome = post(ibid, ask("Rome", "How many people are living there?"), key="history")
    assert rome.source == "upstream" and rome.text != oslo.text
    again = post(ibid, ask("Oslo", "How many people are living there?"), key="history")
    assert (again.source, again.text) == ("semantic", oslo.text)


def test_the_same_system_prompt_is_no_hindrance(shared):
    ibid, _ = shared
    prove(ibid, "system")
    system = {"role": "system", "content": "You help users of Acme. " * 200}  # beyond the encoder's window, and not embedded
    one = store(ibid, {"model": "m", "messages": [system, {"role": "user", "content": SAME[0][0]}]}, key="system")
    two = post(ibid, {"model": "m", "messages": [system, {"role": "user", "content": SAME[0][1]}]}, key="system")
    assert (two.source, two.text) == ("semantic", one.text)


def test_streamed_and_whole_are_one_by_meaning(shared):
    ibid, _ = shared
    prove(ibid, "streams")
    one = store(ibid, user(SAME[0][0], stream=True, stream_options={"include_usage": True}), key="streams")
    two = post(ibid, user(SAME[0][1]), key="streams")
    assert two.source == "semantic" and two.text.encode().split()[-1] in one.body
    three = post(ibid, user(SAME[0][1], stream=True), key="streams")
    assert three.source == "semantic" and three.body.endswith(b"data: [DONE]\n\n")


def test_a_text_beyond_the_window_is_not_cut(shared):
    ibid, up = shared
    prove(ibid, "long")
    text = "The story goes on and on about many things. " * 200
    r = post(ibid, user(text + "What is the moral?"), key="long")
    assert r.source == "upstream" and "detail=text_too_long" in r.headers["cache-status"]
    # The end differs, where a cut text would not: not the same question.
    r = post(ibid, user(text + "Who is the hero?"), key="long")
    assert r.source == "upstream" and "detail=text_too_long" in r.headers["cache-status"]
    assert post(ibid, user(text + "Who is the hero?"), key="long").source == "exact"


def test_the_first_answer_to_a_new_key_is_found_by_meaning_later(shared):
    """Its credential was not proven when it was asked: it is embedded after the answer is out."""
    ibid, _ = shared
    one = store(ibid, user(SAME[1][0]), key="fresh")
    two = post(ibid, user(SAME[1][1]), key="fresh")
    assert (two.source, two.text) == ("semantic", one.text)


def test_no_user_text_no_meaning(shared):
    ibid, _ = shared
    prove(ibid, "nothing")
    for messages, why in (([{"role": "user", "content": ""}], "no_user_text"), ([{"role": "user", "content": []}], "no_user_text"),
                          ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "no_user_text")):
        r = post(ibid, {"model": "m", "messages": messages}, key="nothing")
        assert r.source == "upstream" and f"detail={why}" in r.headers["cache-status"]
    tools = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert "detail=tools" in post(ibid, user("x", **tools), key="nothing").headers["cache-status"]


def test_many_tenants_many_questions(shared):
    """Nobody's paraphrase ever meets another's answer."""
    ibid, _ = shared
    keys = [f"tenant-{i}" for i in range(12)]
    before = ibid.metric("ibid_index_entries")
    stored = {(k, q): post(ibid, user(q), key=k).text for k in keys for q, _ in SAME[:3]}
    until(lambda: ibid.metric("ibid_index_entries") == before + len(stored), "the index")
    owner = {text: (k, q) for (k, q), text in stored.items()}
    assert len(owner) == len(stored)
    for k in keys:
        for q, other in SAME[:3]:
            r = post(ibid, user(other), key=k)
            assert (r.source, owner[r.text]) == ("semantic", (k, q))


def test_an_answer_given_anew_replaces_the_old_one_by_meaning(shared):
    ibid, _ = shared
    prove(ibid, "anew")
    one = store(ibid, user(SAME[0][0]), key="anew")
    two = post(ibid, user(SAME[0][0]), [("x-ibid-cache", "no-cache")], key="anew")
    assert two.source == "upstream" and two.text != one.text
    r = post(ibid, user(SAME[0][1]), key="anew")
    assert (r.source, r.text) == ("semantic", two.text)


def test_max_age_counts_for_near_ones_too(shared):
    ibid, _ = shared
    prove(ibid, "age")
    store(ibid, user(SAME[0][0]), key="age")
    header = [("x-ibid-cache", "max-age=0, only-if-cached")]
    until(lambda: post(ibid, user(SAME[0][1]), header, key="age").status == 504, "an answer older than now")
    assert post(ibid, user(SAME[0][1]), [("x-ibid-cache", "no-cache, no-store")], key="age").source == "upstream"
    assert post(ibid, user(SAME[0][1]), [("x-ibid-cache", "max-age=60")], key="age").source == "semantic"


def test_near_questions_at_once_each_get_theirs(shared):
    """Only the very same question waits for one in flight."""
    ibid, up = shared
    prove(ibid, "flight")
    gate = Gate(lambda r: answer(r.json["messages"][0]["content"]))
    up.script = [gate]
    asks = [later(post, ibid, user(q), key="flight") for q in SAME[0]]
    until(lambda: sum(r.json["messages"][0]["content"] in SAME[0] and r.header("authorization") == ["Bearer flight"] for r in up.posts()) == 2, "both upstream")
    gate.open()
    up.script = []
    assert [a().text for a in asks] == list(SAME[0])


def test_off(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_SEMANTIC": "off"})
    prove(ibid, "k")
    assert post(ibid, user(SAME[0][0]), key="k").source == "upstream"
    r = post(ibid, user(SAME[0][1]), key="k")
    assert r.source == "upstream" and "detail=semantic_off" in r.headers["cache-status"]
    assert ibid.metric("ibid_encoder_texts_total") == 0 and post(ibid, user(SAME[0][0]), key="k").source == "exact"


def test_shadow(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_SEMANTIC": "shadow"})
    prove(ibid, "k")
    one = store(ibid, user(SAME[0][0]), key="k")
    r = post(ibid, user(SAME[0][1]), key="k")
    assert r.source == "upstream" and r.text != one.text and "detail=shadow" in r.headers["cache-status"]
    assert float(r.headers["x-ibid-confidence"]) >= 0.88  # it would have been one
    assert ibid.metric("ibid_cache_shadow_hits_total") == 1 and ibid.savings()["saved"]["prompt_tokens"] == 0
    assert ibid.savings()["requests"]["semantic"] == 0 and reasons(ibid, "ibid_cache_miss_total")["shadow"] == 1


def test_a_stricter_configuration(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_THRESHOLD": "0.9999"})
    prove(ibid, "k")
    store(ibid, user(SAME[0][0]), key="k")
    r = post(ibid, user(SAME[0][1]), [("x-ibid-threshold", "0.1")], key="k")
    assert r.source == "upstream" and "detail=below_threshold" in r.headers["cache-status"]


def test_meaning_survives_a_restart(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    one = store(ibid, user(SAME[0][0]), key="k")
    assert ibid.kill(15) == 0
    ibid.start()
    prove(ibid, "k")
    ibid.wait_metric("ibid_index_ready", 1)
    two = post(ibid, user(SAME[0][1]), key="k")
    assert (two.source, two.text) == ("semantic", one.text)
    assert post(ibid, user(SAME[0][0]), key="k").text == one.text
    # A new epoch starts with nothing that is found by meaning.
    assert ibid.kill(15) == 0
    ibid.env["IBID_CACHE_EPOCH"] = "1"
    ibid.start()
    prove(ibid, "k")
    ibid.wait_metric("ibid_index_ready", 1)
    assert post(ibid, user(SAME[0][1]), key="k").source == "upstream"
