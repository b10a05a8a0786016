#!/bin/sh
# The manifests against the schemas of the Kubernetes releases, offline.
set -eu
tool=${XDG_CACHE_HOME:-$HOME/.cache}/ibid/venv/bin/kubernetes-validate
[ -x "$tool" ] || { echo "no kubernetes-validate (tests/run.sh installs it)"; exit 77; }
# 1.29 is the first release in which a sidecar (restartPolicy of an init container) is on.
for release in 1.29 1.33; do
    "$tool" --strict --kubernetes-version "$release" deploy/kubernetes/*.yaml
done
