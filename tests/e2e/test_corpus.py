"""Every stream of the corpus, in every spelling, coding and chunking: relayed byte by byte, and its replay
says what it said."""
import pytest

import corpus
from client import post, serving, until
from upstream import Reply

STREAMS = {name: (dialect, data) for name, dialect, data in corpus.streams()}
PIECES = (1, 2, 3, 7, 64, None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Reusing calls of tools too, as an operator may say: the more is replayed."""
    with serving(tmp_path_factory.mktemp("corpus"), env={"IBID_CACHE_TOOL_CALLS": "exact"}) as both:
        yield both


def in_two(kind, coding, wire, at):
    """An answer in two chunks."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n" + (f"Content-Encoding: {coding}\r\n" if coding else "")
    parts = [b"%x\r\n%s\r\n" % (len(x), x) for x in (wire[:at], wire[at:]) if x]
    return Reply(raw=head.encode() + b"\r\n" + b"".join(parts) + b"0\r\n\r\n")


def relayed_and_replayed(shared, name, number, body, coding=None, pieces=None, at=None):
    """`number` makes the request one that was not asked before."""
    ibid, up = shared
    dialect, data = STREAMS[name]
    path, ask = corpus.ROUTES[dialect]
    wire = corpus.CODINGS[coding](body) if coding else body
    kind = "application/x-ndjson" if corpus.spellings(dialect) is corpus.LINES else "text/event-stream"
    up.script = [Reply(body=wire, content_type=kind, chunked=True, pieces=pieces, headers=[("Content-Encoding", coding)] if coding else [])]
    if at is not None:
        up.script = [in_two(kind, coding, wire, at % len(wire))]
    headers = [("Accept-Encoding", coding)] if coding else []
    miss, hit = [post(ibid, {"model": f"m-{name}-{number}", **ask}, headers, path=path, key="sk-corpus") for _ in range(2)]
    assert miss.source == "upstream" and miss.body == wire and miss.headers.get("content-encoding") == coding
    assert hit.source == "exact" and hit.headers["content-type"].startswith(kind), (name, ibid.metric("ibid_cache_unstored_total"))
    assert corpus.said(dialect, hit.body) == corpus.said(dialect, data)


@pytest.mark.parametrize("name", STREAMS)
def test_spelled_coded_and_cut_in_any_way(shared, name):
    dialect, data = STREAMS[name]
    number = 0
    for spelling, spelled in corpus.spellings(dialect).items():
        for coding in (None, *corpus.CODINGS):
            for pieces in PIECES if spelling in ("lf", "crlf") else PIECES[number % 5:][:1]:
                number += 1
                try:
                    relayed_and_replayed(shared, name, number, spelled(data), coding, pieces)
                except AssertionError as e:
                    raise AssertionError(f"{name}, {spelling}, {coding}, in pieces of {pieces}") from e


@pytest.mark.parametrize("step", [101, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STREAMS)
def test_split_anywhere(shared, name, step):
    """In two at each byte, plain, and coded at each byte of that."""
    dialect, data = STREAMS[name]
    for coding in (None, *corpus.CODINGS):
        wire = corpus.CODINGS[coding](data) if coding else data
        for at in range(1, len(wire), step):
            try:
                relayed_and_replayed(shared, name, f"{coding} {step} {at}", data, coding, at=at)
            except AssertionError as e:
                raise AssertionError(f"{name}, {coding}, split at {at}") from e
