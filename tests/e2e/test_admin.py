"""The admin listener: who may see what, in which shape, and what no spelling of a path gets around."""
import http.client
import json
import math
import re
import signal
import socket

import pytest

from client import Gate, later, post, prove, reasons, serving, until, user
from conftest import Response
from upstream import Reply, answer, stream

OPEN = ["/healthz", "/readyz", "/metrics"]
GUARDED = ["/admin/v1/stats", "/admin/v1/savings", "/admin/v1/ledger", "/admin/v1/models", "/admin/v1/config", "/admin/v1/latency",
           "/admin/v1/similarity", "/admin/v1/inbox", "/admin/v1/routes", "/admin/v1/engine", "/admin/v1/series"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("admin")) as both:
        yield both


def send(port, data, method="GET"):
    """Raw bytes; the status of the answer, or None when there was none."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(data)
        r = http.client.HTTPResponse(s, method=method)
        try:
            r.begin()
        except (http.client.HTTPException, OSError):
            return None
        return Response(r, r.read())


def get(ibid, target, headers=(), method="GET", host="127.0.0.1"):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *[f"{k}: {v}" for k, v in headers]]
    return send(ibid.admin_port, "\r\n".join(lines).encode() + b"\r\n\r\n", method)


@pytest.mark.parametrize("path", OPEN)
def test_open_to_everybody(shared, path):
    ibid, _ = shared
    for headers in ([], [("Authorization", "Bearer wrong")]):
        assert get(ibid, path, headers).status == 200
        assert get(ibid, path + "?x=1", headers).status == 200


@pytest.mark.parametrize("path", GUARDED)
def test_only_with_the_token(shared, path):
    ibid, _ = shared
    token = ibid.token()
    assert get(ibid, path, [("Authorization", f"Bearer {token}")]).status == 200
    assert get(ibid, path, [("authorization", f"bearer {token}")]).status == 200  # RFC 9110: the scheme has no case
    for headers in ([], [("Authorization", "")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")], [("Authorization", f"Basic {token}")], [("Authorization", token)],
                    [("Authorization", f"Bearer {token[:-1]}")], [("Authorization", f"Bearer {token}x")], [("Authorization", f"Bearer {token} {token}")],
                    [("Authorization", f"Bearer {token.upper() if token.upper() != token else token.lower()}")],
                    [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")], [("Authorization", "Bearer x"), ("Authorization", f"Bearer {token}")],
                    [("X-Authorization", f"Bearer {token}")], [("Cookie", f"token={token}")], [("Proxy-Authorization", f"Bearer {token}")]):
        r = get(ibid, path, headers)
        assert r.status == 401 and r.headers["www-authenticate"] == "Bearer" and token.encode() not in r.body, headers
    assert get(ibid, f"{path}?token={token}&access_token={token}").status == 401


def test_unknown_paths(shared):
    ibid, _ = shared
    for path in ("/", "/admin", "/admin/v1", "/admin/v2/stats", "/v1/chat/completions", "/debug", "/.env"):
        assert get(ibid, path).status == 401  # nobody learns what there is
        assert get(ibid, path, [("Authorization", f"Bearer {ibid.token()}")]).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(shared, method):
    ibid, _ = shared
    for path in GUARDED + OPEN:
        r = get(ibid, path, [("Content-Length", "0")], method=method)
        assert r is None or r.status in (400, 401, 405), (path, r.status)
    r = get(ibid, GUARDED[0], [("Authorization", f"Bearer {ibid.token()}"), ("Content-Length", "0")], method=method)
    assert r is None or r.status in (400, 405)


SPELLINGS = [
    "//admin/v1/stats", "/admin//v1/stats", "/admin/v1//stats", "/admin/v1/stats/", "/admin/v1/stats/.", "/admin/v1/x/../stats", "/./admin/v1/stats", "/healthz/../admin/v1/stats",
    "/%61dmin/v1/stats", "/admin%2fv1%2fstats", "/admin/v1/%2e/stats", "/healthz/%2e%2e/admin/v1/stats", "/admin/v1/stats%00", "/admin/v1/stats%20", "/admin/v1/stats%0d%0a",
    "/admin/v1/stats;x=1", "/healthz;/admin/v1/stats", "/healthz;/../admin/v1/stats", "/ADMIN/V1/STATS", "/Admin/v1/stats", "/admin/v1/Stats",
    "/admin/v1/stats#x", "/admin\\v1\\stats", "\\admin/v1/stats", "/healthz?/admin/v1/stats", "/healthz/admin/v1/stats", "/metrics/../admin/v1/config", "/admin/v1/stats?/healthz",
    "http://127.0.0.1/admin/v1/stats", "http://localhost/healthz/../admin/v1/stats", "HTTP://evil/admin/v1/stats", "https://x/admin/v1/config", "admin/v1/stats", "*", "127.0.0.1:80",
    "//evil/admin/v1/stats", "///admin/v1/stats", "/admin/v1/stats\t", "/\xe1dmin/v1/stats", "/admin/v1/stats\x01",
]


@pytest.mark.parametrize("target", SPELLINGS, ids=repr)
def test_no_spelling_gets_around_the_token(shared, target):
    ibid, _ = shared
    for host in ("127.0.0.1", "localhost:8081", "admin", "evil.example", ""):
        for extra in ([], [("X-Original-URL", "/admin/v1/stats")], [("X-Rewrite-URL", "/admin/v1/stats"), ("X-Forwarded-For", "127.0.0.1")], [("X-HTTP-Method-Override", "GET")]):
            r = send(ibid.admin_port, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n".encode("latin-1") + "".join(f"{k}: {v}\r\n" for k, v in extra).encode() + b"\r\n")
            assert r is None or r.status >= 400 or (r.status == 200 and r.body == b"ok\n"), (r.status, r.body)


def test_the_admin_api_is_not_on_the_public_listener(shared):
    ibid, up = shared
    up.script = [Reply(status=404, body=b"{}")]
    token = [("Authorization", f"Bearer {ibid.token()}")]
    for path in OPEN + GUARDED:
        assert post(ibid, None, token, path=path, method="GET").status == 404 and up.requests[-1].target.endswith(path)
    up.script = []


def test_pipelined_and_kept_connections_are_judged_one_by_one(shared):
    ibid, _ = shared
    with_token = f"GET /admin/v1/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ibid.token()}\r\n\r\n".encode()
    without = b"GET /admin/v1/stats HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", ibid.admin_port), 10) as s:
        s.sendall(with_token + without + with_token + without)
        f, statuses = s.makefile("rb"), []
        for _ in range(4):
            statuses.append(f.readline().split()[1])
            length = 0
            while (h := f.readline().strip()):
                length = int(h.split(b":")[1]) if h.lower().startswith(b"content-length") else length
            f.read(length)
    assert statuses == [b"200", b"401", b"200", b"401"]


# --- what is said -----------------------------------------------------------------------------------------

LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (NaN|[+-]?Inf|[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


def parse(text):
    """Prometheus' text format 0.0.4, strictly: {family: (type, {(name, labels): value})}."""
    families, current = {}, None
    assert text.endswith("\n") and "\r" not in text
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in families and words, line
            families[name], current = [None, {}], name
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == current and families[name][0] is None and kind in ("counter", "gauge", "histogram") and not families[name][1], line
            families[name][0] = kind
        else:
            m = LINE.match(line)
            assert m, f"not a sample: {line!r}"
            name, labels, value = m[1], tuple(sorted(LABEL.findall(m[2] or ""))), float(m[3].replace("Inf", "inf"))
            kind, samples = families[current]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert name in [current + s for s in suffixes], f"{name} under {current}"
            assert (name, labels) not in samples and len({k for k, _ in labels}) == len(labels), line
            assert kind == "gauge" or value >= 0, line
            samples[name, labels] = value
    return families


