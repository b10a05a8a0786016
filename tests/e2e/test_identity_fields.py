"""docs/identity.md has each field that the SDKs can send: tests/unit/test_identity.c reads that page, and changes each
of them. A newer SDK with another field shows up here."""
import importlib
import json
import re
import typing

import pytest

from conftest import ROOT

PAGE = (ROOT / "docs/identity.md").read_text()
REQUESTS = ROOT / "tests/unit/identity"
# The type by which the SDK describes a request's body.
TYPES = [
    ("openai.chat", "openai.types.chat.completion_create_params", "CompletionCreateParamsBase", ["stream"]),
    ("openai.responses", "openai.types.responses.response_create_params", "ResponseCreateParamsBase", ["stream"]),
    ("openai.completions", "openai.types.completion_create_params", "CompletionCreateParamsBase", ["stream"]),
    ("openai.embeddings", "openai.types.embedding_create_params", "EmbeddingCreateParams", []),
    ("openai.moderations", "openai.types.moderation_create_params", "ModerationCreateParams", []),
    ("anthropic.messages", "anthropic.types.message_create_params", "MessageCreateParamsBase", ["stream"]),
    ("anthropic.messages", "anthropic.types.beta.message_create_params", "MessageCreateParamsBase", ["stream"]),
    ("anthropic.count_tokens", "anthropic.types.message_count_tokens_params", "MessageCountTokensParams", []),
    ("ollama.chat", "ollama._types", "ChatRequest", []),
    ("ollama.generate", "ollama._types", "GenerateRequest", []),
    ("ollama.embed", "ollama._types", "EmbedRequest", []),
]
# Sent as a header by the SDK.
HEADERS = {"betas", "user_profile_id", "workspace_id"}


def listed(dialect):
    section = PAGE.split(f"\n## {dialect}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([\w:]+)` \| (?:identity|ignored) \|", section, re.M))


@pytest.mark.parametrize("dialect,module,name,more", TYPES, ids=[f"{t[0]} {t[1].split('.')[-2]}" for t in TYPES])
def test_every_field_of_the_sdk_is_listed_and_changed(dialect, module, name, more):
    kind = getattr(importlib.import_module(module), name)
    fields = set(getattr(kind, "model_fields", None) or typing.get_type_hints(kind)) | set(more)
    assert len(fields) > 1
    missing = fields - HEADERS - listed(dialect)
    assert not missing, f"docs/identity.md, {dialect}: nothing of {sorted(missing)}"
    # And the request that the unit test changes has it.
    missing = fields - HEADERS - set(json.loads((REQUESTS / f"{dialect}.json").read_text()))
    assert not missing, f"tests/unit/identity/{dialect}.json: no {sorted(missing)}"
