"""Every client on ibid: what a hit decodes to is what the miss decoded to, but for id and time.

The clients run in programs of their own (clients/drive.py, clients/drive.mjs), one an environment:
the tests' own Python, and in IBID_TEST_CLIENTS (default ~/.cache/ibid/clients) what tests/run.sh puts
there: Node's packages, and for --all the older SDKs and the frameworks. What is not there is skipped, with
a word. The last tests compare what was found with the table in docs/clients.md, and that with its short form in
README.md, or write them there when IBID_WRITE_CLIENTS is set."""
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import pytest

import dialects
from client import serving, until
from conftest import ROOT, needs_decoder, needs_encoder
from corpus import filled
from dialects import reply
from upstream import Reply

HERE = pathlib.Path(__file__).resolve().parent / "clients"
ENVIRONMENTS = pathlib.Path(os.environ.get("IBID_TEST_CLIENTS", os.path.expanduser("~/.cache/ibid/clients")))
TABLE = ROOT / "docs/clients.md"
MODES = ("text", "tools", "structured")
QUESTION, SAME = "What is the capital city of France?", "what is the capital city of france"
SIMPLE = "What is the capital of France?"  # the built-in model soon comes to an end

# `without`: "retry" when it never tries again, 429 when not after that; "cancel" when it reads a stream to its end;
# "other form" when it asks otherwise for a stream: not for its usage, or by a schema of another name;
# "meaning" when its questions are not compared by meaning; "local" when the built-in model does not speak its dialect,
# "local tools" when it can not say that a tool must be called.
Client = collections.namedtuple("Client", "title where name path model without")


def client(title, where, name, path="/chat/completions", model="gpt-4o-mini", without=()):
    return Client(title, where, name, path, model, without)


CLIENTS = [
    client("openai, chat", "python", "openai.chat"),
    client("openai, responses", "python", "openai.responses", "/responses"),
    client("anthropic", "python", "anthropic", "/messages"),
    client("ollama", "python", "ollama", "/api/chat", without=("retry", "local tools")),
    client("openai, Azure", "python", "openai.azure"),
    client("openai, chat", "node", "openai.chat"),
    client("openai, responses", "node", "openai.responses", "/responses"),
    client("anthropic", "node", "anthropic", "/messages"),
    client("ollama", "node", "ollama", "/api/chat", without=("retry", "local tools")),
    client("Vercel AI SDK, chat", "node", "ai.chat"),
    client("Vercel AI SDK, responses", "node", "ai.responses", "/responses"),
    client("LangChain", "node", "langchain", without=(429,)),
    client("openai, chat", "openai1.0", "openai.chat", without=("other form",)),
    client("openai, chat", "openai1", "openai.chat"),
    client("openai, responses", "openai1", "openai.responses", "/responses"),
    client("openai, chat", "openai2", "openai.chat"),
    client("openai, responses", "openai2", "openai.responses", "/responses"),
    client("google-genai", "google", "gemini", ":generateContent", without=("other form", "meaning", "local")),
    client("LangChain", "frameworks", "langchain"),
    client("LlamaIndex", "frameworks", "llamaindex", without=("other form",)),
    client("instructor", "frameworks", "instructor", without=("cancel", "other form")),
    client("LiteLLM", "frameworks", "litellm"),
]
SLOW = ("openai1.0", "openai1", "openai2", "google", "frameworks")


def each(clients=CLIENTS):
    return pytest.mark.parametrize("who", [pytest.param(c, id=f"{c.where} {c.name}", marks=[pytest.mark.slow] if c.where in SLOW else []) for c in clients])


# --- programs that run clients --------------------------------------------------------------------------

class Driver:
    """A program that runs one job at a time."""

    def __init__(self, argv, cwd):
        self.log = open(cwd / "log", "w+")
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG")} | {"HOME": str(cwd)}
        self.proc = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def _watch(self, ended):
        """Time in which this program itself stood still does not count."""
        if not any(ended.wait(1) for _ in range(100)):
            self.proc.kill()

    def run(self, job):
        ended = threading.Event()
        threading.Thread(target=self._watch, args=(ended,), daemon=True).start()
        try:
            self.proc.stdin.write(json.dumps(job) + "\n")
            self.proc.stdin.flush()
            line = self.proc.stdout.readline()
        except BaseException:
            self.proc.kill()  # what it would say now is no answer to what comes next
            raise
        finally:
            ended.set()
        if not line:
            self.log.seek(0)
            raise AssertionError("the client's program ended:\n" + self.log.read()[-4000:])
        return json.loads(line)

    def ended(self):
        return self.proc.poll() is not None

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.proc.stdin.close()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
        self.log.close()


