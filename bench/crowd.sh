#!/usr/bin/env bash
# Many at once: connections that have asked once and are silent, and slow streams beside them; what each
# of them takes of memory (the difference of RSS), and whether one is lost. Plain, then through TLS.
#
#     bench/crowd.sh [--idle N] [--streams N] [--seconds N] [--rest S] [--plain|--tls] [--quiet]
#
# --rest: how long each state is held before it is measured (3 s; with more than limits.heap_return_s, 30 s, what was
# freed has gone back to the system).
# Needs build/release/ibid, a C compiler, openssl and its headers, curl; exit status 77 without them or where
# too few open files are allowed. Ends with 1 when an answer was lost or was not the upstream's byte for byte, an
# idle connection takes more than 10 KiB (18 with TLS), or a stream more than 64.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
idle=10000 streams=2000 seconds=30 rest=3 kinds="plain tls" quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --idle) idle=$2; shift ;;
    --streams) streams=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --rest) rest=$2; shift ;;
    --plain) kinds=plain ;;
    --tls) kinds=tls ;;
    --quiet) quiet=1 ;;
    *) sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
    esac
    shift
done
for tool in cc openssl curl python3; do
    command -v "$tool" >/dev/null || { echo "crowd: $tool is missing (apt install gcc openssl curl python3)"; exit 77; }
done
ibid=${IBID_BIN:-$root/build/release/ibid}
[ -x "$ibid" ] || { echo "crowd: build/release/ibid is missing; build it first"; exit 77; }
files=$(ulimit -Hn)
[ "$files" = unlimited ] || [ "$files" -ge $((idle + 2 * streams + 256)) ] || { echo "crowd: $files open files are allowed, $((idle + 2 * streams + 256)) are needed (ulimit -Hn)"; exit 77; }
work=$(mktemp -d)
pids=()
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
gap_ms=200
cc -O2 -o "$work/slow" "$root/bench/load/slow.c"
cc -O2 -o "$work/crowd" "$root/bench/load/crowd.c" -lssl -lcrypto
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 2 \
    -subj /CN=crowd -addext subjectAltName=IP:127.0.0.1 2>/dev/null
chmod 600 "$work/key.pem"
events=$((seconds * 1000 / gap_ms))
status=0
for kind in $kinds; do
    read -r up port admin <<<"$(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[x.getsockname()[1] for x in s])')"
    "$work/slow" "$up" "$events" "$gap_ms" & one=$!
    pids+=("$one")
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
    "$ibid" serve -c "$work/$kind.yaml" 2>"$work/$kind.log" & two=$!
    pids+=("$two")
    for _ in $(seq 200); do curl -sf "127.0.0.1:$admin/readyz" >/dev/null && break; sleep 0.05; done
    tls=() limit=10
    [ "$kind" = plain ] || { tls=(--tls); limit=18; }
    [ -n "$quiet" ] || echo "crowd: $idle idle connections, $streams streams of $seconds s, $kind" >&2
    "$work/crowd" "$port" "$two" "${tls[@]}" --idle "$idle" --streams "$streams" --events "$events" --rest "$rest" >"$work/$kind.json" || status=$?
    cat "$work/$kind.json"
    [ "$status" = 0 ] || cat "$work/$kind.log" >&2
    python3 - "$work/$kind.json" "$limit" <<'PY' || status=1
import json, sys
got, limit = json.load(open(sys.argv[1])), float(sys.argv[2])
bad = [f"{name} takes {got[key]} KiB, more than {most}" for name, key, most in (("an idle connection", "idle_kib_each", limit), ("a stream", "stream_kib_each", 64)) if got[key] > most]
print("\n".join(bad), end="\n" if bad else "", file=sys.stderr)
sys.exit(bool(bad))
PY
    kill "$one" && wait "$one" 2>/dev/null || true
    kill "$two" && wait "$two" || { echo "crowd: ibid did not end well" >&2; status=1; }
done
exit "$status"
