#!/bin/sh
# A Redis with vector sets (8.0 or later) for tests and benches, once, into
# ${XDG_CACHE_HOME:-~/.cache}/ibid: Debian 13's redis-server with the libraries it needs, from the
# Debian host that this machine's own apt uses, by a private apt root. Nothing is installed.
#     tests/redis8.sh [--quiet]     prints the folder, whose redis-server and redis-cli run from there
# 1 and a reason when it cannot be had. Needs: apt dpkg debian-archive-keyring.
set -eu
quiet=0
[ "${1:-}" = --quiet ] && quiet=1
say() { [ "$quiet" = 1 ] || echo "redis8: $*" >&2; }
fail() {
    echo "redis8: $*" >&2
    exit 1
}

root=${XDG_CACHE_HOME:-$HOME/.cache}/ibid
place=$root/redis-8-debian13
if [ -x "$place/redis-server" ]; then
    echo "$place"
    exit 0
fi
command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "there is no apt and dpkg here"
mkdir -p "$root"
work=$(mktemp -d "$root/redis-8.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# The first Debian archive of this machine that is no archive of security updates.
uri=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null |
    sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' | tr ' ' '\n' |
    grep -E '/debian/?$' | head -n 1)
[ -n "$uri" ] || fail "apt knows no Debian archive here"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || fail "$keys is missing: apt-get install debian-archive-keyring"

mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/parts"
: > "$work/apt/status"
echo "deb [signed-by=$keys] $uri trixie main" > "$work/apt/parts/trixie.list"
private="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$work/apt/parts
 -o Dir::State::Lists=$work/apt/lists -o Dir::State::status=$work/apt/status
 -o Dir::Cache=$work/apt/cache -o APT::Sandbox::User=root -o Acquire::Retries=2
 -o Acquire::http::Timeout=30 -o Acquire::Languages=none"
say "reading the list of packages (about 10 MB)"
# shellcheck disable=SC2086
apt-get $private -qq update > "$work/log" 2>&1 || { cat "$work/log" >&2; fail "the list of packages cannot be had"; }
say "fetching redis-server and its libraries"
# shellcheck disable=SC2086
apt-get $private -qq -y --download-only --no-install-recommends install redis-server > "$work/log" 2>&1 ||
    { cat "$work/log" >&2; fail "the packages cannot be had"; }

say "unpacking"
mkdir -p "$work/place/root"
for package in "$work"/apt/cache/archives/*.deb; do
    case ${package##*/} in
    # What a server that is started by hand does without.
    perl* | debconf* | init-system* | adduser* | passwd* | sysvinit* | lsb-base* | procps*) continue ;;
    esac
    dpkg -x "$package" "$work/place/root"
done
loader=$(cd "$work/place/root" && find . -name 'ld-linux*.so.*' | head -n 1)
[ -n "$loader" ] || fail "no dynamic loader among the packages"
libraries=$(cd "$work/place/root" && find usr/lib lib -name '*.so.*' -printf '%h\n' 2>/dev/null | sort -u)
path=
for folder in $libraries; do
    path="$path\$here/root/$folder:"
done
for program in redis-server redis-cli; do
    cat > "$work/place/$program" <<EOS
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
exec "\$here/root/${loader#./}" --library-path "${path%:}" "\$here/root/usr/bin/$program" "\$@"
EOS
    chmod 755 "$work/place/$program"
done
version=$("$work/place/redis-server" --version) || fail "it does not run here"
rm -rf "$place"
mv "$work/place" "$place"
say "$version"
echo "$place"
