"""`ibid cache export --for finetune`: from stored answers to files that a trainer reads, and from an adapter back to answers."""
import json
import os

import pytest

from client import post, user
from conftest import needs_decoder, needs_encoder
from test_adapters import NAME, save
from test_import import CREDENTIAL, lines, run, stopped  # noqa: F401
from upstream import completion

pytestmark = needs_encoder
WORDS = ("sodium poetry gravity bankruptcy origami malaria jazz democracy granite photosynthesis inflation volcano chess algebra mustard glacier opera "
         "leather satellite vaccine tulip harpoon whisky tornado violin cement asthma pilgrim saffron turbine").split()
FILES = [f"{half}.{form}.jsonl" for half in ("heldout", "train") for form in ("alpaca", "chat", "provenance")]


def exchange(question, said, model="stub-model", before=(), **fields):
    return {"request": {"model": model, "messages": [*before, {"role": "user", "content": question}], **fields}, "response": completion(said, model=model)}


def fill(ibid, *objects):
    p = run(ibid, "import", *CREDENTIAL, "-", stdin=lines(*objects), env={"CLIENT_KEY": "k"})
    assert p.returncode == 0 and f"{len(objects)} taken" in p.stderr, p.stderr


def export(ibid, folder, *args, **kw):
    return run(ibid, "export", "--for", "finetune", "-o", str(folder), "--licence", "CC-BY-4.0", *args, **kw)


def read(folder):
    return {n: [json.loads(x) for x in (folder / n).read_text().splitlines()] for n in os.listdir(folder) if n.endswith(".jsonl")}


def asked(found):
    return [r["messages"][-2]["content"] for half in ("train", "heldout") for r in found[f"{half}.chat.jsonl"]]


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def full(stopped):  # noqa: F811
    # Without an encoder nothing is compared by meaning, and of what is not the question is not kept.
    stopped.env["IBID_ENCODER_MODEL"] = "all-minilm-l6-v2"
    fill(stopped, *[exchange(f"What is {w}?", f"It is about {w}, says the book.") for w in WORDS])
    return stopped


def test_rows_forms_and_where_they_come_from(full, tmp_path):
    p = export(full, tmp_path / "a", "--held-out", "0.3")
    assert p.returncode == 0, p.stderr
    found = read(tmp_path / "a")
    assert sorted(found) == FILES and all(os.stat(tmp_path / "a" / n).st_mode & 0o777 == 0o600 for n in FILES)
    for half in ("train", "heldout"):
        chat, alpaca, where = (found[f"{half}.{form}.jsonl"] for form in ("chat", "alpaca", "provenance"))
        assert len(chat) == len(alpaca) == len(where) > 0
        for c, a, w in zip(chat, alpaca, where):
            question, said = c["messages"][0]["content"], c["messages"][1]["content"]
            assert c == {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": said}]}
            assert a == {"instruction": question, "input": "", "output": said} and said == f"It is about {question[8:-1]}, says the book."
            assert (w["model"], w["licence"], w["judged_by"]) == ("stub-model", "CC-BY-4.0", ["rules"])
            assert len(w["entry"]) == len(w["partition"]) == len(w["tenant"]) == 64 and w["answered_at"].endswith("Z") and len(w["answered_at"]) == 20
    assert sorted(asked(found)) == sorted(f"What is {w}?" for w in WORDS)
    held = {r["messages"][0]["content"] for r in found["heldout.chat.jsonl"]}
    assert not held & {r["messages"][0]["content"] for r in found["train.chat.jsonl"]}
    s = summary(tmp_path / "a")
    assert (s["entries"], s["train"] + s["held_out"], s["held_out"], s["left_out"]) == (len(WORDS), len(WORDS), len(held), {})
    # The same store gives the same bytes, and more of it moves nothing to the other side.
    assert export(full, tmp_path / "b", "--held-out", "0.3").returncode == 0
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in FILES)
    fill(full, exchange("Who painted the ceiling?", "A man on a scaffold."))
    assert export(full, tmp_path / "c", "--held-out", "0.3").returncode == 0
    assert held <= {r["messages"][0]["content"] for r in read(tmp_path / "c")["heldout.chat.jsonl"]}


