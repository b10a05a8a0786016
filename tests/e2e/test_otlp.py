"""Traces and metrics to a collector: what OpenTelemetry's own definitions take, with the spans of a
request in one tree, and never at the expense of a request."""
import base64
import http.server
import json
import threading
import time

import pytest

from conftest import free_port
from upstream import Reply, answer, stream

google = pytest.importorskip("google.protobuf.json_format", reason="protobuf not there: pip install opentelemetry-proto")
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: E402

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def parse(kind, body):
    """OTLP's JSON is protobuf's, but for ids, which are hexadecimal. An unknown field is an error."""
    def fix(v):
        if isinstance(v, dict):
            return {k: base64.b64encode(bytes.fromhex(x)).decode() if k in ("traceId", "spanId", "parentSpanId") else fix(x)
                    for k, x in v.items()}
        return [fix(x) for x in v] if isinstance(v, list) else v
    return google.ParseDict(fix(json.loads(body)), kind())


class Collector:
    def __init__(self):
        self.traces, self.metrics, self.bodies, self.status, self.delay = [], [], [], 200, 0
        me = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-type"] == "application/json"
                time.sleep(me.delay)
                if me.status == 200:
                    me.bodies.append(body)
                    if self.path == "/v1/traces":
                        me.traces.append(parse(ExportTraceServiceRequest, body))
                    elif self.path == "/v1/metrics":
                        me.metrics.append(parse(ExportMetricsServiceRequest, body))
                self.send_response(me.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *a):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        return [s for t in list(self.traces) for r in t.resource_spans for c in r.scope_spans for s in c.spans]

    def wait(self, n, timeout=15):
        end = time.monotonic() + timeout
        while sum(s.kind == 2 for s in self.spans()) < n:
            assert time.monotonic() < end, f"{len(self.spans())} spans"
            time.sleep(0.02)
        return self.spans()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    c = Collector()
    yield c
    c.close()


def told(collector, **more):
    return {"IBID_TELEMETRY_OTLP_URL": collector.url, "IBID_TELEMETRY_METRICS_S": "0", **more}