def check_histogram(name, samples):
    series = {}
    for (n, labels), v in samples.items():
        key = tuple(x for x in labels if x[0] != "le")
        series.setdefault(key, {})[n[len(name):], dict(labels).get("le")] = v
    for key, s in series.items():
        buckets = sorted((math.inf if le == "+Inf" else float(le), v) for (part, le), v in s.items() if part == "_bucket")
        assert [v for _, v in buckets] == sorted(v for _, v in buckets) and buckets[-1] == (math.inf, s["_count", None]), (name, key)
        assert ("_sum", None) in s


def test_metrics_are_what_prometheus_reads(shared):
    ibid, up = shared
    post(ibid, user("proof of m"), key="m"), post(ibid, user("proof of m"), key="m"), post(ibid, b"{", key="m")
    r = ibid.admin("/metrics")
    assert r.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = parse(r.body.decode())
    for name, (kind, samples) in families.items():
        assert name.startswith("ibid_") and kind is not None
        # A counter says so by its name, and only a counter does.
        assert (kind == "counter") == name.endswith("_total"), name
        if kind == "histogram":
            check_histogram(name, samples)
    assert len(families) > 50 and any(("source", "exact") in labels and v >= 1 for (_, labels), v in families["ibid_requests_total"][1].items())
    again = parse(ibid.admin("/metrics").body.decode())
    for name, (kind, samples) in families.items():
        for key, v in samples.items():
            assert kind != "counter" or again[name][1][key] >= v, key


