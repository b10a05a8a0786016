#!/usr/bin/env python3
"""Writes deploy/grafana/ibid.json, the Grafana dashboard over /metrics: a row a line below.

usage: grafana.py > deploy/grafana/ibid.json
"""
import json

WHERE = '{job=~"$job", instance=~"$instance"}'


def rate(metric, by="", more=""):
    inner = f"rate({metric}{{job=~\"$job\", instance=~\"$instance\"{more}}}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def quantile(q, metric, by):
    return f"histogram_quantile({q}, {rate(metric + '_bucket', by + ', le')})"


def total(metric):
    return f"sum({metric}{WHERE})"


def share(which):
    return f"{rate('ibid_requests_total', more=', ' + which)} / {rate('ibid_requests_total')}"


# title, unit, stacked, [(expression, legend)]
ROWS = {
    "What is answered": [
        ("Answers by source", "reqps", True, [(rate("ibid_requests_total", "source"), "{{source}}")]),
        ("Answered without the upstream", "percentunit", False, [
            (share('source!="upstream"'), "all"), (share('source="semantic"'), "in other words")]),
        ("Why nothing stored answered", "reqps", True, [(rate("ibid_cache_miss_total", "reason"), "{{reason}}")]),
        ("Reported hits", "short", False, [(f"sum by (verdict) (increase(ibid_feedback_total{WHERE}[1h]))", "{{verdict}} an hour")]),
    ],
    "What it saves": [
        ("Money", "currencyUSD", False, [(total("ibid_saved_usd"), "saved")]),
        ("Tokens", "short", True, [(rate("ibid_saved_tokens_total", "kind"), "{{kind}} a second")]),
        ("Time of clients", "s", False, [(total("ibid_saved_seconds"), "saved")]),
        ("Our own work", "percentunit", True, [(rate("ibid_cost_cpu_seconds_total", "part"), "{{part}}, cores")]),
    ],
    "How fast": [
        ("Time to the last byte, 99 of 100", "s", False, [(quantile(0.99, "ibid_request_duration_seconds", "source"), "{{source}}")]),
        ("Time in a step, 99 of 100", "s", False, [(quantile(0.99, "ibid_step_duration_seconds", "step"), "{{step}}")]),
        ("In flight and waiting", "short", False, [
            (total("ibid_requests_in_flight"), "requests"), (total("ibid_encoder_queue"), "for the encoder"),
            (total("ibid_local_queue"), "for the built-in model"), (total("ibid_upstream_waiting"), "for the upstream")]),
        ("Connections", "short", False, [(total("ibid_client_connections"), "clients"), (total("ibid_upstream_connections"), "upstream")]),
    ],
    "What goes wrong": [
        ("Errors", "reqps", True, [
            (rate("ibid_errors_total"), "of our own"), (rate("ibid_refused_total"), "overload"),
            (rate("ibid_upstream_failures_total"), "upstream failed"), (rate("ibid_upstream_timeouts_total"), "upstream too slow"),
            (rate("ibid_upstream_broken_total"), "broken off"), (rate("ibid_client_gone_total"), "client gone")]),
        ("Store", "ops", False, [
            (rate("ibid_store_errors_total"), "errors"), (rate("ibid_store_timeouts_total"), "timeouts"),
            (rate("ibid_store_dropped_total"), "dropped"), (rate("ibid_store_corrupt_total"), "corrupt")]),
        ("Store answers", "bool_yes_no", False, [(f"min(ibid_store_up{WHERE})", "up")]),
        ("Answers that are not stored", "reqps", True, [(rate("ibid_cache_unstored_total", "reason"), "{{reason}}")]),
    ],
    "What it holds": [
        ("Entries", "short", False, [
            (total("ibid_store_entries"), "store"), (total("ibid_cache_memory_entries"), "memory"), (total("ibid_index_entries"), "index")]),
        ("Bytes", "bytes", False, [
            (total("ibid_store_bytes"), "store"), (total("ibid_cache_memory_bytes"), "memory"), (total("ibid_index_bytes"), "index")]),
        ("Evictions", "ops", False, [(rate("ibid_store_evictions_total"), "store"), (rate("ibid_cache_memory_evictions_total"), "memory")]),
        ("Partitions", "short", False, [(total("ibid_index_partitions"), "partitions")]),
    ],
}


def panel(number, title, unit, stacked, targets, x, y):
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": x, "y": y, "w": 6, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {
            "fillOpacity": 30 if stacked else 0, "stacking": {"mode": "normal" if stacked else "none"}}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(65 + i), "expr": e, "legendFormat": l} for i, (e, l) in enumerate(targets)],
    }


def variable(name, query):
    return {"name": name, "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": query,
            "refresh": 2, "includeAll": True, "multi": True, "current": {"text": "All", "value": "$__all"}}


def dashboard():
    panels, number, y = [], 1, 0
    for row, charts in ROWS.items():
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        number, y = number + 1, y + 1
        for i, chart in enumerate(charts):
            panels.append(panel(number, *chart, x=6 * i, y=y))
            number += 1
        y += 8
    return {
        "title": "ibid", "uid": "ibid", "schemaVersion": 39, "tags": ["ibid"], "timezone": "browser", "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"}, "panels": panels,
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}},
            variable("job", "label_values(ibid_build_info, job)"),
            variable("instance", 'label_values(ibid_build_info{job=~"$job"}, instance)')]},
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
