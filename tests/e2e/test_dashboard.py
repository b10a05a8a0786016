"""The dashboard: its files, the admin API behind it, and its pages in a real browser (Debian's Chromium). Pictures of
every page go to build/screenshots."""
import http.client
import json
import os
import pathlib
import re
import shutil
import urllib.parse

import pytest

from client import post, prove, serving, store, until, user
from conftest import ROOT, needs_encoder
from test_admin import get as ask
from test_admin import strict
from test_wrong_hit import ASKED, STORED, fresh
from traffic import PRICES, Traffic
from upstream import Reply, answer

PAGES = ["overview", "latency", "similarity", "inbox", "partitions", "entries", "purge", "routes", "engine", "configuration"]
SHOW = "explain: {questions: show}\n"
MODES = {
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2, "has_touch": True},
    "phone-dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 2, "has_touch": True},
}
SHOTS = ROOT / "build/screenshots"
AXE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ibid/clients/browser/node_modules/axe-core/axe.min.js")
MALICE = "Where is </script><img src=x onerror=\"window.pwned=1\"> & <b>'the \"invoice'</b> javascript:alert(1)?"


def admin(ibid, method, path, body=None):
    return ibid.request(method, path, None if body is None else json.dumps(body), {"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)


def entries(ibid, **query):
    r = admin(ibid, "GET", "/admin/v1/entries?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote))
    assert r.status == 200, r.body
    return strict(r.body)


# --- files ------------------------------------------------------------------------------------------------

def linked(page):
    return re.findall(rb'(?:src|href)="(/[^"]+)"', page)


def test_its_files_are_open_and_hold_nothing(make_ibid, upstream):
    ibid = make_ibid(upstream)
    page = ask(ibid, "/dashboard")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    names, seen = [f.decode() for f in linked(page.body)], {}
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen[name] = ask(ibid, name)
        assert seen[name].status == 200, name
        names += [f"/dashboard/{m.decode()}" for m in re.findall(rb'from "\./([^"]+)"', seen[name].body)]
    files = {p.name for p in (ROOT / "src/admin/dashboard").iterdir() if p.suffix in (".js", ".css", ".svg")}
    assert {n.rsplit("/", 1)[1] for n in seen} == files | {"uPlot.iife.min.js", "uPlot.min.css"}
    for name, r in {"/dashboard": page, **seen}.items():
        policy = dict(d.strip().split(" ", 1) for d in r.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert set(policy.values()) <= {"'none'", "'self'", "'script'"}, policy  # nothing inline, nothing of others
        assert r.headers["x-content-type-options"] == "nosniff" and r.headers["cache-control"] == "no-store"
        assert ibid.token().encode() not in r.body
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", r.body.replace(b"https://github.com/leeoniya/uPlot", b"")), name
    assert b"<style" not in page.body and b" style=" not in page.body and not re.search(rb"<script(?![^>]*src=)", page.body) and not re.search(rb"\son\w+=", page.body)
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        r = ask(ibid, "/dashboard", [("Content-Length", "0")], method=method)
        assert r.status in (400, 405), method
    for path in ("/dashboard/", "/dashboard/nothing.js", "/dashboard/../admin/v1/stats", "/dashboard/style.css/"):
        assert ask(ibid, path).status in (400, 401), path
    # And not to clients.
    upstream.default = lambda r: Reply(404, b"{}")
    assert post(ibid, None, path="/dashboard", method="GET").status == 404


# --- the admin API behind it --------------------------------------------------------------------------------

@needs_encoder
def test_nothing_that_was_asked_is_shown_by_default(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    assert fresh(ibid, ASKED, "k").source == "semantic"
    for path in ("stats", "savings", "ledger", "policy", "models", "config", "latency", "similarity", "inbox", "routes", "engine", "series", "entries", "decisions",
                 "entries?q=invoice", "entries?q=answer"):
        r = admin(ibid, "GET", f"/admin/v1/{path}")
        assert r.status == 200 and b"invoice" not in r.body and b"answer 1" not in r.body, path
    assert entries(ibid)["matched"] == 1 and entries(ibid)["questions"] is False
    assert entries(ibid, q="invoice")["matched"] == 0  # nor can it be guessed by looking for it


@needs_encoder
def test_a_pair_is_judged_once(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, config=SHOW)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    for _ in range(3):
        assert fresh(ibid, ASKED, "k").source == "semantic"
    assert fresh(ibid, "Where could I download my invoice?", "k").source == "semantic"
    box = strict(admin(ibid, "GET", "/admin/v1/inbox").body)
    assert box["waiting"] == len(box["pairs"]) == 2 and {p["asked"] for p in box["pairs"]} == {ASKED, "Where could I download my invoice?"}
    assert all(p["stored"] == STORED and p["served"] and p["probability"] >= p["threshold"] for p in box["pairs"])
    assert [p["probability"] for p in box["pairs"]] == sorted(p["probability"] for p in box["pairs"])
    pair = next(p for p in box["pairs"] if p["asked"] == ASKED)
    assert admin(ibid, "POST", "/admin/v1/feedback", {"request": pair["request"], "verdict": "right"}).status == 200
    assert fresh(ibid, ASKED, "k").source == "semantic"  # again, and is not asked about again
    box = strict(admin(ibid, "GET", "/admin/v1/inbox").body)
    assert [p["asked"] for p in box["pairs"]] == ["Where could I download my invoice?"] and (box["reported_right"], box["reported_wrong"]) == (1, 0)
    s = strict(admin(ibid, "GET", "/admin/v1/similarity").body)
    assert sum(s["similarity"]["served"]) == sum(s["probability"]["served"]) == 5 and s["threshold"] == 0.88 and sum(s["probability"]["served"][:43]) == 0


BAD = ["limit=0", "limit=101", "limit=x", "limit=", "after=1", "after=-", f"after=0-{'0' * 64}", f"after=1-{'0' * 63}", "partition=1", f"partition={'g' * 64}", "tenant=", "x=1",
       "q=%", "q=%2", "q=%zz", "q=" + "a" * 129, "older_than_s=1"]


@pytest.mark.parametrize("url", ["lmdb:", "memory:", "redis"])
def test_what_is_stored_page_by_page(make_ibid, upstream, request, url):
    url = request.getfixturevalue("redis").url if url == "redis" else url
    upstream.default = lambda r: answer("because", model=r.json["model"])
    ibid = make_ibid(upstream, env={"IBID_STORE_URL": url})
    assert entries(ibid) == {"questions": False, "whole": True, "matched": 0, "entries": [], "ungrouped": 0, "partitions": []}
    for key in ("a", "b"):
        prove(ibid, key)
        for i in range(8):
            assert post(ibid, {**user(f"question {i}"), "model": f"model-{i % 2}"}, key=key).source == "upstream"
    until(lambda: entries(ibid)["matched"] == 16, "the store")
    seen, after = [], None
    for size in (5, 5, 5, 1):
        page = entries(ibid, limit=5, **({"after": after} if after else {}))
        assert page["matched"] == 16 and len(page["entries"]) == size
        seen, after = seen + page["entries"], page.get("next")
    assert after is None and len({e["entry"] for e in seen}) == 16 and [e["created_ms"] for e in seen] == sorted((e["created_ms"] for e in seen), reverse=True)
    assert entries(ibid, q="MODEL-1")["matched"] == 8 and entries(ibid, q=seen[3]["entry"][:10])["entries"] == [seen[3]]
    tenants = {e["tenant"] for e in seen}
    assert len(tenants) == 2 and all(entries(ibid, tenant=t)["matched"] == 8 for t in tenants)
    assert sum(p["entries"] for p in entries(ibid)["partitions"]) == 16
    for query in BAD:
        r = admin(ibid, "GET", f"/admin/v1/entries?{query}")
        assert r.status == 400 and strict(r.body)["error"]["message"], query
    assert admin(ibid, "DELETE", f"/admin/v1/entries/{seen[0]['entry']}").status == 200
    assert seen[0]["entry"] not in [e["entry"] for e in entries(ibid)["entries"]]
    assert strict(admin(ibid, "DELETE", f"/admin/v1/entries?tenant={seen[0]['tenant']}").body)["removed"] == 7
    until(lambda: entries(ibid)["matched"] == 8, "what is left")


def test_a_reader_of_entries_that_leaves(make_ibid, upstream):
    """The store is read for nobody, and the next one is served."""
    ibid = make_ibid(upstream)
    for _ in range(20):
        c = http.client.HTTPConnection("127.0.0.1", ibid.admin_port, timeout=10)
        c.request("GET", "/admin/v1/entries", headers={"authorization": f"Bearer {ibid.token()}"})
        c.close()
    until(lambda: admin(ibid, "GET", "/admin/v1/entries").status == 200, "its turn")


def test_figures_over_time_are_those_of_the_counters(make_ibid, upstream):
    ibid = make_ibid(upstream)
    prove(ibid, "k")
    for text in ("one", "one", "two"):
        post(ibid, user(text), key="k")
    until(lambda: len(strict(admin(ibid, "GET", "/admin/v1/series").body)["hour"]["at_ms"]) > 0, "ten seconds", timeout=20)
    hour = strict(admin(ibid, "GET", "/admin/v1/series").body)["hour"]
    by_source = ibid.stats()["requests"]["by_source"]
    assert sum(hour["exact"]) == by_source["exact"] == 1 and sum(hour["upstream"]) == by_source["upstream"] == 3
    assert sum(hour["saved_tokens"]) == 19 and {len(v) for v in hour.values() if isinstance(v, list)} <= {len(hour["at_ms"]), 0}


# --- in a browser -------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright not there: pip install -r tests/e2e/requirements.txt")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if not program:
        pytest.skip("chromium not there: apt install chromium")
    with api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=["--no-sandbox"])  # root in a container has none
        yield browser
        browser.close()


class Tab:
    """A page of one ibid; what a browser complains of fails the test at the end."""

    def __init__(self, browser, ibid, token=True, **mode):
        self.ibid, self.base = ibid, f"http://127.0.0.1:{ibid.admin_port}"
        self.context = browser.new_context(**(mode or MODES["desktop"]))
        self.page, self.faults, self.requests = self.context.new_page(), [], []
        self.page.set_default_timeout(20000)
        self.page.on("pageerror", lambda e: self.faults.append(str(e)))
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.faults.append(m.text))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(f"{self.base}/dashboard")
        if token:
            self.page.fill("#token", ibid.token())
            self.page.keyboard.press("Enter")
            self.page.wait_for_selector("h1:has-text('Overview')")

    def go(self, page, query=""):
        self.page.goto(f"{self.base}/dashboard#/{page}{query}")
        self.page.wait_for_selector(f"nav a[aria-current=page][href='#/{page}']", state="attached")
        self.page.wait_for_load_state("networkidle")
        return self.page

    def check(self, faults=()):
        assert [f for f in self.faults if not any(known in f for known in faults)] == []
        assert all(u.startswith(self.base + "/") for u in self.requests), self.requests

    def close(self, faults=()):
        self.context.close()
        self.check(faults)


@pytest.fixture
def tab(chromium):
    tabs = []

    def make(ibid, **kw):
        tabs.append(Tab(chromium, ibid, **kw))
        return tabs[-1]

    yield make
    for t in tabs:
        t.close()


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """With the policy that learns, under load all the while."""
    config = PRICES + SHOW + "cache: {policy: bounded}\n"
    with serving(tmp_path_factory.mktemp("dashboard"), encoder=True, config=config) as (ibid, up):
        traffic = Traffic(ibid, up)
        until(lambda: traffic.sent > 150 and ibid.metric("ibid_requests_total") > 150, "some load", timeout=120)
        yield ibid
        traffic.stop()


@pytest.fixture(scope="module")
def kept_tab(chromium):
    """One for each ibid and mode, for tests that only look."""
    tabs = {}

    def get(ibid, mode="desktop"):
        key = ibid.admin_port, mode
        if key not in tabs:
            tabs[key] = Tab(chromium, ibid, **MODES[mode])
        return tabs[key]

    yield get
    for t in tabs.values():
        t.close()


def findings(page):
    if not AXE.exists():
        pytest.skip("axe-core not there: tests/run.sh fetches it")
    page.evaluate(AXE.read_text())
    return [(v["id"], v["impact"], [n["target"] for n in v["nodes"]][:3]) for v in page.evaluate("axe.run()")["violations"]]


@needs_encoder
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("mode", MODES)
def test_every_page(busy, kept_tab, mode, name):
    t = kept_tab(busy, mode)
    page = t.go(name)
    page.wait_for_selector("main .card, main pre, main .note")
    assert page.locator("h1").count() == 1 and page.locator("main .note.bad").count() == 0
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}-{mode}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, "wider than the screen"
    assert findings(page) == []
    t.check()


@pytest.mark.parametrize("name", PAGES)
def test_a_fresh_ibid_has_empty_pages(kept_tab, shared_fresh, name):
    t = kept_tab(shared_fresh)
    page = t.go(name)
    page.wait_for_selector("main .card, main pre")
    assert page.locator("main .note.bad").count() == 0 and "undefined" not in page.inner_text("main") and "NaN" not in page.inner_text("main")
    page.screenshot(path=str(SHOTS / f"{name}-empty.png"), full_page=True)
    assert findings(page) == []
    t.check()


@pytest.fixture(scope="module")
def shared_fresh(tmp_path_factory):
    SHOTS.mkdir(parents=True, exist_ok=True)
    with serving(tmp_path_factory.mktemp("fresh")) as (ibid, _):
        yield ibid


def test_the_token_is_asked_for_and_stays_in_the_tab(chromium, shared_fresh):
    t = Tab(chromium, shared_fresh, token=False)
    page = t.page
    page.wait_for_selector("#token")
    assert findings(page) == []
    page.screenshot(path=str(SHOTS / "token.png"))
    page.fill("#token", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]:has-text('not the token')")
    assert page.evaluate("sessionStorage.length") == 0
    page.fill("#token", f"  {shared_fresh.token()}\n")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Overview')")
    page.reload()
    page.wait_for_selector("h1:has-text('Overview')")
    assert page.evaluate("localStorage.length") == 0 and page.evaluate("document.cookie") == "" and shared_fresh.token() not in page.url
    other = t.context.new_page()
    other.goto(f"{t.base}/dashboard")
    other.wait_for_selector("#token")
    t.close(faults=["401"])


@needs_encoder
def test_a_wrong_pair_is_evicted(make_ibid, upstream, tab):
    ibid = make_ibid(upstream, encoder=True, config=SHOW)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    assert fresh(ibid, ASKED, "k").source == "semantic"
    page = tab(ibid).go("inbox")
    assert page.inner_text(".side >> nth=0").endswith(ASKED) and page.inner_text(".side >> nth=1").endswith(STORED)
    assert page.locator("mark").all_inner_texts() == ["do", "can"]
    page.click("button:has-text('Wrong')")
    page.wait_for_selector("text=Nothing to judge.")
    assert "the stored answer is gone" in page.inner_text("#said")
    assert ibid.metric("ibid_feedback_total") == 1 and ibid.metric("ibid_index_entries") == 0
    assert fresh(ibid, STORED, "k").source == "upstream"
    store(ibid, user(STORED), key="k")
    assert "detail=reported" in fresh(ibid, ASKED, "k").headers["cache-status"]


@needs_encoder
def test_a_pair_is_judged_by_keyboard(make_ibid, upstream, tab):
    ibid = make_ibid(upstream, encoder=True, config=SHOW)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    assert fresh(ibid, ASKED, "k").source == "semantic"
    page = tab(ibid).page
    page.wait_for_selector("nav .badge")

    def press_until(text):
        for _ in range(40):
            page.keyboard.press("Tab")
            if text in (page.evaluate("document.activeElement.textContent") or ""):
                return
        pytest.fail(f"no way to {text} by the keyboard")

    page.evaluate("document.activeElement.blur()")
    press_until("To the content")
    press_until("Inbox")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Inbox'):focus")  # so that a screen reader begins there
    page.wait_for_selector(".side")
    press_until("Right")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Nothing to judge.")
    assert ibid.metric("ibid_feedback_total") == 1 and fresh(ibid, ASKED, "k").source == "semantic"


def test_the_menu_of_a_phone(shared_fresh, tab):
    page = tab(shared_fresh, **MODES["phone"]).page
    assert not page.is_visible("nav a")
    page.tap("text=Menu")
    assert page.get_attribute("#menu", "aria-expanded") == "true"
    page.screenshot(path=str(SHOTS / "menu-phone.png"))
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert not page.is_visible("nav a") and page.evaluate("document.activeElement.id") == "menu"
    page.keyboard.press("Enter")
    page.tap("nav >> text=Routes")
    page.wait_for_selector("h1:has-text('Routes')")
    assert not page.is_visible("nav a") and page.get_attribute("#menu", "aria-expanded") == "false"


@needs_encoder
def test_without_leave_no_question_is_shown(make_ibid, upstream, tab):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    assert fresh(ibid, ASKED, "k").source == "semantic"
    t = tab(ibid)
    for name in PAGES:
        assert "invoice" not in t.go(name).inner_text("body"), name
    page = t.go("inbox")
    assert "Questions are hidden" in page.inner_text("main") and page.locator(".verdict button").count() == 0
    page.screenshot(path=str(SHOTS / "inbox-hidden.png"), full_page=True)


@needs_encoder
def test_what_was_asked_is_never_markup(make_ibid, upstream, tab):
    upstream.default = lambda r: answer("because", model=r.json["model"])
    ibid = make_ibid(upstream, encoder=True, config=SHOW)
    prove(ibid, "k")
    store(ibid, {**user(MALICE), "model": "<img src=x onerror=pwned=1>"}, key="k")
    t = tab(ibid)
    page = t.go("entries")
    page.wait_for_selector("table")
    assert MALICE in page.inner_text("table") and "<img src=x onerror=pwned=1>" in page.inner_text("table")
    page = t.go("entries", "?q=" + urllib.parse.quote("</script>"))
    page.wait_for_selector("table")
    assert page.input_value("input[type=search]") == "</script>" and MALICE in page.inner_text("table")
    t.go("partitions"), t.go("routes")
    assert page.evaluate("window.pwned") is None and page.locator("main img, main b, main script").count() == 0


def test_an_entry_is_removed_and_others_purged(make_ibid, upstream, tab):
    ibid = make_ibid(upstream)
    for key in ("a", "b"):
        prove(ibid, key)
        for i in range(3):
            post(ibid, user(f"question {i}"), key=key)
    until(lambda: entries(ibid)["matched"] == 6, "the store")
    t = tab(ibid)
    page = t.go("entries")
    page.wait_for_selector("h2:has-text('6 entries')")
    page.click("tbody tr >> nth=0 >> text=Remove")
    assert entries(ibid)["matched"] == 6  # it asks first
    page.click("text=Really remove?")
    page.wait_for_selector("h2:has-text('5 entries')")
    until(lambda: entries(ibid)["matched"] == 5, "the removal")
    left = [e["tenant"] for e in entries(ibid)["entries"]]
    tenant = max(left, key=left.count)  # the one that has three
    page = t.go("purge", f"?tenant={tenant}")
    page.click("text=Count them first")
    page.wait_for_selector(f"text=3 entries of tenant {tenant[:12]}")
    assert entries(ibid)["matched"] == 5
    page.fill("input[name=age]", "1")
    assert page.locator("text=Remove 3").count() == 0  # another wish is another count
    page.click("text=Count them first")
    page.wait_for_selector("text=0 entries of tenant")
    page.fill("input[name=age]", "")
    page.click("text=Count them first")
    page.click("text=Remove 3")
    page.wait_for_selector("text=3 entries were removed.")
    until(lambda: {e["tenant"] for e in entries(ibid)["entries"]} == {e["tenant"] for e in entries(ibid)["entries"]} - {tenant}, "the purge")
    page.fill("input[name=tenant]", "zz")
    page.click("text=Count them first")
    page.wait_for_selector("[role=alert]:has-text('64 hexadecimal digits')")
    t.faults = [f for f in t.faults if "400" not in f]


def test_without_its_charts_there_are_tables(shared_fresh, chromium):
    """As a build has it that found no uPlot."""
    prove(shared_fresh, "k")
    until(lambda: len(strict(admin(shared_fresh, "GET", "/admin/v1/series").body)["hour"]["at_ms"]) > 0, "ten seconds", timeout=20)
    t = Tab(chromium, shared_fresh, token=False)
    t.context.route("**/uPlot.iife.min.js", lambda r: r.fulfill(body="/* Built without charts. */", content_type="text/javascript"))
    t.page.reload()
    t.page.fill("#token", shared_fresh.token())
    t.page.keyboard.press("Enter")
    t.page.wait_for_selector("details[open] table")
    assert t.page.locator("canvas").count() == 0 and "Upstream" in t.page.inner_text("details table >> nth=0")
    assert findings(t.page) == []
    t.close()


def test_an_ibid_that_is_gone_is_said(make_ibid, upstream, chromium):
    ibid = make_ibid(upstream)
    t = Tab(chromium, ibid)
    t.page.wait_for_selector(".health:has-text('ready')")
    assert ibid.kill(15) == 0
    t.page.wait_for_selector("[role=alert]:has-text('does not answer')")
    ibid.start()
    t.page.wait_for_selector("[role=alert]", state="detached")
    t.context.close()