def command(where, folder):
    if where == "python":
        return [sys.executable, str(HERE / "drive.py")]
    home = ENVIRONMENTS / where
    if not home.exists():
        pytest.skip(f"clients '{where}' not there: tests/run.sh{' --all' if where in SLOW else ''} installs them")
    if where != "node":
        return [str(home / "bin/python"), str(HERE / "drive.py")]
    # A module's imports are looked for from where it lies.
    shutil.copy(HERE / "drive.mjs", folder)
    (folder / "node_modules").symlink_to(home / "node_modules")
    return ["node", str(folder / "drive.mjs")]


@pytest.fixture(scope="module")
def drivers(tmp_path_factory):
    running = {}

    def get(where):
        if where not in running or running[where].ended():
            folder = tmp_path_factory.mktemp(where)
            running[where] = Driver(command(where, folder), folder)
        return running[where]
    yield get
    for d in running.values():
        d.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """In front of an upstream, reusing calls of tools too, as an operator may say."""
    with serving(tmp_path_factory.mktemp("front"), encoder=True, env={"IBID_CACHE_TOOL_CALLS": "exact"}) as both:
        yield both


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("alone"), upstream=False, local=True, env={"IBID_CACHE_TOOL_CALLS": "exact"}) as both:
        yield both


class Asker:
    """One client of one ibid, with a key of its own."""

    def __init__(self, driver, who, ibid, up, key):
        self.driver, self.who, self.ibid, self.up, self.key = driver, who, ibid, up, key

    def __call__(self, mode="text", question=QUESTION, stream=False, timeout_s=200, retries=0, max_tokens=1000, forced=False):
        return self.driver.run({"client": self.who.name, "mode": mode, "stream": stream, "url": f"http://127.0.0.1:{self.ibid.port}", "key": self.key, "model": self.who.model,
                                "question": question, "timeout_s": timeout_s, "retries": retries, "max_tokens": max_tokens, "forced": forced})

    def value(self, *args, **kw):
        out = self(*args, **kw)
        assert "value" in out, out["error"]
        return out["value"]

    def error(self, *args, **kw):
        out = self(*args, **kw)
        assert "error" in out, f"no error but {out['value']}"
        return out["error"]


@pytest.fixture
def ask(drivers, front, who, request):
    ibid, up = front
    up.script = [lambda r: reply(r, number=len(up.requests))]
    return Asker(drivers(who.where), who, ibid, up, "sk-" + re.sub(r"\W+", "-", request.node.name))


# --- the same object ------------------------------------------------------------------------------------

def new_each_time(name, value):
    return name in ("created", "created_at", "createdAt", "completed_at", "sdk_http_response") or \
        name in ("id", "response_id") and isinstance(value, str) and re.match(r"chatcmpl-|msg_|resp_|run-|lc_run|aitxt-|[\w-]{22}$", value)


def without_id_and_time(value):
    if isinstance(value, list):
        return [without_id_and_time(v) for v in value]
    if isinstance(value, dict):
        return {k: without_id_and_time(v) for k, v in value.items() if not new_each_time(k, v)}
    return value


def counted(ibid, source):
    for line in ibid.admin("/metrics").body.decode().splitlines():
        if line.startswith(f'ibid_requests_total{{source="{source}"}}'):
            return int(line.rsplit(" ", 1)[1])


WAYS = ("exact", "semantic", "local", "yes")  # the words of a cell, in this order
FOUND = {}  # (client, column): {way: whether it is so}, as far as it was tried


def found(who, column, *ways, but=()):
    FOUND.setdefault((who, column), {}).update({**dict.fromkeys(ways or ("yes",), True), **dict.fromkeys(but, False)})


def from_source(ask, source, *args, **kw):
    before = counted(ask.ibid, source)
    value = ask.value(*args, **kw)
    # A client may be content before the last byte, behind which it is counted.
    until(lambda: counted(ask.ibid, source) == before + 1, f"{source}, but got {value}", timeout=5)
    return without_id_and_time(value)


@needs_encoder
@each()
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_hits_decode_like_the_miss(ask, who, mode, stream):
    known = ask.ibid.metric("ibid_index_entries")
    miss = from_source(ask, "upstream", mode, stream=stream)
    assert ("Oslo" if mode != "text" or who.name == "instructor" else "Paris, number") in json.dumps(miss)
    assert from_source(ask, "exact", mode, stream=stream) == miss
    if exact_only(who, mode):
        found(who, column(mode, stream), "exact", but=("semantic",))
        return
    until(lambda: ask.ibid.metric("ibid_index_entries") > known, "the index")
    assert from_source(ask, "semantic", mode, SAME, stream=stream) == miss
    found(who, column(mode, stream), "exact", "semantic")


