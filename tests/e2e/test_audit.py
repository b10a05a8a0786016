"""Who did what to this ibid: a line of each, also of what was refused, and nobody's words in any."""
import json
import os
import subprocess
import time

from conftest import BIN
from test_reload import hang_up, write
from test_upgrade import upgrade
from upstream import answer


def lines(path, n, timeout=10):
    end = time.monotonic() + timeout
    while True:
        got = path.read_text().splitlines() if path.exists() else []
        if len(got) >= n:
            assert len(got) == n, got
            return [json.loads(g) for g in got]
        assert time.monotonic() < end, got
        time.sleep(0.02)


def admin(ibid, method, path, body=None, token=None):
    return ibid.request(method, path, body, {"authorization": f"Bearer {token or ibid.token()}"}, port=ibid.admin_port)


def test_what_was_done_and_what_was_refused(tmp_path, make_ibid, upstream):
    log = tmp_path / "audit.log"
    ibid = make_ibid(upstream, env={"IBID_AUDIT_LOG_PATH": str(log), "IBID_EXPLAIN_QUESTIONS": "show"})
    upstream.default = lambda r: answer("a secret answer")
    ibid.chat("a secret question")
    ibid.stats()  # looks, and shows nothing
    assert admin(ibid, "GET", "/admin/v1/entries?q=secret").status == 200
    assert admin(ibid, "GET", "/admin/v1/inbox").status == 200
    assert admin(ibid, "POST", "/admin/v1/reload").status == 200
    assert admin(ibid, "DELETE", "/admin/v1/entries?all=1&dry_run=1").status == 200
    assert admin(ibid, "DELETE", "/admin/v1/entries?all=1").status == 200
    assert admin(ibid, "POST", "/admin/v1/feedback", json.dumps({"request": "0" * 16, "verdict": "wrong"})).status == 404
    assert admin(ibid, "DELETE", "/admin/v1/entries?all=1", token="a-secret-guess").status == 401
    assert ibid.request("GET", "/admin/v1/stats", port=ibid.admin_port).status == 401
    got = lines(log, 8)
    assert [(g["action"], g["by"], g["status"], g["outcome"]) for g in got] == [
        ("read_entries", "admin", 200, "done"), ("read_inbox", "admin", 200, "done"), ("reload", "admin", 200, "done"),
        ("purge", "admin", 200, "done"), ("purge", "admin", 200, "done"), ("feedback", "admin", 404, "refused"),
        ("authenticate", "unknown", 401, "refused"), ("authenticate", "unknown", 401, "refused")]
    assert got[3]["query"] == "all=1&dry_run=1" and got[4]["query"] == "all=1" and got[4]["method"] == "DELETE"
    assert got[6]["detail"] == "not the token" and "query" not in got[6] and got[7]["detail"] == "no token"
    assert all(g["peer"].startswith("127.0.0.1") for g in got)
    assert [g["time"] for g in got] == sorted(g["time"] for g in got)
    text = log.read_text()
    for word in ("secret", ibid.token()):
        assert word not in text
    assert log.stat().st_mode & 0o007 == 0
    assert ibid.metric("ibid_audit_log_lines_total") == 8 and ibid.metric("ibid_audit_log_dropped_total") == 0


def test_reading_is_noted_only_where_questions_are_shown(tmp_path, make_ibid, upstream):
    log = tmp_path / "audit.log"
    ibid = make_ibid(upstream, env={"IBID_AUDIT_LOG_PATH": str(log)})
    assert admin(ibid, "GET", "/admin/v1/entries").status == 200
    assert admin(ibid, "POST", "/admin/v1/reload").status == 200
    (one,) = lines(log, 1)
    assert one["action"] == "reload" and one["detail"] == "generation=2"


def test_feedback_says_on_which_request(tmp_path, make_ibid, upstream):
    log = tmp_path / "audit.log"
    ibid = make_ibid(upstream, env={"IBID_AUDIT_LOG_PATH": str(log)})
    bad = admin(ibid, "POST", "/admin/v1/feedback", '{"request": "a secret", "verdict": "so so"}')
    assert bad.status == 400
    (one,) = lines(log, 1)
    assert (one["action"], one["status"], one["outcome"]) == ("feedback", 400, "refused") and "secret" not in log.read_text()


def test_signals_and_a_file_that_is_moved_away(tmp_path, make_ibid, upstream):
    log = tmp_path / "audit.log"
    ibid = make_ibid(upstream, config=f"audit_log: {{path: {log}}}\n")
    assert admin(ibid, "POST", "/admin/v1/reload").status == 200
    lines(log, 1)
    log.rename(tmp_path / "audit.log.1")
    hang_up(ibid)
    (one,) = lines(log, 1)
    assert (one["action"], one["by"], one["outcome"]) == ("reload", "signal", "done") and "peer" not in one
    write(ibid, f"audit_log: {{path: {log}}}\ncache: {{threshold: 7}}\n")
    hang_up(ibid)
    write(ibid, f"audit_log: {{path: {log}}}\n")
    old = upgrade(ibid)
    old.wait(20)
    got = lines(log, 4)
    assert [(g["action"], g["outcome"]) for g in got[1:]] == [("reload", "refused"), ("upgrade", "begun"), ("upgrade", "done")]
    assert len((tmp_path / "audit.log.1").read_text().splitlines()) == 1


def test_a_place_that_is_none(tmp_path, make_ibid, upstream):
    r = subprocess.run([BIN, "serve"], capture_output=True, text=True, timeout=30,
                       env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IBID_LISTEN": "127.0.0.1:0",
                            "IBID_ADMIN_LISTEN": "127.0.0.1:0", "IBID_ENCODER_MODEL": "off", "IBID_LOCAL_MODEL": "off",
                            "IBID_DATA_DIR": str(tmp_path / "data"), "IBID_AUDIT_LOG_PATH": str(tmp_path / "no/such/folder/log")})
    assert r.returncode == 1 and "audit_log.path" in r.stderr and "No such file" in r.stderr
    ibid = make_ibid(upstream, config="{}\n")
    write(ibid, f"audit_log: {{path: {tmp_path}/no/such/folder/log}}\n")
    refused = admin(ibid, "POST", "/admin/v1/reload")
    assert refused.status == 422 and "audit_log.path" in refused.body.decode()
