#!/usr/bin/env bash
# The chart and the sidecar as they are rendered, against the schemas of the Kubernetes releases, offline; what the chart
# must refuse; and the settings in them by ibid itself when it is built. Exit status 77 without helm and kustomize
# (deploy/kubernetes/tools.sh).
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

tool=$cache/venv/bin/kubernetes-validate
if [ ! -x "$tool" ]; then
    need_packages python3-venv
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install -q --disable-pip-version-check \
        "$(grep '^kubernetes-validate==' "$root/tests/e2e/requirements.txt")"
fi
"$root/deploy/kubernetes/tools.sh" || exit $?
helm=$cache/go/bin/helm kustomize=$cache/go/bin/kustomize
chart=$root/deploy/helm/ibid
ibid=$root/build/release/ibid
work=$(mktemp -d "${TMPDIR:-/tmp}/ibid-manifests.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm

# valid NAME: $work/NAME.yaml; 1.30 is the first release with the kubelet's own sleep before the end.
valid() {
    local release settings=$work/$1.settings
    for release in 1.30 1.33 1.37; do
        "$tool" --strict --quiet --kubernetes-version "$release" "$work/$1.yaml"
    done
    python3 - "$work/$1.yaml" >"$settings" <<'PY'
import re
import sys
text = open(sys.argv[1]).read()
block = re.search(r"^  ibid\.yaml: \|\n((?:    .*\n|\n)+)", text, re.M)
sys.exit("no ibid.yaml in " + sys.argv[1]) if block is None else print(re.sub(r"^    ", "", block[1], flags=re.M))
PY
    [ ! -x "$ibid" ] || "$ibid" check --quiet -c "$settings"
    say "$1: valid for Kubernetes 1.30 to 1.37"
}

# has NAME TEXT…: what is rendered has each of them.
has() {
    local name=$1 text
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$work/$name.yaml" || die "$name has no '$text'"
    done
}

# refused WORD VALUES…: the chart does not render, and says why.
refused() {
    local word=$1
    shift
    if "$helm" template --kube-version 1.30.0 test "$chart" "$@" >"$work/refused" 2>&1; then die "the chart takes $*"; fi
    grep -qF -- "$word" "$work/refused" || die "the chart refuses $* without a word of '$word'"
}

"$helm" lint --kube-version 1.30.0 --strict --quiet "$chart"
"$helm" template --kube-version 1.30.0 test "$chart" >"$work/gateway.yaml"
valid gateway
has gateway 'kind: PodDisruptionBudget' 'kind: NetworkPolicy' 'topologyKey: topology.kubernetes.io/zone' 'path: /readyz' \
    'path: /healthz' 'seconds: 10' 'terminationGracePeriodSeconds: 45' 'drain_timeout_ms: 25000' 'replicas: 2'
"$helm" template --kube-version 1.30.0 test "$chart" -f "$chart/ci/full-values.yaml" >"$work/full.yaml"
valid full
has full 'kind: HorizontalPodAutoscaler' 'name: ibid_requests_in_flight' '--strict' 'body_max_bytes: 33554432'
! grep -q '^  replicas:' "$work/full.yaml" || die "replicas are set beside an autoscaler"
refused existingClaim --set gateway.existingClaim=data
refused '/config/listen' --set config.listen=0.0.0.0:1
refused replicaz --set gateway.replicaz=3
refused autoscaling --set autoscaling.enabled=true,autoscaling.requestsInFlight=0

# Another chart's application with a sidecar by this one.
cp -r "$root/deploy/helm/example" "$work/example"
"$helm" dependency update "$work/example" --skip-refresh >/dev/null 2>&1 || {
    mkdir -p "$work/example/charts" && cp -r "$chart" "$work/example/charts/ibid"
}
"$helm" lint --kube-version 1.30.0 --quiet "$work/example"
"$helm" template --kube-version 1.30.0 test "$work/example" >"$work/subchart.yaml"
valid subchart
has subchart 'restartPolicy: Always' 'listen: 127.0.0.1:8080' 'fsGroup: 65532'
! grep -q 'kind: Service$' "$work/subchart.yaml" || die "a sidecar's chart makes a Service"

"$kustomize" build "$root/deploy/kubernetes/example" >"$work/sidecar.yaml"
valid sidecar
has sidecar 'restartPolicy: Always' 'image: ibid:0.1.0' 'name: OPENAI_BASE_URL' 'name: ibid-data'