@each([c for c in CLIENTS if "other form" not in c.without])
@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_came_in_the_other_form_decodes_the_same(ask, who, mode):
    """A stream out of what came whole is what a stream would have been, and the other way round; but that whole
    answers have lists that are empty, of which streams say nothing."""
    ask.up.script = [reply]
    whole = from_source(ask, "upstream", mode)
    ask.key += "-other"
    streamed = from_source(ask, "upstream", mode, stream=True)
    assert filled(from_source(ask, "exact", mode)) == filled(whole)
    ask.key = ask.key.removesuffix("-other")
    assert filled(from_source(ask, "exact", mode, stream=True)) == filled(streamed)


def column(mode, stream):
    return f"{mode}, stream" if stream else mode


def exact_only(who, mode):
    """Calls of tools are never reused by meaning, nor is what is asked in a dialect that is not compared."""
    return mode == "tools" or "meaning" in who.without or who.name == "llamaindex" and mode == "structured"


@needs_decoder
@each([c for c in CLIENTS if "local" not in c.without])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_built_in_model_is_a_model_like_others(drivers, alone, who, mode, stream):
    """What it says, calls or fills in decodes to the same object when it is said again from the cache."""
    ask = Asker(drivers(who.where), who, *alone, f"sk-{who.where}-{who.name}-{mode}-{stream}")
    fields = {"stream": stream, "forced": mode == "tools"}
    if mode == "tools" and "local tools" in who.without:
        pytest.skip("left to itself the built-in model calls nothing")
    once = from_source(ask, "local", mode, SIMPLE, **fields)
    assert "Paris" in json.dumps(once) if mode == "text" and who.name != "instructor" else "city" in json.dumps(once), once
    assert from_source(ask, "exact", mode, SIMPLE, **fields) == once
    found(who, column(mode, stream), "local")


@each()
def test_errors_are_told(ask, who):
    body = json.dumps(dialects.error(who.path, "their words")).encode()
    for status in (400, 401, 429, 500):
        ask.up.script = [Reply(status=status, body=body)]
        e = ask.error()
        assert e["status"] == status and "their words" in e["message"], e
    ask.up.script = [Reply(at=-1, fault="rst")]
    e = ask.error()
    assert e["status"] == 502 and "upstream" in e["message"], e
    found(who, "errors")


@each([c for c in CLIENTS if "cancel" not in c.without])
def test_a_stream_that_is_left_ends_upstream_and_is_not_kept(ask, who):
    stored, gone = ask.ibid.metric("ibid_cache_stored_total"), ask.ibid.metric("ibid_client_gone_total")
    ask.up.script = [lambda r: reply(r, "and so on " * 2000, made={"city": "Oslo " * 6000}, pieces=200, gap=0.02)]
    ask.value("cancel")
    until(lambda: ask.ibid.metric("ibid_client_gone_total") > gone, "the client to be gone")
    assert ask.ibid.metric("ibid_cache_stored_total") == stored
    found(who, "cancel")


@each()
def test_a_client_waits_as_long_as_it_said(ask, who):
    stored = ask.ibid.metric("ibid_cache_stored_total")
    ask.up.script = [Reply(at=-1, fault="stall")]
    e = ask.error(timeout_s=0.5)
    assert re.search("time.?out|timed out|abort", e["name"] + e["message"], re.I), e
    ask.up.script = [lambda r: reply(r, number=len(ask.up.requests))]
    ask.value()
    until(lambda: ask.ibid.metric("ibid_cache_stored_total") == stored + 1, "it to be kept")
    found(who, "timeout")


@each([c for c in CLIENTS if "retry" not in c.without])
def test_a_client_that_tries_again_meets_the_upstream(ask, who):
    body = json.dumps(dialects.error(who.path, "busy")).encode()
    failures = [Reply(status=status, body=body, headers=[("retry-after-ms", "1")]) for status in (503, 429) if status not in who.without]
    ask.up.script = [*failures, lambda r: reply(r, number=7)]
    before = len(ask.up.posts())
    ask.value(retries=3)
    assert len(ask.up.posts()) == before + len(failures) + 1
    found(who, "retry")


