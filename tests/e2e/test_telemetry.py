"""What operators read: the metrics, and the rules and the dashboard that stand on them."""
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from upstream import answer

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yaml"
DASHBOARD = ROOT / "deploy/grafana/ibid.json"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (apt-get install prometheus)")


def promtool(*words, **kw):
    return subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, **kw)


def expressions():
    return [t["expr"] for p in json.loads(DASHBOARD.read_text())["panels"] for t in p.get("targets", [])]


def series(ibid, upstream):
    """Name and labels of everything that /metrics has; a histogram by its parts."""
    ibid.chat("What is a cat?")
    ibid.chat("What is a cat?")
    upstream.script = [answer("cut sho", finish="length")]
    ibid.chat("What is a dog?")
    text = ibid.admin("/metrics").body.decode()
    return text, {m[1]: set(re.findall(r'(\w+)="', m[2] or "")) for m in re.finditer(r"^(\w+)(\{.*\})? ", text, re.M)}


@needs_promtool
def test_metrics_follow_the_conventions(ibid, upstream):
    done = promtool("check", "metrics", input=series(ibid, upstream)[0])
    assert done.returncode == 0 and not done.stdout and not done.stderr, done


def test_rules_and_dashboard_name_what_is_there(ibid, upstream):
    _, there = series(ibid, upstream)
    named = set(re.findall(r"\bibid_\w+", RULES.read_text() + "\n".join(expressions())))
    assert len(named) > 30
    # Only where a certificate is in use (test_tls_listener.py).
    named -= {"ibid_tls_certificate_expires_seconds"}
    assert named <= there.keys(), named - there.keys()


def test_dashboard_groups_by_labels_that_are_there(ibid, upstream):
    _, there = series(ibid, upstream)
    for text in expressions():
        for by, metric in re.findall(r"by \(([\w, ]+)\) \(\w+\((ibid_\w+)", text):
            assert set(by.split(", ")) <= there[metric], text


@needs_promtool
def test_dashboard_expressions_are_promql(tmp_path):
    rules = [{"record": f"x:y{i}", "expr": e.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")} for i, e in enumerate(expressions())]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_dashboard_is_as_its_tool_writes_it():
    done = subprocess.run([sys.executable, str(ROOT / "tools/grafana.py")], capture_output=True, text=True, check=True)
    assert done.stdout == DASHBOARD.read_text()
