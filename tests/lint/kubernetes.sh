#!/bin/sh
# The chart and the sidecar are valid as they are rendered, and so are the settings in them.
set -eu
tool=${XDG_CACHE_HOME:-$HOME/.cache}/ibid/venv/bin/kubernetes-validate
[ -x "$tool" ] || { echo "no kubernetes-validate (tests/run.sh installs it)"; exit 77; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ibid/go/bin
[ -f "$cache/.versions" ] || { echo "no helm and kustomize (deploy/kubernetes/tools.sh builds them)"; exit 77; }
exec deploy/kubernetes/validate.sh
