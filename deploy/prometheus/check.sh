#!/usr/bin/env bash
# The rules are valid, fire when they should and only then, and each has its page in the runbook.
set -euo pipefail
cd "$(dirname "$0")"
command -v promtool >/dev/null || { echo "no promtool (apt-get install prometheus)"; exit 77; }
promtool check config prometheus.yaml
promtool test rules alerts_test.yaml

runbook=../../docs/operations.md
sed -n 's/^ *- alert: //p' alerts.yaml | while read -r name; do
    grep -qx "### $name" "$runbook" || { echo "docs/operations.md has no heading '$name'"; exit 1; }
    grep -qx " *runbook: docs/operations.md#${name,,}" alerts.yaml ||
        { echo "alerts.yaml: $name does not name its place in the runbook"; exit 1; }
done
