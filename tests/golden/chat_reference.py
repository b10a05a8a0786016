#!/usr/bin/env python3
"""Conversations as chat templates render them, by the PyPI library `jinja2`.

    chat_reference.py --fixtures tests/golden/chat_templates.json

writes what test_chat_templates compares ours with. The templates are our own, as short as they
can be, and say what the families' do for conversations without tools. `today` is the day that
engine/chat_render.c takes for it.
"""
import argparse
import json
import sys

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

BAR = "\uff5c"
ASK, SAY, END = f"<{BAR}User{BAR}>", f"<{BAR}Assistant{BAR}>", f"<{BAR}end\u2581of\u2581sentence{BAR}>"

SMOLLM3 = """{%- set reasoning_mode = "/think" -%}
{{- "<|im_start|>system\\n" -}}
{%- if messages[0].role == "system" -%}
  {%- set system_message = messages[0].content -%}
  {%- if "/no_think" in system_message -%}{%- set reasoning_mode = "/no_think" -%}{%- endif -%}
  {%- set custom = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{%- if "/system_override" in system_message -%}
  {{- custom.replace("/system_override", "").rstrip() -}}{{- "<|im_end|>\\n" -}}
{%- else -%}
  {{- "## Metadata\\n\\nKnowledge Cutoff Date: June 2025\\nToday Date: " ~ strftime_now("%d %B %Y") ~ "\\n" -}}
  {{- "Reasoning Mode: " + reasoning_mode + "\\n\\n## Custom Instructions\\n\\n" -}}
  {%- if custom -%}{{- custom + "\\n\\n" -}}
  {%- elif reasoning_mode == "/think" -%}
    {{- "Think \\"well\\", then\\tsay.\\n\\n" -}}
  {%- else -%}
    {{- "You are a helpful AI assistant named SmolLM, trained by Hugging Face.\\n\\n" -}}
  {%- endif -%}
  {%- if xml_tools or python_tools -%}{{- "### Tools<|im_end|>\\n" -}}{%- endif -%}
{%- endif -%}
{%- set before = "" if reasoning_mode == "/think" else "<think>\\n\\n</think>\\n" -%}
{%- for message in messages -%}
  {%- if message.role == "user" -%}{{ "<|im_start|>user\\n" + message.content + "<|im_end|>\\n" }}
  {%- elif message.role == "assistant" -%}{{ "<|im_start|>assistant\\n" + before + message.content.lstrip("\\n") + "<|im_end|>\\n" }}
  {%- endif -%}
{%- endfor -%}
{{ "<|im_start|>assistant\\n" + before }}"""

QWEN3 = r"""{%- set ns = namespace(last_query_index=-1) %}
{%- for message in messages %}{%- if message.role == "user" %}{%- set ns.last_query_index = loop.index0 %}{%- endif %}{%- endfor %}
{%- for message in messages %}
  {%- if message.role == "assistant" %}
    {%- set content, thoughts = message.content, '' %}
    {%- if '</think>' in message.content %}
      {%- set thoughts = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
      {%- set content = content.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {%- if loop.index0 > ns.last_query_index and (loop.last or thoughts) %}
      {{- '<|im_start|>assistant\n<think>\n' + thoughts.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') + '<|im_end|>\n' }}
    {%- else %}{{- '<|im_start|>assistant\n' + content + '<|im_end|>\n' }}{%- endif %}
  {%- else %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endif %}
{%- endfor %}
{{- '<|im_start|>assistant\n' }}"""
QWEN3_THINKING = QWEN3[: -len("' }}")] + "<think>\\n' }}"

QWQ = r"""{%- for message in messages %}
  {%- if message.role == "assistant" %}{{- '<|im_start|>assistant\n' + message.content.split('</think>')[-1].lstrip('\n') + '<|im_end|>\n' }}
  {%- else %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endif %}
{%- endfor %}
{{- '<|im_start|>assistant\n<think>\n' }}"""

PHI4_MINI = """{{ '<|system|>Your name is Phi, an AI math expert developed by Microsoft.' }}
{%- for message in messages %}{% if message['role'] == 'system' %} {{ message['content'] }}{% endif %}{% endfor %}{{ '<|end|>' }}
{%- for message in messages %}{% if message['role'] != 'system' %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{{ '<|assistant|>' }}"""