def strict(body):
    """JSON without repeated keys, NaN or Infinity."""
    def pairs(p):
        assert len({k for k, _ in p}) == len(p), p
        return dict(p)
    return json.loads(body, object_pairs_hook=pairs, parse_constant=lambda c: pytest.fail(c))


def test_views_are_json(shared):
    ibid, _ = shared
    for path in [p for p in GUARDED if p != "/admin/v1/config"]:
        r = ibid.admin(path, ibid.token())
        assert r.headers["content-type"] == "application/json" and r.headers["cache-control"] == "no-store" and strict(r.body)
    s = strict(ibid.admin(GUARDED[0], ibid.token()).body)
    assert s["requests"]["received"] >= 1 and s["store"]["kind"] == "lmdb" and s["index"]["state"] in ("absent", "ready")
    for path in ("/x", "/admin/v1/stats"):
        assert strict(ibid.admin(path).body)["error"]["message"]


def test_the_shown_configuration_can_be_used(shared, tmp_path):
    from test_cli import run
    ibid, _ = shared
    r = ibid.admin("/admin/v1/config", ibid.token())
    (tmp_path / "c.yaml").write_bytes(r.body)
    done = run("check", "-c", str(tmp_path / "c.yaml"))
    assert done.returncode == 0, done.stderr
    assert f"127.0.0.1:{ibid.port}" in done.stdout


def test_ready_and_degraded(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream)
    assert strict(ibid.admin("/readyz").body) == {"parts": {}, "status": "ready"}
    (tmp_path / "models").mkdir()
    worse = make_ibid(upstream, env={"IBID_STORE_URL": "redis://127.0.0.1:1", "IBID_ENCODER_MODEL": "all-minilm-l6-v2", "IBID_LOCAL_MODEL": "smollm2-135m-instruct", "IBID_MODEL_DIR": str(tmp_path / "models")})
    r = worse.admin("/readyz")
    body = strict(r.body)
    assert r.status == 200 and body["status"] == "degraded" and set(body["parts"]) == {"encoder", "local_model", "store"} and all(body["parts"].values())
    assert "ibid models pull" in body["parts"]["encoder"] + body["parts"]["local_model"]
    prove(worse, "k")
    assert post(worse, user("x"), key="k").source == "upstream" and post(worse, user("x"), key="k").source == "exact"


def test_a_token_of_ones_own(make_ibid, upstream, tmp_path):
    (tmp_path / "token").write_text("a-token-of-my-own-that-is-long\n")
    (tmp_path / "token").chmod(0o600)
    ibid = make_ibid(upstream, env={"IBID_ADMIN_TOKEN_FILE": str(tmp_path / "token")})
    assert ibid.admin("/admin/v1/stats", "a-token-of-my-own-that-is-long").status == 200
    assert ibid.admin("/admin/v1/stats", "a-token-of-my-own").status == 401


def test_draining(make_ibid, upstream):
    ibid = make_ibid(upstream)
    gate = Gate(stream("to the end"))
    upstream.default = gate
    last = later(post, ibid, user("slow", stream=True), key="k")
    assert gate.asked.wait(10)
    ibid.proc.send_signal(signal.SIGTERM)
    until(lambda: ibid.admin("/readyz").status == 503, "draining")
    assert strict(ibid.admin("/readyz").body)["status"] == "draining" and ibid.admin("/healthz").status == 200
    gate.open()
    r = last()
    assert r.status == 200 and r.body.endswith(b"[DONE]\n\n")
    assert ibid.proc.wait(10) == 0
