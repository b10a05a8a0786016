#!/usr/bin/env bash
# The Debian package: build/package/ibid_VERSION_ARCH.deb, of the version that its tag says (deploy/version.cmake).
#
#   deploy/package.sh            builds it
#   deploy/package.sh --check    builds it twice, in two folders: the same bytes?
#
# Install:  apt-get install ./ibid_….deb
#           ibid models pull -c /etc/ibid/ibid.yaml all-minilm-l6-v2 smollm2-135m-instruct
#           systemctl enable --now ibid
set -euo pipefail
. "$(dirname "$0")/lib.sh"

check=
for arg in "$@"; do
    case $arg in
    --check) check=1 ;;
    --quiet) quiet=1 ;;
    --help | -h) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die "'$arg' is not understood (--check, --quiet)" ;;
    esac
done

# Times in the package are those of what was changed last.
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/CMakeLists.txt")
export SOURCE_DATE_EPOCH

# make_package FOLDER [VERSION]: a copy has no tags of its own.
make_package() {
    local from=$1 version=${2:-}
    (cd "$from" && cmake --preset package -DIBID_VERSION="$version" && cmake --build --preset package --target ibid manual sbom &&
        cd build/package && cpack)
}

copied() {
    mkdir -p "$1"
    git -C "$root" ls-files -z | tar -C "$root" --null -T - -cf - | tar -C "$1" -xf -
}

need_packages "${build_packages[@]}" dpkg-dev file
need_faiss
need_charts
rm -f "$root"/build/package/ibid_*.deb # of another version
timed "package" make_package "$root"
package=$(ls "$root"/build/package/ibid_*.deb)
say "$package ($(stat -c %s "$package") bytes)"
[ -n "$check" ] || exit 0

again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT
copied "$again/elsewhere"
version=$("$root/build/package/ibid" --version)
timed "package, in another folder" make_package "$again/elsewhere" "${version#ibid }"
cmp "$package" "$again"/elsewhere/build/package/ibid_*.deb || die "two builds differ"
say "two builds, the same bytes: $(sha256sum <"$package" | cut -c1-64)"
