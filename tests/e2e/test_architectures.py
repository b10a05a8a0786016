"""A built-in model of another architecture than the default one's: Gemma 3, through the whole program."""
import os
import pathlib
import subprocess
import sys

import pytest

from client import post, said, serving, user
from conftest import BIN, MODELS

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "fuzz"))
from engine_corpus import char_of, gguf, llama

NAME = "gemma-3-270m"
ENV = {"IBID_LOCAL_MODEL": NAME, "IBID_LOCAL_CHAT_TEMPLATE": "gemma"}
pulled = pytest.mark.skipif(not list(pathlib.Path(MODELS, NAME).glob("*.gguf")), reason=f"model not there: ibid models pull {NAME}")

# A template's marks, its control tokens, and how many tokens "hi" is between them, without and with a system text of one letter.
SAY = "<\uff5cAssistant\uff5c>"
PHI = "Your name is Phi, an AI math expert developed by Microsoft."
FAMILIES = {
    "mistral-v7": ("tekken", "'[INST]' '[SYSTEM_PROMPT]'", ["[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"], 5, 8),
    "phi4": ("dbrx", "'<|im_start|>' + message['role'] + '<|im_sep|>'", ["<|im_start|>", "<|im_sep|>", "<|im_end|>"], 20, 30),
    "qwq": ("qwen2", "split('</think>')[-1].lstrip('\\n') '<|im_start|>assistant\\n<think>\\n' }}", ["<|im_start|>", "<|im_end|>"], 29, 40),
    "phi4-mini-reasoning": ("gpt-4o", f"{{{{ '<|system|>{PHI}' }}}}", ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"], len(PHI) + 7, len(PHI) + 9),
    "deepseek": ("deepseek-llm", f"'<\uff5cUser\uff5c>' '{SAY}<think>'", ["<\uff5cUser\uff5c>", SAY, "<\uff5cend\u2581of\u2581sentence\uff5c>"], 13, 14),
    "bitnet": ("llama-bpe", "message['role'] | capitalize + '<|eot_id|>' 'Assistant: '", ["<|eot_id|>"], 21, 31),
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("gemma"), upstream=False, local=True, env=ENV) as both:
        yield both[0]


@pulled
def test_it_answers_whole_and_streamed_and_from_the_cache(alone):
    body = user("Name a colour.", max_tokens=8)
    whole = post(alone, body, [("x-ibid-cache", "no-cache, no-store")])
    assert (whole.status, whole.source, whole.json["model"]) == (200, "local", NAME)
    assert whole.text and 0 < whole.json["usage"]["completion_tokens"] <= 8
    streamed = post(alone, user("Name a colour.", max_tokens=8, stream=True), [("x-ibid-cache", "no-cache, no-store")])
    assert said(streamed.body) == whole.text


@pulled
def test_a_conversation_longer_than_its_window_is_answered(alone):
    r = post(alone, user("one two three four five six seven " * 100, max_tokens=4))
    assert (r.status, r.source) == (200, "local") and r.json["usage"]["prompt_tokens"] > 600


@pulled
def test_without_a_template_it_says_how_to_name_one():
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "IBID_MODEL_DIR": MODELS}
    r = subprocess.run([BIN, "generate", "-m", NAME, "-p", "x"], env=env, capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and "local.chat_template" in r.stderr and "gemma" in r.stderr
    r = subprocess.run([BIN, "models", "show", NAME], env=env | {"IBID_LOCAL_CHAT_TEMPLATE": "gemma"}, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0 and "architecture: gemma3\n" in r.stdout and "parameters: 268098176\n" in r.stdout


def tiny(path, pre, template, controls):
    """A small model of the family: its control tokens, then every byte."""
    words = [*("<s>", "</s>"), *controls, *map(char_of, range(256))]
    head = 2 + len(controls)
    tokenizer = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": words,
                 "tokenizer.ggml.token_type": [3] * head + [1] * 256, "tokenizer.ggml.merges": [],
                 "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1, "tokenizer.chat_template": template}
    yarn = {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0, "llama.rope.scaling.original_context_length": 64}
    path.write_bytes(gguf(*llama(tokenizer, 2, **{"llama.context_length": 256}, **(yarn if pre == "tekken" else {}))))
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_known_by_its_file(tmp_path, family):
    pre, template, controls, alone, ruled = FAMILIES[family]
    path = tiny(tmp_path / "tiny.gguf", pre, template, controls)
    shown = subprocess.run([BIN, "models", "show", str(path)], capture_output=True, text=True, timeout=60)
    assert f"tokenizer: gpt2, {pre}\nchat template: {family}\n" in shown.stdout
    with serving(tmp_path, upstream=False, local=True, env={"IBID_LOCAL_MODEL": str(path)}) as (ibid, *_):
        body = {"model": "x", "max_tokens": 2, "messages": [{"role": "user", "content": "hi"}]}
        assert post(ibid, body).json["usage"]["prompt_tokens"] == alone
        body["messages"].insert(0, {"role": "system", "content": "s"})
        r = post(ibid, body)
        assert (r.status, r.source, r.json["usage"]["prompt_tokens"]) == (200, "local", ruled)
