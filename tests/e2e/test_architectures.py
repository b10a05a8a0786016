"""A built-in model of another architecture than the default one's: Gemma 3, through the whole program."""
import os
import pathlib
import subprocess

import pytest

from client import post, said, serving, user
from conftest import BIN, MODELS

NAME = "gemma-3-270m"
ENV = {"IBID_LOCAL_MODEL": NAME, "IBID_LOCAL_CHAT_TEMPLATE": "gemma"}
pytestmark = pytest.mark.skipif(not list(pathlib.Path(MODELS, NAME).glob("*.gguf")), reason=f"model not there: ibid models pull {NAME}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("gemma"), upstream=False, local=True, env=ENV) as both:
        yield both[0]


def test_it_answers_whole_and_streamed_and_from_the_cache(alone):
    body = user("Name a colour.", max_tokens=8)
    whole = post(alone, body, [("x-ibid-cache", "no-cache, no-store")])
    assert (whole.status, whole.source, whole.json["model"]) == (200, "local", NAME)
    assert whole.text and 0 < whole.json["usage"]["completion_tokens"] <= 8
    streamed = post(alone, user("Name a colour.", max_tokens=8, stream=True), [("x-ibid-cache", "no-cache, no-store")])
    assert said(streamed.body) == whole.text


def test_a_conversation_longer_than_its_window_is_answered(alone):
    r = post(alone, user("one two three four five six seven " * 100, max_tokens=4))
    assert (r.status, r.source) == (200, "local") and r.json["usage"]["prompt_tokens"] > 600


def test_without_a_template_it_says_how_to_name_one():
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "IBID_MODEL_DIR": MODELS}
    r = subprocess.run([BIN, "generate", "-m", NAME, "-p", "x"], env=env, capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and "local.chat_template" in r.stderr and "gemma" in r.stderr
    r = subprocess.run([BIN, "models", "show", NAME], env=env | {"IBID_LOCAL_CHAT_TEMPLATE": "gemma"}, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and "architecture: gemma3\n" in r.stdout and "parameters: 268098176\n" in r.stdout
