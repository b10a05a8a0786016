#!/bin/sh
# The Kubernetes manifests are valid, and so are the settings in them.
set -eu
tool=${XDG_CACHE_HOME:-$HOME/.cache}/ibid/venv/bin/kubernetes-validate
[ -x "$tool" ] || { echo "no kubernetes-validate (tests/run.sh installs it)"; exit 77; }
exec deploy/kubernetes/validate.sh
