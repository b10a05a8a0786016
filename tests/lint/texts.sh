#!/bin/sh
# Files stay readable in one sitting; scripts parse; nothing is left "to do".
set -eu
bad=0
for f in $(find src cache engine -name '*.c' -o -name '*.h' -o -name '*.cc'); do
    lines=$(wc -l <"$f")
    [ "$lines" -le 1000 ] || { echo "$f: $lines lines, more than 1000"; bad=1; }
done
for f in $(find deploy tests bench .ci -type f \( -name '*.sh' -o -name run \)); do
    case $(head -n 1 "$f") in
    *bash) bash -n "$f" || bad=1 ;;
    *sh) sh -n "$f" || bad=1 ;;
    *) echo "$f: no #! line"; bad=1 ;;
    esac
    [ -x "$f" ] || case $f in */lib.sh) ;; *) echo "$f: not executable"; bad=1 ;; esac
done
if grep -rnwE 'TODO|FIXME|XXX|HACK' src cache engine tests bench deploy docs README.md \
    --exclude-dir=corpus --exclude-dir=lint -I; then
    bad=1
fi
exit $bad
