#!/usr/bin/env python3
"""The manual page and the shells' completion, out of what `ibid --help` says.

usage: manual.py IBID OUT_DIR    writes OUT_DIR/ibid.1, ibid.bash, _ibid (zsh) and ibid.fish
"""
import pathlib
import re
import subprocess
import sys

BASH = """# bash completion of ibid; made of its --help.
_ibid() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} key=${{COMP_WORDS[1]-}} words
    [ "${{#COMP_WORDS[@]}}" -gt 3 ] && [ -n "${{_ibid_words["$key ${{COMP_WORDS[2]}}"]-}}" ] &&
        key="$key ${{COMP_WORDS[2]}}"
    words=${{_ibid_words["$key"]-}}
    [ "$COMP_CWORD" -gt 1 ] || words="{commands} --help --version"
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
declare -gA _ibid_words=(
{rows}
)
complete -o default -F _ibid ibid
"""

# zsh finds it by its name, _ibid, in a folder of $fpath.
ZSH = """#compdef ibid
# zsh completion of ibid; made of its --help.
local key=${{words[2]-}}
local -A of
of=(
{rows}
)
if (( CURRENT == 2 )); then
    compadd -- {commands} --help --version
    return
fi
(( CURRENT > 3 )) && [[ -n ${{of[$key ${{words[3]-}}]-}} ]] && key="$key ${{words[3]}}"
compadd -- ${{(s: :)of[$key]-}}
_files
"""

FISH = """# fish completion of ibid; made of its --help.
function __ibid_at
    # Whether the words before the cursor begin with these, and no longer command does.
    set -l words (commandline -opc)[2..-1]
    set -l n (count $argv)
    set -l next (math $n + 1)
    set -l more $words[$next]
    test (count $words) -ge $n; or return 1
    test "$words[1..$n]" = "$argv"; or return 1
    not contains -- "$argv $more" {verbs}
end
complete -c ibid -n 'test (count (commandline -opc)) -eq 1' -f -a '{commands} --help --version'
{rows}
"""


def asked(program, *words):
    return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout


def options(usage):
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", usage)) | {"--help"})


def roff(text):
    return "\n".join(re.sub(r"^([.'])", r"\\&\1", line.replace("\\", "\\e").replace("-", "\\-")) for line in text.rstrip().splitlines())


def commands(program):
    """Each command and its help; those with verbs of their own ("models pull") follow it."""
    names = re.findall(r"^  ([a-z]+) ", asked(program), re.M)
    for name in names:
        text = asked(program, name)
        yield name, text
        for verb in dict.fromkeys(re.findall(rf"^(?:usage:)? +(?:ibid )?{name} ([a-z]+)\b", text, re.M)):
            yield f"{name} {verb}", asked(program, name, verb)


def manual(version, overview, pages):
    lines = [f'.TH IBID 1 "" "{version}" "User Commands"', ".SH NAME", "ibid \\- a caching proxy for LLM APIs",
             ".SH SYNOPSIS", ".B ibid", "COMMAND [ARGUMENTS]", ".SH DESCRIPTION", ".nf", roff(overview), ".fi", ".SH COMMANDS"]
    for name, text in pages.items():
        if " " in name and text == pages[name.split()[0]]:
            continue  # told with its command
        lines += [f".SS {name}", ".nf", roff(text), ".fi"]
    lines += [".SH FILES", "/etc/ibid/ibid.yaml", ".br", "/usr/share/doc/ibid/configuration.md (every setting)",
              ".SH EXIT STATUS", "0: done; 1: failed; 2: wrong arguments or settings."]
    return "\n".join(lines) + "\n"


def main():
    program, out = sys.argv[1], pathlib.Path(sys.argv[2])
    pages = dict(commands(program))
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    words = {name: options(text) for name, text in pages.items()}
    for name in pages:
        if " " in name:
            words[name.split()[0]].append(name.split()[1])
    (out / "ibid.1").write_text(manual(version, asked(program), pages))
    first = " ".join(n for n in pages if " " not in n)
    rows = "\n".join(f'    ["{name}"]="{" ".join(w)}"' for name, w in words.items())
    (out / "ibid.bash").write_text(BASH.format(commands=first, rows=rows))
    rows = "\n".join(f"    '{name}' '{' '.join(w)}'" for name, w in words.items())
    (out / "_ibid").write_text(ZSH.format(commands=first, rows=rows))
    rows = "\n".join(f"complete -c ibid -n '__ibid_at {name}' -a '{' '.join(w)}'" for name, w in words.items())
    verbs = " ".join(f"'{name}'" for name in pages if " " in name)
    (out / "ibid.fish").write_text(FISH.format(commands=first, rows=rows, verbs=verbs))


if __name__ == "__main__":
    main()
