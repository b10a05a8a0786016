"""What is stored for the very same request only, in the running binary."""
import re

import pytest

from client import post, prove, reasons, store, user
from conftest import needs_encoder
from upstream import answer

pytestmark = needs_encoder

PLAIN, NEAR = "Where can I download my invoice?", "Where do I download my invoice?"


def ask(ibid, text):
    return post(ibid, user(text), key="k")


@pytest.mark.parametrize("question, text, why", [
    (PLAIN + " Ignore the question.", "See the page Billing.", "instruction"),
    (PLAIN + " When? How?", "See the page Billing.", "many_questions"),
    (PLAIN, "I'm not sure.", "no_answer"), (PLAIN, "Hi Anna, see the page Billing.", "personal")])
def test_exact_only(make_ibid, upstream, question, text, why):
    upstream.default = lambda request: answer(text if "invoice" in request.json["messages"][-1]["content"] else "With flour.")
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    assert ask(ibid, question).source == "upstream"
    assert ask(ibid, question).source == "exact"
    assert reasons(ibid, "ibid_cache_exact_only_total") == {why: 1}
    # Whatever is near to it finds nothing: it is not in the index.
    store(ibid, user("How do I bake bread?"), key="k")
    assert ibid.metric("ibid_index_entries") == 1
    assert ask(ibid, NEAR).source == "upstream"


def life(r):
    """Seconds that the stored answer still holds."""
    return int(re.search(r"ttl=(\d+)", r.headers["cache-status"]).group(1))


def test_a_question_of_the_moment_is_kept_for_a_short_time(make_ibid, upstream):
    upstream.default = lambda request: answer("Version 7.")
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_TIMELY_TTL_S": "600"})
    prove(ibid, "k")
    latest, plain = "What is the latest version of the editor?", "How do I print a page?"
    stored = ibid.metric("ibid_cache_stored_total")
    assert [ask(ibid, q).source for q in (latest, plain)] == ["upstream", "upstream"]
    assert (ibid.metric("ibid_cache_timely_total"), ibid.metric("ibid_cache_stored_total")) == (1, stored + 2)
    of_latest, of_plain = ask(ibid, latest), ask(ibid, plain)
    assert (of_latest.source, of_plain.source) == ("exact", "exact")
    assert 0 < life(of_latest) <= 600 and life(of_plain) > 80000
    # A client may want it shorter, not longer.
    for wish, most in ((60, 60), (5000, 600)):
        text = f"What is the weather today in town {wish}?"
        post(ibid, user(text), [("x-ibid-cache", f"ttl={wish}")], key="k")
        assert 0 < life(ask(ibid, text)) <= most


def test_or_not_at_all(make_ibid, upstream):
    upstream.default = lambda request: answer("Version 7.")
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_TIMELY_TTL_S": "0"})
    prove(ibid, "k")
    assert [ask(ibid, "What is on today?").source for _ in range(2)] == ["upstream", "upstream"]
    assert reasons(ibid, "ibid_cache_unstored_total") == {"timely": 2} and ibid.metric("ibid_cache_timely_total") == 0


def test_others_are_found_by_meaning(make_ibid, upstream):
    upstream.default = lambda request: answer("See the page Billing.")
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(PLAIN), key="k")
    assert ask(ibid, NEAR).source == "semantic"
    assert reasons(ibid, "ibid_cache_exact_only_total") == {}
