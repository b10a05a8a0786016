#!/usr/bin/env bash
# What TLS costs on the listener: exact hits plain and through TLS, by h2load, beside nginx that
# answers as many bytes from its configuration; then whole handshakes. The load generator on core
# 0, the server on core 1. One P-256 certificate, TLS 1.3.
#
#     bench/tls.sh [--requests N] [--handshakes N] [--rounds N] [--quiet]
#
# Needs build/release/ibid, nginx, h2load, curl, openssl, a C compiler. Prints one table; ends
# with 1 when a request failed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
requests=100000 handshakes=3000 rounds=3 quiet=
while [ $# -gt 0 ]; do
    case $1 in
    --requests) requests=$2; shift ;;
    --handshakes) handshakes=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    --quiet) quiet=1 ;;
    *) usage ;;
    esac
    shift
done
need_tools h2load nginx curl openssl cc taskset python3
need_ibid

certificate
compile stub
read -r up plain_port tls_port admin nginx_plain nginx_tls <<<"$(free_ports 6)"
start taskset -c 0 "$work/stub" "$up"
log=$work/log
start env IBID_LISTEN=127.0.0.1:"$plain_port",tls:127.0.0.1:"$tls_port" IBID_TLS_CERT_FILE="$work/cert.pem" \
    IBID_TLS_KEY_FILE="$work/key.pem" IBID_ADMIN_LISTEN=127.0.0.1:"$admin" IBID_DATA_DIR="$work/data" IBID_LOCAL_MODEL=off \
    IBID_ENCODER_MODEL=off IBID_UPSTREAM_URL=http://127.0.0.1:"$up"/v1 taskset -c 1 "$ibid" serve
until_answered "127.0.0.1:$admin/healthz"
path=/v1/chat/completions
printf '{"model":"m","messages":[{"role":"user","content":"How do I reset my password?"}]}' >"$work/body"
head=(-H 'content-type: application/json' -H 'authorization: Bearer k')
for _ in 1 2; do curl -sf "${head[@]}" -d @"$work/body" -o "$work/answer" "http://127.0.0.1:$plain_port$path"; done
answer=$(sed "s/'/ /g" "$work/answer")
cat >"$work/nginx.conf" <<EOF
daemon off; worker_processes 1; pid $work/pid; error_log $work/nginx.log warn;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; client_body_buffer_size 64k; ssl_session_tickets on;
  client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  server { listen 127.0.0.1:$nginx_plain; listen 127.0.0.1:$nginx_tls ssl http2; location / { return 200 '$answer'; } }
}
EOF
start taskset -c 1 nginx -e "$work/nginx.log" -c "$work/nginx.conf"
until_answered "127.0.0.1:$nginx_plain/"

failed=0
rate() { # N ARGUMENTS… URL: req/s
    local out n=$1
    shift
    out=$(taskset -c 0 h2load -n "$n" "$@" "${head[@]}" -d "$work/body")
    grep -q "^status codes: $n 2xx" <<<"$out" || { echo "$out" >&2; failed=1; }
    awk -F'[ ,]+' '/^finished in/ { print int($4) }' <<<"$out"
}
declare -A rates
row() { rates[$1]+="$(rate "${@:2}")"$'\n'; }
for r in $(seq "$rounds"); do
    say "round $r of $rounds"
    for server in "ibid:$plain_port:$tls_port" "nginx:$nginx_plain:$nginx_tls"; do
        IFS=: read -r name plain tls <<<"$server"
        row "$name HTTP/1.1" "$requests" --h1 -c 100 "http://127.0.0.1:$plain$path"
        row "$name HTTP/1.1 TLS" "$requests" --h1 -c 100 "https://127.0.0.1:$tls$path"
        row "$name HTTP/2 TLS" "$requests" -c 10 -m 10 "https://127.0.0.1:$tls$path"
        # A connection for each request.
        row "$name handshakes" "$handshakes" --h1 -c 50 -H 'connection: close' "https://127.0.0.1:$tls$path"
    done
done
printf '%-44s %10s %10s\n' "requests a second, 100 in flight" ibid nginx
for kind in "HTTP/1.1" "HTTP/1.1 TLS" "HTTP/2 TLS" "handshakes"; do
    printf '%-44s %10s %10s\n' "$kind" "$(printf %s "${rates["ibid $kind"]}" | middle)" "$(printf %s "${rates["nginx $kind"]}" | middle)"
done
for name in ibid nginx; do
    awk -v n=$name -v a="$(printf %s "${rates["$name HTTP/1.1 TLS"]}" | middle)" -v b="$(printf %s "${rates["$name HTTP/1.1"]}" | middle)" \
        'BEGIN { printf "%s: HTTP/1.1 through TLS is %.2f of plain\n", n, a / b }'
done
[ "$failed" = 0 ]
