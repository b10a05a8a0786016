#!/usr/bin/env bash
# Many at once: connections that have asked once and are silent, and slow streams beside them; what each
# of them takes of memory (the difference of RSS), and whether one is lost. Plain, then through TLS.
#
#     bench/crowd.sh [--idle N] [--streams N] [--seconds N] [--rest S] [--plain|--tls] [--quiet]
#
# --rest: how long each state is held before it is measured (3 s; with more than limits.heap_return_s, 30 s, what was
# freed has gone back to the system).
# Needs build/release/ibid, a C compiler, openssl and its headers, curl, python3; exit status 77 without them or where
# too few open files are allowed. Ends with 1 when an answer was lost or was not the upstream's byte for byte, an
# idle connection takes more than 10 KiB (18 with TLS), or a stream more than 64.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
idle=10000 streams=2000 seconds=30 rest=3 kinds="plain tls" gap_ms=200
while [ $# -gt 0 ]; do
    case $1 in
    --idle) idle=$2; shift ;;
    --streams) streams=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --rest) rest=$2; shift ;;
    --plain) kinds=plain ;;
    --tls) kinds=tls ;;
    --quiet) quiet=1 ;;
    *) usage ;;
    esac
    shift
done
need_tools cc openssl curl python3
need_ibid
files=$(ulimit -Hn) needed=$((idle + 2 * streams + 256))
[ "$files" = unlimited ] || [ "$files" -ge "$needed" ] || skip "$files open files are allowed, $needed are needed (ulimit -Hn)"
compile slow
compile crowd -lssl -lcrypto
certificate
events=$((seconds * 1000 / gap_ms))
status=0
for kind in $kinds; do
    read -r up port admin <<<"$(free_ports 3)"
    start "$work/slow" "$up" "$events" "$gap_ms"
    upstream=$pid
    at=127.0.0.1:$port
    [ "$kind" = plain ] || at=tls:$at
    {
        echo "listen: '$at'"
        echo "admin: {listen: '127.0.0.1:$admin'}"
        echo "data_dir: $work/$kind"
        echo "log_level: warn"
        echo "upstream: {url: 'http://127.0.0.1:$up', connections_max: $((streams + 64))}"
        echo "limits: {connections_max: $((idle + streams + 256)), requests_max: $((streams + 512)), idle_timeout_ms: 600000}"
        [ "$kind" = plain ] || echo "tls: {cert_file: '$work/cert.pem', key_file: '$work/key.pem', handshakes_max: 4096}"
        echo "encoder: {model: 'off'}"
        echo "local: {model: 'off'}"
    } >"$work/$kind.yaml"
    log=$work/$kind.log
    start "$ibid" serve -c "$work/$kind.yaml"
    until_answered "127.0.0.1:$admin/readyz"
    tls=() limit=10
    [ "$kind" = plain ] || { tls=(--tls); limit=18; }
    say "$idle idle connections, $streams streams of $seconds s, $kind"
    "$work/crowd" "$port" "$pid" "${tls[@]}" --idle "$idle" --streams "$streams" --events "$events" --rest "$rest" >"$work/$kind.json" || status=$?
    cat "$work/$kind.json"
    [ "$status" = 0 ] || cat "$log" >&2
    python3 - "$work/$kind.json" "$limit" <<'PY' || status=1
import json, sys
got, limit = json.load(open(sys.argv[1])), float(sys.argv[2])
bad = [f"{name} takes {got[key]} KiB, more than {most}" for name, key, most in (("an idle connection", "idle_kib_each", limit), ("a stream", "stream_kib_each", 64)) if got[key] > most]
print("\n".join(bad), end="\n" if bad else "", file=sys.stderr)
sys.exit(bool(bad))
PY
    kill "$upstream" && wait "$upstream" 2>/dev/null || true
    kill "$pid" && wait "$pid" || { say "ibid did not end well"; status=1; }
    log=
done
exit "$status"