@each()
@pytest.mark.parametrize("step", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_a_stream_cut_anywhere_is_an_error_and_not_kept(ask, who, step):
    """At every byte but those behind the event that ends it, where all is said."""
    stored = ask.ibid.metric("ibid_cache_stored_total")
    whole = []
    ask.up.script = [lambda r: whole.append(reply(r, "a %d")) or whole[-1]]
    ask.value(question="Whole?", stream=True)
    body = whole[0].body
    until(lambda: ask.ibid.metric("ibid_cache_stored_total") == stored + 1, "the whole one")
    for at in range(1, dialects.said_at(body), step):
        ask.up.script = [lambda r: reply(r, "a %d", at=at, fault="fin")]
        out = ask(stream=True)
        assert "error" in out, (at, body[max(at - 60, 0):at], out)
    assert ask.ibid.metric("ibid_cache_stored_total") == stored + 1
    found(who, "cut")


# --- the table ------------------------------------------------------------------------------------------

COLUMNS = [*[column(mode, stream) for mode in MODES for stream in (False, True)], "errors", "cancel", "timeout", "retry", "cut"]
LANGUAGES = {"node": "Node"}
PACKAGES = {"openai.chat": "openai", "openai.responses": "openai", "openai.azure": "openai", "anthropic": "anthropic", "ollama": "ollama", "gemini": "google-genai",
            "langchain": "langchain-openai", "llamaindex": "llama-index-llms-openai", "instructor": "instructor", "litellm": "litellm"}
NODE_PACKAGES = {**PACKAGES, "anthropic": "@anthropic-ai/sdk", "langchain": "@langchain/openai", "ai.chat": "ai", "ai.responses": "ai"}
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"
WRITE = "IBID_WRITE_CLIENTS" in os.environ


def version(who):
    if who.where == "node":
        return json.loads((ENVIRONMENTS / "node/node_modules" / NODE_PACKAGES[who.name] / "package.json").read_text())["version"]
    ask = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    python = sys.executable if who.where == "python" else str(ENVIRONMENTS / who.where / "bin/python")
    return subprocess.run([python, "-c", ask, PACKAGES[who.name]], check=True, capture_output=True, text=True).stdout.strip()


def name_in_table(who):
    return f"{who.title} {version(who)} ({LANGUAGES.get(who.where, 'Python')})"


def never(who, column):
    """The ways of a cell that no test tries, since the client has none."""
    if column in ("cancel", "retry") and column in who.without:
        return ["yes"]
    return ["local"] if "local" in who.without or "local tools" in who.without and column.startswith("tools") else []


def parted(page):
    """The text of a page before its table, the table, and the text behind it."""
    before, _, rest = page.read_text().partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def written(table):
    """The cells of a table, by client."""
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines() if line.startswith("| ")]
    return {cells[0]: dict(zip(rows[0][1:], cells[1:])) for cells in rows[1:] if cells[1] != "---"}


def as_table(rows):
    head, *rows = rows
    return "".join("| " + " | ".join(r) + " |\n" for r in [head, ["---"] * len(head), *rows])


def test_the_table_says_what_was_found():
    """Of what was tried here; with IBID_WRITE_CLIENTS it is made to."""
    before, table, after = parted(TABLE)
    told = written(table)
    if WRITE:
        rows = [["client", *COLUMNS]]
        for who in CLIENTS:
            old = told.get(name_in_table(who), {})
            cells = [{**dict.fromkeys(old.get(c, "").split(", "), True), **FOUND.get((who, c), {}), **dict.fromkeys(never(who, c), False)} for c in COLUMNS]
            rows.append([name_in_table(who), *[", ".join(w for w in WAYS if c.get(w)) for c in cells]])
        TABLE.write_text(before + BEGIN + as_table(rows) + END + after)
        return
    there = {who for who, _ in FOUND}
    for who in there:
        for c in COLUMNS:
            cell = told.get(name_in_table(who), {}).get(c, "").split(", ")
            for way, so in {**FOUND.get((who, c), {}), **dict.fromkeys(never(who, c), False)}.items():
                assert (way in cell) == so, f"docs/clients.md, {name_in_table(who)}, {c}: {way}, {so}, but the cell is '{cell}'"


# --- in short --------------------------------------------------------------------------------------------

README = ROOT / "README.md"
LETTERS = {"exact": "E", "semantic": "S", "local": "L", "yes": "+"}


def short(told):
    """Of the table of docs/clients.md: clients with the same cells on one line, whole and stream in one cell."""
    heads = [*MODES, *COLUMNS[2 * len(MODES):]]
    lines = {}
    for name, cells in told.items():
        letters = {c: "".join(LETTERS[w] for w in cells[c].split(", ") if w) for c in COLUMNS}
        pairs = [(letters[m], letters[column(m, True)]) for m in MODES]
        row = (*[a if a == b else f"{a} / {b}" for a, b in pairs], *[letters[c] for c in heads[len(MODES):]])
        title, number, language = re.fullmatch(r"(.*) (\S+) \((\w+)\)", name).groups()
        lines.setdefault(row, {}).setdefault((title, language), []).append(number)

    def names(clients):
        return "; ".join(f"{title} ({language} {', '.join(numbers)})" for (title, language), numbers in clients.items())
    return as_table([["clients", *heads], *[[names(clients), *row] for row, clients in lines.items()]])


def test_the_readme_has_the_table_in_short():
    before, table, after = parted(README)
    want = short(written(parted(TABLE)[1]))
    if WRITE:
        README.write_text(before + BEGIN + want + END + after)
        return
    assert table == want, "the table of README.md is not that of docs/clients.md: IBID_WRITE_CLIENTS=1 writes it"
