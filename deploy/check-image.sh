#!/usr/bin/env bash
# Replays deploy/Dockerfile in folders instead of a container engine, then runs what came
# out: as its user, from its own root, until it answers. Needs root, debootstrap, ten
# minutes and 2 GB below TMPDIR. `--keep` leaves the folders.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

keep=
for arg in "$@"; do
    case $arg in
    --keep) keep=1 ;;
    --help | -h) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die "'$arg' is not understood (--keep)" ;;
    esac
done
[ "$(id -u)" = 0 ] || die "needs root (chroot)"
need_packages debootstrap util-linux python3

stage=$(mktemp -d "${TMPDIR:-/tmp}/ibid-image.XXXXXX")
chmod 755 "$stage"
[ -n "$keep" ] || trap 'rm -rf --one-file-system "$stage"' EXIT
# Mounts below the stage belong to this namespace and end with it.
unshare --mount --propagation private \
    python3 "$root/deploy/check_image.py" "$root" "$stage"
