"""Other settings while ibid serves: adopted as a whole, or refused with reasons; requests in flight
end under those they began with."""
import http.client
import json
import os
import signal
import threading
import time

import pytest

from conftest import free_port
from test_shutdown import WORDS, finish, start_stream
from upstream import Upstream, answer, stream


@pytest.fixture
def other():
    u = Upstream()
    yield u
    u.close()


def write(ibid, text):
    """As a person's editor does: whole, under the same name."""
    path = ibid.dir / "ibid.yaml"
    (ibid.dir / "next").write_text(text)
    os.replace(ibid.dir / "next", path)


def reload(ibid, status=200):
    r = ibid.request("POST", "/admin/v1/reload", headers={"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)
    assert r.status == status, r.body
    return r.json


def hang_up(ibid):
    before = ibid.metric("ibid_config_reloads_total")
    ibid.proc.send_signal(signal.SIGHUP)
    ibid.wait_metric("ibid_config_reloads_total", before + 1)


def price(usd):
    return f"prices:\n  - {{model: stub-model, input: {usd}, output: {usd}, source: a page, date: 2026-01-01}}\n"


def to(*upstreams):
    return "upstreams:\n" + "".join(
        f"  - {{name: {n}, url: {u.url}{extra}}}\n" for n, u, extra in upstreams)


def effective(ibid):
    return ibid.admin("/admin/v1/config", ibid.token()).body.decode()


def test_a_reload_changes_what_holds_for_new_requests(make_ibid, upstream):
    ibid = make_ibid(upstream, config=price(1))
    assert ibid.chat("one").source == "upstream"
    write(ibid, price(2) + "cache: {exact: off}\nlog_level: debug\n")
    r = reload(ibid)
    assert r["reloaded"] and r["generation"] == 2 and r["needs_restart"] == []
    assert sorted(r["changed"]) == ["cache.exact", "log_level", "prices"]
    assert ibid.chat("one").source == "upstream", "cache.exact is off now"
    assert "exact: off" in effective(ibid) and "input: 2" in effective(ibid)
    state = ibid.stats()["config"]
    assert state["generation"] == 2 and not state["last_reload_refused"] and state["needs_restart"] == []
    assert abs(state["loaded_ms"] / 1000 - time.time()) < 60
    write(ibid, price(2))
    hang_up(ibid)
    assert ibid.chat("one").source == "exact"
    assert ibid.metric("ibid_config_generation") == 3
    assert ibid.metric('ibid_config_reloads_total{outcome="adopted"}') == 2
    assert 'event="config_reloaded" generation=3' in ibid.read_log()


def test_savings_are_counted_at_the_price_that_held(make_ibid, upstream):
    ibid = make_ibid(upstream, config=price(1))
    upstream.default = lambda r: answer("a", usage=(500000, 500000))
    ibid.chat("one")
    assert ibid.chat("one").source == "exact"
    ibid.wait_metric("ibid_saved_usd", 1)
    assert ibid.metric("ibid_saved_usd") == pytest.approx(1)
    write(ibid, price(10))
    reload(ibid)
    assert ibid.chat("one").source == "exact"
    ibid.wait_metric("ibid_saved_usd", 11)
    assert ibid.metric("ibid_saved_usd") == pytest.approx(11)


@pytest.mark.parametrize("text, reasons", [
    ("cache: {threshold: 2}\n", ["ibid.yaml:1: cache.threshold: '2' is not within"]),
    ("cache: [\n", ["ibid.yaml:"]),
    ("upstreams:\n  - {name: a, url: 'ftp://x'}\n", ["upstreams: a: url: expected http"]),
    # Two that only the parts themselves find.
    ("upstreams:\n  - {name: a, url: 'https://x', ca_file: /nowhere/ca.pem}\n"
     "privacy_patterns:\n  - {name: p, pattern: '(', action: count}\n",
     ["upstreams: a: url: ", "privacy_patterns: p"]),
    ("upstreams:\n  - {name: a, url: 'http://x', credential: 'file:/nowhere/key'}\n", ["credential: 'file:/nowhere/key' has none"]),
    ("route: {models: m, classifier: /nowhere/c.json}\n", ["route.classifier: '/nowhere/c.json' can not be read"]),
    ("upstream: {accept_file: /nowhere/keys}\n", ["upstream.accept_file: "]),
    ("prices_file: /nowhere/prices.yaml\n", ["/nowhere/prices.yaml: No such file"]),
])
def test_bad_settings_are_refused_with_reasons_and_the_old_ones_stay(make_ibid, upstream, text, reasons):
    ibid = make_ibid(upstream, config=price(1))
    before = effective(ibid)
    ibid.chat("one")
    write(ibid, text)
    r = reload(ibid, 422)
    assert not r["reloaded"] and r["generation"] == 1
    said = r["error"]["reasons"]
    assert len(said) == len(reasons)
    for want, got in zip(reasons, said):
        assert want in got
    assert effective(ibid) == before
    assert ibid.chat("one").source == "exact" and ibid.chat("two").status == 200
    hang_up(ibid)
    assert ibid.read_log().count('event="config_refused"') == 2 * len(reasons)
    assert ibid.metric('ibid_config_reloads_total{outcome="refused"}') == 2
    assert ibid.metric("ibid_config_last_reload_refused") == 1
    write(ibid, price(1))
    assert reload(ibid)["generation"] == 2
    assert ibid.metric("ibid_config_last_reload_refused") == 0


def test_a_file_that_is_gone_is_refused(make_ibid, upstream):
    ibid = make_ibid(upstream, config=price(1))
    (ibid.dir / "ibid.yaml").unlink()
    assert "No such file" in reload(ibid, 422)["error"]["reasons"][0]


def test_what_needs_a_restart_is_named_and_stays(make_ibid, upstream):
    ibid = make_ibid(upstream, config="store: {ttl_s: 100}\ncache: {semantic: off}\n")
    write(ibid, "store: {ttl_s: 200, queue_max: 77}\ncache: {semantic: on, refusals_max: 5, top_k: 3}\n")
    r = reload(ibid)
    assert sorted(r["needs_restart"]) == ["cache.refusals_max", "cache.semantic", "store.queue_max"]
    assert sorted(r["changed"]) == ["cache.top_k", "store.ttl_s"]
    now = effective(ibid)
    assert "queue_max: 77" not in now and "ttl_s: 200" in now and "semantic: off" in now
    assert 'needs_restart="store.queue_max' in ibid.read_log()
    assert ibid.metric("ibid_config_needs_restart") == 3
    assert sorted(ibid.stats()["config"]["needs_restart"]) == sorted(r["needs_restart"])
    # Back as it was: nothing waits for a restart any more.
    write(ibid, "cache: {semantic: off}\n")
    assert reload(ibid)["needs_restart"] == []


def test_the_environment_still_comes_last(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_CACHE_TOP_K": "5"}, config="cache: {top_k: 2}\n")
    write(ibid, "cache: {top_k: 3, floor: 0.5}\n")
    assert reload(ibid)["changed"] == ["cache.floor"]
    assert "top_k: 5" in effective(ibid)


def test_requests_in_flight_end_where_they_began(make_ibid, upstream, other):
    upstream.default = lambda r: stream(WORDS, pieces=60, gap=0.02)
    other.default = lambda r: answer("the other")
    ibid = make_ibid(config=to(("a", upstream, "")))
    started = [start_stream(ibid, f"q{i}", close=True) for i in range(20)]
    write(ibid, to(("b", other, "")))
    assert reload(ibid)["changed"] == ["upstreams"]
    new = ibid.chat("new")
    assert new.text == "the other" and new.source == "upstream"
    for s in started:
        assert finish(*s).whole
    assert len(upstream.posts()) == 20 and len(other.posts()) == 1
    # The one that is gone has no connection left.
    end = time.monotonic() + 5
    while any(c.fileno() >= 0 and not peer_closed(c) for c in tuple(upstream.conns)):  # its threads take theirs out
        assert time.monotonic() < end
        time.sleep(0.01)
    assert not any('upstream="a"' in l for l in ibid.admin("/metrics").body.decode().splitlines())


def peer_closed(c):
    """The stub's threads end when the connection does."""
    try:
        return c.getpeername() is None
    except OSError:
        return True


def test_an_unchanged_upstream_keeps_its_connections(make_ibid, upstream, other):
    ibid = make_ibid(config=to(("a", upstream, ", models: stub-model")))
    for i in range(3):
        ibid.chat(f"q{i}")
    assert upstream.connections == 1
    write(ibid, to(("b", other, ", models: another"), ("a", upstream, ", models: stub-model")))
    reload(ibid)
    ibid.chat("q4")
    assert upstream.connections == 1, "it was connected to anew"
    assert ibid.chat("q4", model="another").status == 200 and other.connections == 1
    # With another limit it is another.
    write(ibid, to(("a", upstream, ", models: stub-model")) + "upstream: {connections_max: 3}\n")
    reload(ibid)
    ibid.chat("q5")
    assert upstream.connections == 2


def test_an_upstream_that_is_down_is_still_known_to_be(make_ibid, upstream):
    down = free_port()
    records = f"upstreams:\n  - {{name: a, url: 'http://127.0.0.1:{down}/v1', fallback_urls: '{upstream.url}'}}\n"
    ibid = make_ibid(config=records)
    assert ibid.chat("one").status == 200
    assert ibid.metric('ibid_upstream_up{upstream="a",place="0"}') == 0
    write(ibid, records + "cache: {top_k: 2}\n")
    reload(ibid)
    assert ibid.metric('ibid_upstream_up{upstream="a",place="0"}') == 0


def test_a_credential_is_read_anew(make_ibid, upstream):
    ibid = make_ibid(upstream, config="cache: {exact: off}\n")
    key = ibid.dir / "key"
    key.write_text("first\n")
    text = "cache: {exact: off}\n" + to(("a", upstream, f", credential: 'file:{key}'"))
    write(ibid, text)
    reload(ibid)
    ibid.chat("one")
    key.write_text("second\n")
    ibid.chat("two")
    assert reload(ibid)["changed"] == []
    ibid.chat("three")
    assert [r.header("authorization") for r in upstream.posts()] == [["Bearer first"], ["Bearer first"], ["Bearer second"]]


def test_listed_credentials_are_read_anew(make_ibid, upstream):
    ibid = make_ibid(upstream, config="cache: {exact: on}\n")
    keys = ibid.dir / "keys"
    keys.write_text("sk-a\n")
    # Nobody is accepted by the upstream's word.
    text = f"upstream: {{auth_ttl_s: 1, accept_file: {keys}}}\n"
    write(ibid, text)
    reload(ibid)
    ibid.chat("one", key="sk-a")
    ibid.chat("one", key="sk-b")
    time.sleep(1.2)
    assert ibid.chat("one", key="sk-a").source == "exact"
    keys.write_text("sk-b\n")
    reload(ibid)
    assert ibid.chat("one", key="sk-b").source == "exact"
    assert ibid.chat("one", key="sk-a").source == "upstream"


def test_privacy_rules_routes_and_limits(make_ibid, upstream):
    ibid = make_ibid(upstream, config="cache: {exact: off}\n")
    mail = "write to jane.roe@example.com please"
    assert ibid.chat(mail).status == 200
    write(ibid, "cache: {exact: off}\nprivacy: {email: refuse}\n"
                "privacy_patterns:\n  - {name: ticket, pattern: 'TICKET-[0-9]+', action: refuse}\n"
                "routes:\n  - {name: stay, models: secret-model, to: local}\n"
                "limits: {body_max_bytes: 2KiB}\n")
    r = reload(ibid)
    assert sorted(r["changed"]) == ["limits.body_max_bytes", "privacy.email", "privacy_patterns", "routes"]
    n = len(upstream.posts())
    assert ibid.chat(mail).status == 403
    assert ibid.chat("TICKET-42").status == 403
    assert ibid.chat("q", model="secret-model").status == 503, "there is no built-in model"
    assert ibid.chat("x" * 4096).status == 403, "too large to be looked through"
    assert len(upstream.posts()) == n
    write(ibid, "cache: {exact: off}\nlimits: {body_max_bytes: 1MiB}\n")
    reload(ibid)
    assert ibid.chat(mail).status == 200 and ibid.chat("x" * 500000).status == 200


def test_a_mounted_folder_that_is_swapped(make_ibid, upstream):
    """As Kubernetes updates a ConfigMap: ibid.yaml -> ..data/ibid.yaml, ..data -> a dated folder."""
    ibid = make_ibid(upstream, config="cache: {top_k: 2}\n")
    for n, k in (("..1", 2), ("..2", 6)):
        (ibid.dir / n).mkdir()
        (ibid.dir / n / "ibid.yaml").write_text(f"cache: {{top_k: {k}}}\n")
    (ibid.dir / "..data").symlink_to("..1")
    (ibid.dir / "ibid.yaml").unlink()
    (ibid.dir / "ibid.yaml").symlink_to("..data/ibid.yaml")
    assert reload(ibid)["changed"] == []
    (ibid.dir / "..tmp").symlink_to("..2")
    os.replace(ibid.dir / "..tmp", ibid.dir / "..data")
    hang_up(ibid)
    assert "top_k: 6" in effective(ibid)


def test_the_token_and_the_method_are_needed(make_ibid, upstream):
    ibid = make_ibid(upstream, config=price(1))
    assert ibid.request("POST", "/admin/v1/reload", port=ibid.admin_port).status == 401
    r = ibid.request("GET", "/admin/v1/reload", headers={"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)
    assert r.status == 405
    assert ibid.metric("ibid_config_reloads_total") == 0


def test_while_it_drains_nothing_is_adopted(make_ibid, upstream):
    upstream.default = lambda r: stream(WORDS, pieces=60, gap=0.02)
    ibid = make_ibid(upstream, config=price(1))
    s = start_stream(ibid, "one")
    ibid.proc.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert reload(ibid, 422)["error"]["reasons"] == ["ibid is being stopped"]
    assert finish(*s).whole
    assert ibid.proc.wait(40) == 0  # a second signal would come while it ends


def test_nothing_is_lost_while_settings_change(make_ibid, upstream, other):
    """Clients on kept connections, hits and misses, and a reload every few milliseconds that changes
    upstreams, rules and limits."""
    for u in (upstream, other):
        u.default = lambda r: answer("a")
    texts = [to(("a", upstream, ""), ("b", other, "")) + "privacy: {email: count}\n",
             to(("b", other, "")) + "limits: {body_max_bytes: 1MiB, idle_timeout_ms: 50000}\n" + price(1),
             to(("a", upstream, "")) + "upstream: {connections_max: 7}\nroutes:\n  - {name: r, models: x, regex: 'a+', to: upstream}\n"]
    ibid = make_ibid(config=texts[0])
    failed, counts, stop = [], [0] * 4, threading.Event()

    def client(n):
        c = http.client.HTTPConnection("127.0.0.1", ibid.port, timeout=30)
        while not stop.is_set():
            question = f"q{counts[n] % 50 if counts[n] % 2 else counts[n] * 4 + n}"
            body = json.dumps({"model": "stub-model", "messages": [{"role": "user", "content": question}]})
            try:
                c.request("POST", "/v1/chat/completions", body, {"authorization": "Bearer k", "content-type": "application/json"})
                r = c.getresponse()
                if json.loads(r.read())["choices"][0]["message"]["content"] != "a" or r.status != 200:
                    failed.append(r.status)
            except Exception as e:  # noqa: BLE001: whatever it is, it is a failure
                failed.append(repr(e))
                return
            counts[n] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for i in range(60):
        write(ibid, texts[i % 3])
        assert reload(ibid)["reloaded"]
    stop.set()
    for t in threads:
        t.join()
    assert not failed and min(counts) > 10
    assert ibid.metric("ibid_config_generation") == 61
