"""What is stored for the very same request only, in the running binary."""
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
    (PLAIN, "I'm not sure.", "no_answer")])
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


def test_others_are_found_by_meaning(make_ibid, upstream):
    upstream.default = lambda request: answer("See the page Billing.")
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(PLAIN), key="k")
    assert ask(ibid, NEAR).source == "semantic"
    assert reasons(ibid, "ibid_cache_exact_only_total") == {}