PHI4 = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}{% endfor %}{{ '<|im_start|>assistant<|im_sep|>' }}"""

MISTRAL_LOOP = """{%- for message in messages %}
  {%- if message['role'] == 'user' %}{{- '[INST]' + message['content'] + '[/INST]' }}
  {%- elif message['role'] == 'system' %}{{- '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}
  {%- else %}{{- message['content'] + eos_token }}{%- endif %}
{%- endfor %}"""
MISTRAL = "{{- bos_token }}" + MISTRAL_LOOP
MISTRAL_SPACED = MISTRAL.replace("'[INST]'", "'[INST] '").replace("'[SYSTEM_PROMPT]'", "'[SYSTEM_PROMPT] '").replace("message['content'] + eos_token", "' ' + message['content'] + eos_token")
MISTRAL_DATED = """{%- set today = strftime_now("%Y-%m-%d") %}
{%- set default_system_message = "You are M.\\nIt is " + today + ', isn\\'t it?\\
 \\\\' %}
{{- bos_token }}
{%- if messages[0]['role'] != 'system' %}{{- '[SYSTEM_PROMPT]' + default_system_message + '[/SYSTEM_PROMPT]' }}{%- endif %}
{#- roles must alternate #}
""" + MISTRAL_LOOP

BITNET = """{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{{ 'Assistant: ' }}"""
BITNET_PLAIN = """{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}<|eot_id|>{% endfor %}Assistant: """

R1 = f"""{{{{ bos_token }}}}{{%- if messages[0].role == 'system' %}}{{{{ messages[0].content }}}}{{%- endif %}}
{{%- for message in messages %}}
  {{%- if message['role'] == 'user' %}}{{{{ '{ASK}' + message['content'] }}}}
  {{%- elif message['role'] == 'assistant' %}}{{{{ '{SAY}' + message['content'].split('</think>')[-1] + '{END}' }}}}
  {{%- endif %}}
{{%- endfor -%}}
{{{{ '{SAY}<think>\\n' }}}}"""
R1_BARE = R1.replace("<think>\\n", "")

DEEPSEEK_LLM = """{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n\\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}{% else %}{{ message['content'] + '\\n\\n' }}{% endif %}{% endfor %}{{ 'Assistant:' }}"""

DEEPSEEK_CODER = """{%- set ns = namespace(found=messages[0].role == 'system') -%}
{{bos_token}}{%- if not ns.found -%}
{{'You write programs.\\n'}}
{%- endif %}
{%- for message in messages %}
    {%- if message['role'] == 'system' %}
{{ message['content'] }}
    {%- else %}
        {%- if message['role'] == 'user' %}
{{'### Instruction:\\n' + message['content'] + '\\n'}}
        {%- else %}
{{'### Response:\\n' + message['content'] + '\\n<|EOT|>\\n'}}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{{'### Response:\\n'}}"""

TALK = [("system", " be brief "), ("user", " hi\n"), ("assistant", "\n yes "), ("user", "why?")]
WORD = [("user", "a")]
MIND = [("system", "be brief /no_think \n"), ("user", "a"), ("assistant", "b"), ("user", "c")]
BLANK = [("system", " /think"), ("user", "a")]
QUIET = [("system", "/no_/thinkthink"), ("user", "a")]
OWN = [("system", "/think just /system_override\n"), ("user", "a")]
THOUGHTS = [("user", "a"), ("assistant", "<think>\nx</think>y</think>\n\nok"), ("user", "b"), ("assistant", "</think>"), ("user", "c")]
THOUGHT = [("user", "a"), ("assistant", "<think>\n\nx\n</think>\n\nok\n")]
MARKS = [("user", "<|im_end|> [INST] </s> " + END)]
LATE_RULES = [("user", "a"), ("system", "b"), ("user", "c")]
ENDED = [("user", "a"), ("assistant", "b")]
COMMON = [TALK, WORD, MARKS, ENDED]

TEMPLATES = [
    ("smollm3", SMOLLM3, "08 July 2025", [MIND, BLANK, QUIET, OWN, *COMMON]),
    ("qwen3", QWEN3, "", [THOUGHTS, THOUGHT, *COMMON]),
    ("qwen3-thinking", QWEN3_THINKING, "", [THOUGHTS, THOUGHT, *COMMON]),
    ("qwq", QWQ, "", [THOUGHTS, THOUGHT, *COMMON]),
    ("phi4", PHI4, "", COMMON),
    ("phi4-mini-reasoning", PHI4_MINI, "", [LATE_RULES, *COMMON]),
    ("mistral-v7", MISTRAL_SPACED, "", [LATE_RULES, *COMMON]),
    ("mistral-v7", MISTRAL, "", [LATE_RULES, *COMMON]),
    ("mistral-v7", MISTRAL_DATED, "2025-01-30", COMMON),
    ("bitnet", BITNET, "", COMMON),
    ("bitnet", BITNET_PLAIN, "", COMMON),
    ("deepseek", R1, "", [THOUGHTS, *COMMON]),
    ("deepseek", R1_BARE, "", COMMON),
    ("deepseek-llm", DEEPSEEK_LLM, "", COMMON),
    ("deepseek-coder", DEEPSEEK_CODER, "", COMMON),
]


def render(template, today, turns):
    """With the settings that `transformers` has."""
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.globals["strftime_now"] = lambda _: today
    messages = [{"role": role, "content": text} for role, text in turns]
    return env.from_string(template).render(messages=messages, bos_token="<s>", eos_token="</s>", add_generation_prompt=True)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--fixtures", required=True)
    args = args.parse_args()
    out = [{"family": family, "template": template, "cases": [{"turns": turns, "want": render(template, today, turns)} for turns in talks]}
           for family, template, today, talks in TEMPLATES]
    with open(args.fixtures, "w", encoding="utf-8") as f:
        f.write("[" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in out) + "]\n")


if __name__ == "__main__":
    sys.exit(main())
