#!/usr/bin/env bash
# Is the built-in model a good neighbour? Exact hits at 500 a second, by turns while it is idle
# and while it writes answers on a thread of each core.
#
#     bench/neighbour.sh [--rounds N] [--seconds S] [--rate N] [--model NAME|PATH] [--priority idle|low|normal] [--cpu-share X] [--cpus N]
#
# --cpus 0.5: in a control group that may use half a processor (needs root); then it is p99 itself that counts.
#
# Needs build/release/ibid, the model (ibid models pull smollm2-135m-instruct), a C compiler, curl,
# python3; exit status 77 without them, 1 when the median of the rounds' p99 is more than 1.5 times
# what it is beside an idle model, or 20 ms with --cpus. Nothing else should run meanwhile.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
rounds=5 seconds=6 rate=500 model=smollm2-135m-instruct priority=idle share=1 cpus=
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --rate) rate=$2; shift ;;
    --model) model=$2; shift ;;
    --priority) priority=$2; shift ;;
    --cpu-share) share=$2; shift ;;
    --cpus) cpus=$2; shift ;;
    *) usage ;;
    esac
    shift
done
need_tools cc curl python3
need_ibid
need_models "$model"
compile stub
compile paced
read -r up port admin <<<"$(free_ports 3)"
start "$work/stub" "$up"
cat >"$work/ibid.yaml" <<EOF
listen: 127.0.0.1:$port
admin: {listen: 127.0.0.1:$admin}
data_dir: $work/data
log_level: warn
upstream: {url: http://127.0.0.1:$up}
encoder: {model: "off"}
local: {model: "$model", threads: $(nproc), priority: $priority, cpu_share: $share}
EOF
within=()
if [ -n "$cpus" ]; then
    within=(python3 "$root/tests/e2e/cgroup.py" "$cpus")
    "${within[@]}" true || exit $?
fi
start "${within[@]}" "$ibid" serve -c "$work/ibid.yaml"
until_answered "127.0.0.1:$admin/readyz"
python3 "$root/bench/load/neighbour.py" "$work/paced" "$port" "$admin" "$rate" "$seconds" "$rounds" 4 | tee "$work/out"
python3 - "$work/out" "$cpus" <<'EOF'
import json, sys
m = json.loads(open(sys.argv[1]).read().splitlines()[-1])["median"]
print(f"neighbour: p99 of exact hits {m['idle_p99_us']:.0f} us beside an idle model, {m['busy_p99_us']:.0f} us beside a busy one: {m['ratio_p99']:.2f} times; the model at {m['model_tokens_per_s']:.0f} tokens/s")
sys.exit(m["busy_p99_us"] > 20000 if sys.argv[2] else m["ratio_p99"] > 1.5)
EOF
