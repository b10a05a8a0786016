#!/usr/bin/env python3
"""The bill of materials of a binary, as SPDX 2.3 JSON (https://spdx.github.io/spdx-spec/v2.3/).

usage: sbom.py BINARY OUT [--llhttp debian|FOLDER] [--faiss PREFIX] [--charts LOCK]

What the binary links dynamically is read from the binary itself (readelf, ldd), and its versions from
dpkg: those of this machine. What is compiled in is named by the build. Licences are those of
docs/dependencies.md; a library without a line there has NOASSERTION, which the tests refuse.
The document's time is SOURCE_DATE_EPOCH, where that is set: the same binary, the same bytes.
"""
import argparse
import base64
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNKNOWN = "NOASSERTION"


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True,
                          env=os.environ | {"LC_ALL": "C"}).stdout


def debian(package, field):
    try:
        return said("dpkg-query", "-W", f"-f=${{{field}}}", package)
    except (OSError, subprocess.CalledProcessError):
        return ""


def owner(file):
    """The Debian package of a file, or None. /lib is /usr/lib, and dpkg may know it by either."""
    names = {str(file), os.path.realpath(file)}
    for name in sorted(names | {n.removeprefix("/usr") for n in names} | {f"/usr{n}" for n in names}, reverse=True):
        try:
            return said("dpkg-query", "-S", name).split(": ")[0].split(":")[0]
        except (OSError, subprocess.CalledProcessError):
            pass
    return None


def licences():
    """SPDX licence by library and by Debian source package, from the table of dependencies."""
    found = {}
    for line in (ROOT / "docs/dependencies.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if len(cells) != 5 or not re.fullmatch(r"[A-Za-z0-9.-]+( WITH [A-Za-z0-9.-]+)?", cells[2]):
            continue
        found[cells[0].lower()] = cells[2]
        for package in re.findall(r"\b[a-z][a-z0-9+.-]+[a-z0-9+]", cells[1]):
            found[package] = cells[2]
            found[debian(package, "source:Package") or package] = cells[2]
    return found


def linked(binary):
    """The shared libraries that the binary itself asks for: name and file."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", said("readelf", "-dW", str(binary)))
    files = dict(re.findall(r"^\s*(?:\S*/)?(\S+)(?: => (\S+))? \(0x", said("ldd", str(binary)), re.M))
    return [(name, files.get(name) or name) for name in sorted(needed)]


def package(name, version, licence, purl=None, **more):
    entry = {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name),
        "name": name,
        "versionInfo": version,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": licence,
        "copyrightText": UNKNOWN,
    }
    if purl:
        entry["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]
    return entry | more


def of_debian(name, known, **more):
    version, source = debian(name, "Version") or UNKNOWN, debian(name, "source:Package") or name
    return package(name, version, known.get(name) or known.get(source) or UNKNOWN,
                   f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={debian(name, 'Architecture')}",
                   sourceInfo=f"Debian source package {source}", **more)


def of_library(name, file, known):
    held = owner(file)
    return of_debian(held, known) if held else package(name, UNKNOWN, UNKNOWN)


def compiled_in(args, known):
    if args.llhttp == "debian":
        yield of_debian("node-llhttp", known)
    elif args.llhttp:
        yield package("llhttp", UNKNOWN, known.get("llhttp", UNKNOWN))
    if args.faiss:
        version = (re.findall(r"faiss-(\d[\d.]*\d)", args.faiss) or [UNKNOWN])[-1]
        yield package("faiss", version, known.get("faiss", UNKNOWN), f"pkg:generic/faiss@{version}",
                      sourceInfo="built by deploy/faiss.sh from the Debian source package: what k-means needs")
    if args.charts:
        for path, entry in json.loads(pathlib.Path(args.charts).read_text())["packages"].items():
            if not path:
                continue
            name, (algorithm, digest) = path.rpartition("node_modules/")[2], entry["integrity"].split("-", 1)
            yield package(name, entry["version"], entry["license"], f"pkg:npm/{name}@{entry['version']}", checksums=[
                {"algorithm": algorithm.upper(), "checksumValue": base64.b64decode(digest).hex()}])


def document(args):
    known = licences()
    version = said(str(args.binary.resolve()), "--version").split()[1]
    own = package("ibid", version, "Apache-2.0", primaryPackagePurpose="APPLICATION")
    dynamic = {p["SPDXID"]: p for p in (of_library(n, f, known) for n, f in linked(args.binary))}
    static = {p["SPDXID"]: p for p in compiled_in(args, known)}
    packages = [own, *sorted((static | dynamic).values(), key=lambda p: p["SPDXID"])]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"])]
    relations += [(own["SPDXID"], "STATIC_LINK", i) for i in sorted(static)]
    relations += [(own["SPDXID"], "DYNAMIC_LINK", i) for i in sorted(dynamic)]
    created = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    content = hashlib.sha256(json.dumps([packages, relations, created]).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"ibid-{version}",
        # A name of this document alone; nothing is there (the specification, 6.5).
        "documentNamespace": f"https://ibid.invalid/spdx/ibid-{version}-{content}",
        "creationInfo": {
            "created": datetime.datetime.fromtimestamp(created, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Organization: the ibid project", "Tool: ibid-sbom"],
        },
        "packages": packages,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("binary", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--llhttp", metavar="debian|FOLDER", help="where llhttp's C sources came from")
    p.add_argument("--faiss", metavar="PREFIX", help="FAISS is compiled in, from there")
    p.add_argument("--charts", metavar="LOCK", help="the charts' library is compiled in, of this npm lock")
    args = p.parse_args()
    args.out.write_text(json.dumps(document(args), indent=1) + "\n")


if __name__ == "__main__":
    main()