def test_what_is_left_out(full, tmp_path):
    # What the rules take for no answer was stored for the very same request only, without its question.
    fill(full, exchange("what is SODIUM", "Once more: a metal."),  # the same, whatever its case
         exchange("Where is the key?", "I'm not sure."),
         exchange("How do I reach her?", "Write to jane.doe@example.com, she answers."),
         exchange("Repeat after me: yes", "yes"),
         exchange("Say it.", "The answer is the plant. " * 8),
         exchange("Who is it?", "Somebody.", model="closed-1"),
         exchange("And then?", "Nothing.", before=[{"role": "user", "content": "Who came?"}, {"role": "assistant", "content": "Ann."}]))
    p = export(full, tmp_path / "a", env={"IBID_EXPORT_LICENCES": "closed-*=none"})
    assert p.returncode == 0, p.stderr
    assert summary(tmp_path / "a")["left_out"] == {"same": 1, "no_question": 3, "private": 1, "no_licence": 1, "alone": 1}
    assert "left out: private         1" in p.stderr
    assert sorted(q.lower().strip("?") for q in asked(read(tmp_path / "a"))) == sorted(f"what is {w}" for w in WORDS)
    assert b"jane.doe" not in b"".join((tmp_path / "a" / n).read_bytes() for n in FILES)
    p = export(full, tmp_path / "b", "--partition-min", "1", "--quiet")
    assert p.returncode == 0 and p.stderr == "" and "And then?" in asked(read(tmp_path / "b"))


def test_one_tenant_one_partition_and_a_system_prompt(full, tmp_path):
    p = run(full, "import", *CREDENTIAL, "-", stdin=lines(exchange("What is theirs?", "Ours."), exchange("What is ours?", "Theirs.")), env={"CLIENT_KEY": "other"})
    assert p.returncode == 0, p.stderr
    assert export(full, tmp_path / "all", "--held-out", "0").returncode == 0
    rows = read(tmp_path / "all")
    other = [w for w, c in zip(rows["train.provenance.jsonl"], rows["train.chat.jsonl"]) if c["messages"][0]["content"] == "What is ours?"][0]
    for name in ("tenant", "partition"):
        assert export(full, tmp_path / name, f"--{name}", other[name][:16], "--held-out", "0", "--format", "chat", "--system", "Be brief.").returncode == 0
        found = read(tmp_path / name)
        assert sorted(found) == [n for n in FILES if "alpaca" not in n]
        assert sorted(c["messages"][1]["content"] for c in found["train.chat.jsonl"]) == ["What is ours?", "What is theirs?"]
        assert all(c["messages"][0] == {"role": "system", "content": "Be brief."} for c in found["train.chat.jsonl"])
        assert summary(tmp_path / name)["left_out"] == {"not_asked_for": len(WORDS)}


def test_of_those_that_ask_the_same_one_is_kept_and_near_ones_stay_together(full, tmp_path):
    same = ["How do I enable the alarm?", "How can I enable the alarm?", "how do i enable the alarm please"]
    near = ["How do I disable the alarm?", "How do I enable the siren?"]
    fill(full, *[exchange(q, f"About: {q}") for q in same + near])
    for share in ("0.1", "0.5", "0.9"):
        assert export(full, tmp_path / share, "--held-out", share, "--near", "0.7").returncode == 0
        found = read(tmp_path / share)
        alarms = {half: [r["messages"][0]["content"] for r in found[f"{half}.chat.jsonl"] if "alarm" in r["messages"][0]["content"]] for half in ("train", "heldout")}
        together = alarms["train"] + alarms["heldout"]
        assert len([q for q in together if q in same]) == 1 and near[0] in together  # what a guard tells apart is another question
        assert not alarms["train"] or not alarms["heldout"]
    assert summary(tmp_path / "0.5")["left_out"]["near"] == 2


