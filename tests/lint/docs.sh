#!/bin/sh
# What the documents name is there: links to files of this tree, and settings.
set -eu
exec python3 - <<'PY'
import pathlib
import re
import sys

pages = [pathlib.Path("README.md"), *sorted(pathlib.Path("docs").glob("*.md"))]
reference = pathlib.Path("docs/configuration.md").read_text()
keys = set(re.findall(r"^\| `([a-z_.]+)`", reference, re.M))
sections = {key.split(".")[0] for key in keys if "." in key}
bad = []
for page in pages:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not (page.parent / target).exists():
            bad.append(f"{page}: no file {target}")
    for section, name in re.findall(r"`([a-z]+)\.([a-z_]+)(?:: [^`]*)?`", text):
        if name not in ("c", "h", "crt", "key") and section in sections and f"{section}.{name}" not in keys:
            bad.append(f"{page}: no setting {section}.{name}")
print("\n".join(bad))
sys.exit(1 if bad else 0)
PY
