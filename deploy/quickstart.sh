#!/usr/bin/env bash
# From a bare Debian 12 to a serving ibid: packages, build, models, a demonstration.
#
#   deploy/quickstart.sh           … then serves on 127.0.0.1:8080 until Ctrl-C
#   deploy/quickstart.sh --once    free ports, a temporary data directory; ends after the
#                                  demonstration, 0 if every row came out as it should
#
# With IBID_UPSTREAM_URL set (and OPENAI_API_KEY, OPENAI_MODEL), the upstream row of the
# demonstration asks that API; else a second ibid process.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

once=
for arg in "$@"; do
    case $arg in
    --once) once=1 ;;
    --quiet | -q) quiet=1 ;;
    --help | -h) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die "'$arg' is not understood (--once, --quiet)" ;;
    esac
done

ibid=$root/build/release/ibid
work=$(mktemp -d "${TMPDIR:-/tmp}/ibid-quickstart.XXXXXX")
pids=()

cleanup() {
    trap - EXIT INT TERM
    [ "${#pids[@]}" = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    [ "${#pids[@]}" = 0 ] || wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME [VARIABLE=VALUE…]: an ibid of its own; its log is $work/NAME.log.
start() {
    local name=$1
    shift
    : >"$work/$name.log"
    env "$@" "$ibid" serve >>"$work/$name.log" 2>&1 &
    pids+=($!)
}

# port NAME PID [LISTENER]: where it listens, once it is ready.
port() {
    local log=$work/$1.log pid=$2 what=${3:-listen} tries=0
    until grep -q 'event="ready"' "$log"; do
        kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; die "ibid did not start"; }
        [ $((tries += 1)) -le 600 ] || { cat "$log" >&2; die "ibid is not ready after 60 s"; }
        sleep 0.1
    done
    sed -n 's/.*event="listening" what="'"$what"'" .*port=\([0-9]*\).*/\1/p' "$log" | head -n 1
}

# The file of the admin token.
admin_token() {
    local settings file
    settings=$("$ibid" check)
    file=$(sed -n 's/^  token_file: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' <<<"$settings" | head -n 1)
    [ -n "$file" ] || file=$(sed -n 's/^data_dir: "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' <<<"$settings")/admin.token
    printf '%s' "$file"
}

need_packages "${build_packages[@]}"
need_faiss
need_charts
timed "build" build release ibid
"$ibid" models pull ${quiet:+--quiet} all-minilm-l6-v2 smollm2-135m-instruct

# Two processes: "main" is the one that stays; "other" is there for the demonstration.
# Where there is an API, main has it and other has only its local model; where there is
# none, main has only its local model and stands in for the API behind other.
main=()
other=(IBID_LISTEN=127.0.0.1:0 IBID_ADMIN_LISTEN=127.0.0.1:0 "IBID_DATA_DIR=$work/other"
    IBID_STORE_URL=memory:)
[ -z "$once" ] || main=(IBID_LISTEN=127.0.0.1:0 IBID_ADMIN_LISTEN=127.0.0.1:0
    "IBID_DATA_DIR=$work/main")
start main "${main[@]}"
main_port=$(port main "${pids[0]}")
if [ -n "${IBID_UPSTREAM_URL:-}" ]; then
    start other "${other[@]}" IBID_UPSTREAM_URL=
    local_port=$(port other "${pids[1]}")
    upstream_port=$main_port
    upstream_name=$IBID_UPSTREAM_URL
else
    start other "${other[@]}" "IBID_UPSTREAM_URL=http://127.0.0.1:$main_port" \
        IBID_LOCAL_MODEL=off
    upstream_port=$(port other "${pids[1]}")
    local_port=$main_port
    upstream_name="a second ibid process with only its local model"
fi

status=0
say
python3 "$root/deploy/demo.py" "$local_port" "$upstream_port" "$upstream_name" || status=$?
[ -z "$once" ] || exit "$status"

kill "${pids[1]}"
wait "${pids[1]}" 2>/dev/null || true
pids=("${pids[0]}")
cat <<END

ibid serves on port $main_port until Ctrl-C. In another terminal:

    export OPENAI_BASE_URL=http://127.0.0.1:$main_port/v1

    $ibid report        # what it has saved so far

The dashboard asks for the token that is in $(admin_token):
http://127.0.0.1:$(port main "${pids[0]}" admin.listen)/dashboard
END
wait "${pids[0]}"