@needs_decoder
def test_a_model_judges_too(full, tmp_path):
    full.env["IBID_LOCAL_MODEL"] = NAME
    p = export(full, tmp_path / "a", "--judge", "local", "--rows-max", "3", "--held-out", "0", env={"IBID_JUDGE_SURE": "1"})
    assert p.returncode == 0, p.stderr
    where = read(tmp_path / "a")["train.provenance.jsonl"]
    assert where and all(w["judged_by"] == ["rules", NAME] and 0 <= w["answers"] <= 1 for w in where)
    # With a bias nothing is an answer to it.
    p = export(full, tmp_path / "b", "--judge", "local", "--rows-max", "3", env={"IBID_JUDGE_LOCAL_BIAS": "-20"})
    assert p.returncode == 0 and summary(tmp_path / "b")["left_out"] == {"judged_no": 3, "rows_max": len(WORDS) - 3}, p.stderr


def test_refused_with_a_word(full, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/train.chat.jsonl").write_text("mine")
    p = export(full, tmp_path / "there")
    assert p.returncode == 1 and "train.chat.jsonl': File exists" in p.stderr and (tmp_path / "there/train.chat.jsonl").read_text() == "mine"
    p = run(full, "export", "--for", "finetune", "-o", str(tmp_path / "x"))
    assert p.returncode == 2 and "export.licence" in p.stderr and not (tmp_path / "x").exists()
    for args, word in ((("--for", "fun"), "finetune is all there is"), (("--held-out", "2"), "--held-out"), (("--near", "0.1"), "--near"), (("--format", "csv"), "none of chat"),
                       (("--judge", "dice"), "neither rules nor local"), (("--tenant", "xyz"), "--tenant"), (("--rows-max", "0"), "--rows-max"), (("--partition-min", "0"), "--partition-min")):
        p = export(full, tmp_path / "y", *args)
        assert p.returncode == 2 and word in p.stderr, (args, p.stderr)
    assert run(full, "export", "--for", "finetune").returncode == 2
    assert "usage: ibid cache export --for finetune" in run(full, "export", "--for", "finetune", "--help").stdout
    full.start()
    p = export(full, tmp_path / "z")
    assert p.returncode == 1 and "in use by process" in p.stderr


@needs_decoder
def test_the_loop_ends_in_an_adapter_on_a_route(make_ibid, upstream, tmp_path):
    """What a trainer makes of the files is an adapter; here one that the test makes. On, off and on again, by reload."""
    adapter = save(tmp_path / "tuned.gguf", 3)
    base = f"local: {{model: {NAME}, adapters: 'tuned={adapter}'}}\n"
    route = "routes:\n- {name: ours, models: small, to: 'local:tuned'}\n"
    ibid = make_ibid(upstream, local=True, config=base)

    def ask():
        r = post(ibid, user("Name a colour.", model="small", max_tokens=12), [("x-ibid-cache", "no-cache, no-store")], key="k")
        assert r.status == 200
        return r

    def reload(text):
        (ibid.dir / "ibid.yaml").write_text(text)
        p = ibid.request("POST", "/admin/v1/reload", headers={"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)
        assert p.status == 200, p.body

    plain = post(ibid, user("Name a colour.", model=NAME, max_tokens=12), [("x-ibid-cache", "no-cache, no-store")], key="k")
    assert ask().source == "upstream"
    reload(base + route)
    tuned = ask()
    assert (tuned.source, tuned.json["model"]) == ("local", "tuned") and tuned.text != plain.text
    reload(base + route.replace(":tuned", f":{NAME}"))
    back = ask()
    assert (back.source, back.json["model"], back.text) == ("local", NAME, plain.text)
    reload(base + route.replace(":tuned", f":{NAME}:tuned"))
    assert ask().text == tuned.text
    (ibid.dir / "ibid.yaml").write_text(base + route.replace(":tuned", ":nobody"))
    p = ibid.request("POST", "/admin/v1/reload", headers={"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)
    assert p.status == 422 and b"there is no model 'nobody'" in p.body, (p.status, p.body)
    assert ask().text == tuned.text
