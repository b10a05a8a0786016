#!/bin/sh
# Fetches the charts' library of the dashboard (uPlot) by npm, its version and digest pinned in
# deploy/charts/package-lock.json, once, into ${XDG_CACHE_HOME:-~/.cache}/ibid. A build that
# is configured afterwards compiles it in; one without it shows tables instead of charts.
#     deploy/charts.sh [--quiet]
# Needs: npm. Runs no script of the package.
set -eu
here=$(cd "$(dirname "$0")/charts" && pwd)
say() { [ "$quiet" = 1 ] || echo "charts: $*"; }
quiet=0
[ "${1:-}" = --quiet ] && quiet=1

lock=$(sha256sum "$here/package-lock.json" | cut -c 1-12)
root=${XDG_CACHE_HOME:-$HOME/.cache}/ibid
folder=$root/charts-$lock
if [ -f "$folder/node_modules/uplot/dist/uPlot.iife.min.js" ]; then
    say "already in $folder"
    exit 0
fi
command -v npm >/dev/null || { echo "charts: npm is not there (Debian: apt-get install npm)" >&2; exit 1; }
mkdir -p "$root"
work=$(mktemp -d "$root/charts-fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cp "$here/package.json" "$here/package-lock.json" "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$work/log" 2>&1) ||
    { tail -n 20 "$work/log" >&2; exit 1; }
# Someone else may have fetched it meanwhile; then theirs is as good.
mv -T "$work" "$folder" 2>/dev/null || [ -f "$folder/node_modules/uplot/dist/uPlot.iife.min.js" ]
say "fetched into $folder"
