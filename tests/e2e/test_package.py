"""What the package brings beside the binary: its bill of materials, and completion for three shells."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import BIN, ROOT

LOCK = ROOT / "deploy/charts/package-lock.json"
needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no dpkg-query: this is no Debian")


def sbom(out, epoch="1700000000"):
    subprocess.run([sys.executable, ROOT / "deploy/sbom.py", BIN, out, "--llhttp", "debian", "--charts", LOCK,
                    "--faiss", "/somewhere/faiss-1.7.3-1"],
                   check=True, timeout=120, env=os.environ | {"SOURCE_DATE_EPOCH": epoch})
    return json.loads(out.read_text())


@needs_dpkg
def test_sbom(tmp_path):
    said = sbom(tmp_path / "one.json")
    names = {p["name"]: p for p in said["packages"]}
    ids = [p["SPDXID"] for p in said["packages"]]
    assert said["spdxVersion"] == "SPDX-2.3" and said["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert len(set(ids)) == len(ids)
    kinds = {r["relatedSpdxElement"]: r["relationshipType"] for r in said["relationships"]}
    assert set(kinds) == set(ids)
    # Everything has a version and a licence: a library without a line in docs/dependencies.md has none.
    for p in said["packages"]:
        assert p["versionInfo"] != "NOASSERTION" and p["licenseDeclared"] != "NOASSERTION", p
    for name in ("libssl3", "libuv1", "liblmdb0", "libc6"):
        assert kinds[names[name]["SPDXID"]] == "DYNAMIC_LINK"
    for name in ("node-llhttp", "faiss", "uplot"):
        assert kinds[names[name]["SPDXID"]] == "STATIC_LINK"
    assert names["uplot"]["versionInfo"] == json.loads(LOCK.read_text())["packages"]["node_modules/uplot"]["version"]
    # Each that the binary asks for; these three come with another one of their package.
    needed = set(re.findall(r"NEEDED.*\[([a-z+]+)", subprocess.run(["readelf", "-dW", BIN], check=True, capture_output=True, text=True).stdout))
    assert list(kinds.values()).count("DYNAMIC_LINK") == len({re.sub(r"-.*", "", n) for n in needed} - {"libcrypto", "libm", "ld"})
    # The same binary at the same time: the same bytes. Another time: another document.
    sbom(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert sbom(tmp_path / "later.json", "1700000001")["documentNamespace"] != said["documentNamespace"]


@needs_dpkg
def test_sbom_is_valid_spdx(tmp_path):
    parse = pytest.importorskip("spdx_tools.spdx.parser.parse_anything").parse_file
    validate = pytest.importorskip("spdx_tools.spdx.validation.document_validator").validate_full_spdx_document
    file = tmp_path / "ibid.spdx.json"
    sbom(file)
    found = [m.validation_message for m in validate(parse(str(file)))]
    assert not found
    broken = json.loads(file.read_text())
    broken["packages"][0]["licenseDeclared"] = "no such licence"
    file.write_text(json.dumps(broken))
    assert validate(parse(str(file)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("manual")
    subprocess.run([sys.executable, ROOT / "tools/manual.py", BIN, out], check=True, timeout=120)
    return out


def helps(*words):
    return subprocess.run([BIN, *words, "--help"], check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("shell,file", [("bash", "ibid.bash"), ("zsh", "_ibid"), ("fish", "ibid.fish")])
def test_completion_is_of_the_help(written, shell, file):
    text = (written / file).read_text()
    for command in re.findall(r"^  ([a-z]+) ", helps(), re.M):
        assert re.search(rf"\b{command}\b", text), command
    for words in (("serve",), ("check",), ("models", "quantize"), ("cache", "export"), ("tune", "judge")):
        for option in re.findall(r"(?<![\w-])--([a-z][a-z-]*)", helps(*words)):
            assert option in text, (words, option)
    # Quotes and brackets are in pairs, whatever --help says.
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    assert code.count("'") % 2 == 0 and code.count('"') % 2 == 0
    assert code.count("{") == code.count("}")
    if shutil.which(shell):
        done = subprocess.run([shell, "-n", written / file], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
@pytest.mark.parametrize("line,wanted", [("ibid mod", "models"), ("ibid models pu", "pull"), ("ibid models quantize --im", "--imatrix")])
def test_fish_completes(written, line, wanted):
    done = subprocess.run(["fish", "--no-config", "-c", f"source {written}/ibid.fish; complete -C '{line}'"],
                          capture_output=True, text=True, timeout=60, env=os.environ | {"HOME": str(written)})
    assert wanted in [w.split("\t")[0] for w in done.stdout.splitlines()], done


@pytest.mark.parametrize("words,wanted", [(["ibid", "mod"], "models"), (["ibid", "models", "pu"], "pull"),
                                          (["ibid", "models", "quantize", "--im"], "--imatrix")])
def test_bash_completes(written, words, wanted):
    script = (f"source {written}/ibid.bash; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _ibid; "
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, timeout=60)
    assert wanted in done.stdout.split(), done


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
@pytest.mark.parametrize("words,wanted", [(["ibid", "mod"], "models"), (["ibid", "models", "pu"], "pull"),
                                          (["ibid", "models", "quantize", "--im"], "--imatrix")])
def test_zsh_completes(written, words, wanted):
    # compadd is what hands the words over; here it prints them.
    script = (f"compdef() {{ : }}; _files() {{ : }}; compadd() {{ shift; print -l -- $@ }}; "
              f"words=({' '.join(words)}); CURRENT={len(words)}; source {written}/_ibid")
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, timeout=60)
    assert wanted in done.stdout.split(), done
