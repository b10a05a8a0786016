#!/usr/bin/env bash
# helm and kustomize, of which Debian has none: built from their Go modules into the user's cache, once; to
# check the chart and the manifests with, nothing of them is shipped. Exit status 77 without Go 1.24 or later.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

helm=v3.19.0 kustomize=v5.7.1
bin=$cache/go/bin
[ "$(cat "$bin/.versions" 2>/dev/null)" != "$helm $kustomize" ] || exit 0
go=$(command -v go || echo /usr/local/go/bin/go)
"$go" version 2>/dev/null | grep -Eq 'go1\.(2[4-9]|[3-9][0-9])' || { say "no Go 1.24 or later: helm and kustomize cannot be built"; exit 77; }
built() {
    GOBIN=$bin GOPATH=$cache/go/path GOCACHE=$cache/go/cache GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0 "$go" install "$1"
}
# What an interrupted run has left is no module any more.
rm -rf "$cache/go/path"
mkdir -p "$bin"
timed "helm $helm" built "helm.sh/helm/v3/cmd/helm@$helm"
timed "kustomize $kustomize" built "sigs.k8s.io/kustomize/kustomize/v5@$kustomize"
rm -rf "$cache/go/cache" "$cache/go/path"
echo "$helm $kustomize" >"$bin/.versions"