def facts(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def server_spans(spans):
    return [s for s in spans if s.kind == 2]


def test_a_request_is_one_tree_under_its_callers(make_ibid, upstream, collector):
    upstream.default = lambda r: answer("a", usage=(12, 7), delay=0.05)
    ibid = make_ibid(upstream, env=told(collector))
    assert ibid.chat("secret question", headers={"traceparent": PARENT, "tracestate": "a=1"}).source == "upstream"
    spans = collector.wait(1)
    (root,) = server_spans(spans)
    (model,) = [s for s in spans if s.kind == 3]
    assert root.trace_id.hex() == PARENT[3:35] and root.parent_span_id.hex() == PARENT[36:52]
    assert root.name == "POST /v1/chat/completions"
    f = facts(root)
    assert f["http.request.method"] == "POST" and f["http.response.status_code"] == 200
    assert f["ibid.source"] == "upstream" and f["ibid.dialect"] == "openai.chat"
    assert all(s.trace_id == root.trace_id for s in spans)
    assert all(s.parent_span_id == root.span_id for s in spans if s is not root)
    assert len({s.span_id for s in spans}) == len(spans)
    assert model.name == "chat stub-model"
    f = facts(model)
    assert (f["gen_ai.operation.name"], f["gen_ai.provider.name"]) == ("chat", "openai")
    assert (f["gen_ai.request.model"], f["gen_ai.response.model"]) == ("stub-model", "stub-model")
    assert (f["gen_ai.usage.input_tokens"], f["gen_ai.usage.output_tokens"]) == (12, 7)
    assert (f["server.address"], f["server.port"]) == ("127.0.0.1", upstream.port)
    # The upstream was asked in the name of that span.
    (asked,) = upstream.posts()
    assert asked.header("traceparent") == [f"00-{PARENT[3:35]}-{model.span_id.hex()}-01"]
    assert asked.header("tracestate") == ["a=1"]
    # In time: of this minute, one within the other, and as long as it took.
    assert abs(root.start_time_unix_nano / 1e9 - time.time()) < 60
    for s in spans:
        assert root.start_time_unix_nano - 2e6 <= s.start_time_unix_nano <= s.end_time_unix_nano <= root.end_time_unix_nano + 2e6
    assert model.end_time_unix_nano - model.start_time_unix_nano >= 45e6
    # Nothing of what was said, nor by whom.
    for body in collector.bodies:
        assert b"secret" not in body and b"sk-test" not in body


def test_who_answered_is_in_it(make_ibid, upstream, collector):
    ibid = make_ibid(upstream, env=told(collector))
    upstream.default = lambda r: stream("a b c", usage=(3, 4)) if r.json.get("stream") else answer("a")
    ibid.chat("one")
    assert ibid.chat("one").source == "exact"
    ibid.chat("two", stream=True, stream_options={"include_usage": True})
    assert ibid.request("POST", "/v1/chat/completions", "{").status == 400
    assert ibid.request("GET", "/some/private/path?key=zzyyxx").status in (200, 404, 405, 501, 500, 502)
    spans = collector.wait(5)
    roots = server_spans(spans)
    assert [facts(s)["ibid.source"] for s in roots][:3] == ["upstream", "exact", "upstream"]
    assert facts(roots[3])["http.response.status_code"] == 400
    assert all(s.parent_span_id == b"" for s in roots)
    assert len({s.trace_id for s in roots}) == 5
    # A path that is no API's is not told.
    assert roots[4].name == "GET" and "url.path" not in facts(roots[4])
    assert not any(b"private" in b or b"zzyyxx" in b for b in collector.bodies)
    models = {s.trace_id: s for s in spans if s.kind == 3}
    assert facts(models[roots[2].trace_id])["gen_ai.usage.output_tokens"] == 4
    assert roots[1].trace_id not in models, "no model was asked"


def test_a_broken_answer_is_an_error(make_ibid, upstream, collector):
    ibid = make_ibid(upstream, env=told(collector))
    upstream.default = lambda r: stream("a b c", at=100, fault="rst")
    try:
        ibid.chat("one", stream=True)
    except Exception:  # noqa: BLE001: it breaks off, as it must
        pass
    (root,) = server_spans(collector.wait(1))
    assert root.status.code == 2


def test_whose_parent_is_not_sampled_is_not_traced_and_chance_decides_of_the_others(make_ibid, upstream, collector):
    ibid = make_ibid(upstream, env=told(collector, IBID_TELEMETRY_SAMPLE="0.5", IBID_CACHE_EXACT="off"))
    off = PARENT[:-2] + "00"
    for i in range(20):
        ibid.chat(f"off{i}", headers={"traceparent": off})
    assert [r.header("traceparent") for r in upstream.posts()] == [[off]] * 20
    for i in range(200):
        ibid.chat(f"q{i}")
    ibid.wait_metric("ibid_telemetry_posts_total", 1)
    n = ibid.metric("ibid_traces_total")
    # Within five standard deviations of a half.
    assert 65 <= n <= 135
    assert len(server_spans(collector.wait(int(n)))) == n
    asked = [r.header("traceparent") for r in upstream.posts()[20:]]
    assert sum(bool(a) for a in asked) == n


def test_metrics_are_sent(make_ibid, upstream, collector):
    ibid = make_ibid(upstream, env=told(collector, IBID_TELEMETRY_METRICS_S="1", IBID_TELEMETRY_SAMPLE="0",
                                        IBID_TELEMETRY_SERVICE_NAME="the \"gateway\""))
    for i in range(3):
        ibid.chat("one")
    end = time.monotonic() + 15
    while True:
        assert time.monotonic() < end
        time.sleep(0.05)
        if not collector.metrics:
            continue
        (whole,) = collector.metrics[-1].resource_metrics
        all_ = {m.name: m for m in whole.scope_metrics[0].metrics}
        points = {p.attributes[0].value.string_value: p.as_double for p in all_["ibid_requests_total"].sum.data_points}
        if points["exact"] == 2:
            break
    assert points["upstream"] == 1
    assert {a.key: a.value.string_value for a in whole.resource.attributes}["service.name"] == 'the "gateway"'
    total = all_["ibid_requests_total"].sum
    assert total.is_monotonic and total.aggregation_temporality == 2
    h = {p.attributes[0].value.string_value: p for p in all_["ibid_request_duration_seconds"].histogram.data_points}["exact"]
    assert h.count == 2 and sum(h.bucket_counts) == 2 and len(h.bucket_counts) == len(h.explicit_bounds) + 1
    assert all_["ibid_store_up"].gauge.data_points[0].as_double == 1
    # All that /metrics has.
    names = {line.split()[2] for line in ibid.admin("/metrics").body.decode().splitlines() if line.startswith("# TYPE")}
    assert names == set(all_)
    assert not collector.spans()


@pytest.mark.parametrize("trouble", ["gone", "slow", "refuses"])
def test_a_collector_in_trouble_costs_no_request_anything(make_ibid, upstream, collector, trouble):
    env = told(collector, IBID_TELEMETRY_DEADLINE_MS="200", IBID_TELEMETRY_QUEUE_BYTES_MAX="64KiB")
    if trouble == "gone":
        env["IBID_TELEMETRY_OTLP_URL"] = f"http://127.0.0.1:{free_port()}"
    elif trouble == "slow":
        collector.delay = 1
    else:
        collector.status = 503
    ibid = make_ibid(upstream, env=env)
    ibid.chat("one")
    for i in range(300):
        assert ibid.chat("one").status == 200
    ibid.wait_metric("ibid_traces_dropped_total", 1)
    ibid.wait_metric("ibid_telemetry_failures_total", 1)
    assert ibid.read_log().count('event="telemetry_failed"') == 1
    assert ibid.metric("ibid_telemetry_queue_bytes") <= 65536
    t0 = time.monotonic()
    ibid.stop()
    assert time.monotonic() - t0 < 5


def test_lists_of_models_and_batches_have_their_span_too(make_ibid, upstream, collector):
    vectors = {"object": "list", "model": "e", "usage": {"prompt_tokens": 2, "total_tokens": 2},
               "data": [{"object": "embedding", "index": i, "embedding": [0.5, 0.5]} for i in range(2)]}
    upstream.default = lambda r: Reply(body=json.dumps({"object": "list", "data": []} if r.method == "GET" else vectors).encode())
    ibid = make_ibid(upstream, env=told(collector))
    auth = {"authorization": "Bearer k", "content-type": "application/json"}
    assert ibid.request("GET", "/v1/models", headers=auth).status == 200
    assert ibid.request("POST", "/v1/embeddings", json.dumps({"model": "e", "input": ["a", "b"]}), auth).status == 200
    spans = collector.wait(2)
    models = [s for s in spans if s.kind == 3]
    assert [r.header("traceparent")[0].split("-")[2] for r in upstream.requests] == [s.span_id.hex() for s in models]
    assert models[1].name == "embeddings e"


def test_what_waits_is_sent_at_the_end(make_ibid, upstream, collector):
    ibid = make_ibid(upstream, env=told(collector))
    for i in range(5):
        ibid.chat(f"q{i}")
    ibid.stop()
    assert len(server_spans(collector.spans())) == 5


def test_wrong_settings_are_named(make_ibid, upstream, tmp_path):
    for i, (env, words) in enumerate([({"IBID_TELEMETRY_OTLP_URL": "grpc://x"}, "telemetry.otlp_url: "),
                       ({"IBID_TELEMETRY_OTLP_URL": "http://x", "IBID_OFFLINE": "on", "IBID_UPSTREAM_URL": ""}, "offline: on allows no collector"),
                       ({"IBID_TELEMETRY_SAMPLE": "2"}, "'2' is not within 0..1")]):
        with pytest.raises(AssertionError, match="ended with 2"):
            make_ibid(upstream, name=f"bad{i}", env=env)
        assert words in (tmp_path / f"bad{i}/log").read_text()
