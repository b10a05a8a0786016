#!/bin/sh
# Builds FAISS' k-means with its C interface and AVX2 from the distribution's own source package,
# once, into ${XDG_CACHE_HOME:-~/.cache}/ibid. The installed library has neither.
#     deploy/faiss.sh [--quiet]
# Needs: dpkg-dev cmake ninja-build g++ libblas-dev liblapack-dev. Changes nothing under /etc.
set -eu
version=1.7.3
quiet=0
[ "${1:-}" = --quiet ] && quiet=1
say() { [ "$quiet" = 1 ] || echo "faiss: $*"; }

# The recipe is part of the name: another recipe is another build.
recipe="generic -march=x86-64-v3 static c-api k-means 1"
mark=$(printf '%s' "$recipe" | cksum | cut -d' ' -f1)
root=${XDG_CACHE_HOME:-$HOME/.cache}/ibid
prefix=$root/faiss-$version-$mark
if [ -f "$prefix/lib/libfaiss_c.a" ]; then
    say "already built in $prefix"
    exit 0
fi
mkdir -p "$root"
work=$(mktemp -d "$root/faiss-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

say "fetching the source package"
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/parts" "$work/src"
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$f" ] && sed -n 's/^deb /deb-src /p' "$f" >> "$work/apt/parts/own.list"
done
for f in /etc/apt/sources.list.d/*.sources; do
    [ -f "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" > "$work/apt/parts/$(basename "$f")"
done
private="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$work/apt/parts
 -o Dir::State::Lists=$work/apt/lists -o Dir::Cache=$work/apt/cache -o APT::Sandbox::User=root"
# shellcheck disable=SC2086
apt-get $private -qq update
# shellcheck disable=SC2086
(cd "$work/src" && apt-get $private -qq source "faiss=$version*" > "$work/source.log" 2>&1) ||
    (cd "$work/src" && apt-get $private -qq source faiss > "$work/source.log" 2>&1) ||
    { cat "$work/source.log" >&2; exit 1; }
src=$(find "$work/src" -maxdepth 1 -type d -name 'faiss-*' | head -n 1)

say "building (about 15 seconds on two cores)"
cmake -S "$src" -B "$work/b" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFAISS_ENABLE_GPU=OFF \
    -DFAISS_ENABLE_PYTHON=OFF -DFAISS_ENABLE_C_API=ON -DBUILD_TESTING=OFF -DFAISS_OPT_LEVEL=generic \
    -DCMAKE_CXX_FLAGS=-march=x86-64-v3 -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF \
    -DBLA_VENDOR=Generic > "$work/configure.log" 2>&1 || { cat "$work/configure.log" >&2; exit 1; }
new=$work/prefix
mkdir -p "$new/lib" "$new/include/faiss/c_api"
(cd "$src/c_api" && find . -name '*.h' | cpio -pdm --quiet "$new/include/faiss/c_api") 2>/dev/null ||
    (cd "$src/c_api" && find . -name '*.h' -exec cp --parents {} "$new/include/faiss/c_api" \;)

# Of the hundred files those that k-means needs; the rest takes most of the time.
core="AuxIndexStructures FaissException IDSelector kmeans1d Clustering Index IndexFlat IndexFlatCodes IndexRefine
 ProductQuantizer VectorTransform distances distances_simd extra_distances partitioning random utils"
c_api="Clustering_c IndexFlat_c distances_c error_impl"
objects() { # FOLDER NAMES: as ninja knows them
    folder=$1
    shift
    for name; do
        ninja -C "$work/b" -t targets all | sed -n "s|^\($folder/CMakeFiles/.*\.dir/\([a-z_]*/\)*$name\.cpp\.o\):.*|\1|p"
    done
}
needed() {
    # shellcheck disable=SC2086
    set -- $(objects faiss $core)
    # shellcheck disable=SC2086
    own=$(objects c_api $c_api)
    # shellcheck disable=SC2086
    ninja -C "$work/b" "$@" $own && cd "$work/b" && ar rcs "$new/lib/libfaiss.a" "$@" &&
        ar rcs "$new/lib/libfaiss_c.a" $own && cd "$work" && links
}
# What cache/index_centres_faiss.c calls must be there, with all that it calls.
links() {
    cat > "$work/try.c" <<'C'
int faiss_Clustering_new_with_params(), faiss_Clustering_train(), faiss_IndexFlatIP_new_with(),
    faiss_get_last_error(), faiss_set_distance_compute_blas_threshold();
int main(int n, char **v)
{
    (void)v;
    return n > 9 && faiss_Clustering_new_with_params() + faiss_Clustering_train() + faiss_IndexFlatIP_new_with() +
                            faiss_get_last_error() + (faiss_set_distance_compute_blas_threshold(), 0);
}
C
    cc -o "$work/try" "$work/try.c" "$new/lib/libfaiss_c.a" "$new/lib/libfaiss.a" -lblas -llapack -lgomp -lstdc++ -lm
}
whole() {
    ninja -C "$work/b" faiss faiss_c && find "$work/b" -name 'libfaiss.a' -exec cp {} "$new/lib/" \; &&
        find "$work/b" -name 'libfaiss_c.a' -exec cp {} "$new/lib/" \;
}
if ! needed > "$work/build.log" 2>&1; then
    say "this version needs more of itself: building all (about 70 seconds)"
    rm -f "$new/lib/"*
    whole > "$work/build.log" 2>&1 || { tail -n 40 "$work/build.log" >&2; exit 1; }
fi

strip -g "$new/lib/"*.a
[ -f "$new/lib/libfaiss.a" ] && [ -f "$new/lib/libfaiss_c.a" ]
# Someone else may have built it meanwhile; then theirs is as good.
mv -T "$new" "$prefix" 2>/dev/null || [ -f "$prefix/lib/libfaiss_c.a" ]
say "built in $prefix"
