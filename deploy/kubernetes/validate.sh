#!/usr/bin/env bash
# The manifests against the schemas of the Kubernetes releases, offline, and the settings
# in them by ibid itself when it is built.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

tool=$cache/venv/bin/kubernetes-validate
if [ ! -x "$tool" ]; then
    need_packages python3-venv
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install -q --disable-pip-version-check \
        "$(grep '^kubernetes-validate==' "$root/tests/e2e/requirements.txt")"
fi
# 1.29 is the first release in which such sidecars are on without a feature gate.
for release in 1.29 1.33 1.37; do
    "$tool" --strict --quiet --kubernetes-version "$release" "$root"/deploy/kubernetes/*.yaml
    say "valid for Kubernetes $release"
done

ibid=$root/build/release/ibid
[ -x "$ibid" ] || exit 0
settings=$(mktemp "${TMPDIR:-/tmp}/ibid-settings.XXXXXX")
trap 'rm -f "$settings"' EXIT
sed -n '/^  ibid.yaml: |$/,/^---$/p' "$root/deploy/kubernetes/sidecar.yaml" |
    sed '1d; $d; s/^    //' >"$settings"
"$ibid" check --quiet -c "$settings"
say "its settings are valid"
