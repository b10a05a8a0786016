"""One tenant's flood does not starve another's request, where both wait for the built-in model."""
import threading

from client import post, until, user
from conftest import needs_decoder

pytestmark = needs_decoder


def test_a_flood_waits_for_itself(make_ibid):
    ibid = make_ibid(local=True, env={"IBID_LOCAL_QUEUE_MAX": "5", "IBID_LOCAL_SEQUENCES": "1"})
    ended, threads = [], []  # in the order of their ends

    def ask(key, i, tokens):
        r = post(ibid, user(f"Write a very long essay about river number {i}.", max_tokens=tokens), [("x-ibid-cache", "no-store")], key=key)
        ended.append((key, i, r.status, r.json.get("error", {}).get("code")))

    for i in range(6):  # one is at work, five wait: there is no more room
        threads.append(threading.Thread(target=ask, args=("flood", i, 48)))
        threads[-1].start()
        until(lambda: ibid.metric("ibid_local_sequences") == 1 and ibid.metric("ibid_local_queue") == i, f"{i} that wait")
    ask("other", 0, 4)
    at = len(ended)
    for t in threads:
        t.join()
    # The newest of the flood made room and was told; the one at work was waited for, and no more than one that came before.
    assert ("flood", 5, 503, "overloaded") in ended[:at]
    assert ended[at - 1] == ("other", 0, 200, None) and at <= 4
    assert sorted(e for e in ended if e[2] == 200 and e[0] == "flood") == [("flood", i, 200, None) for i in range(5)]
    assert ibid.metric("ibid_local_pushed_out_total") == 1 and ibid.metric("ibid_refused_total") == 1
    assert ibid.metric("ibid_local_queue") == 0
