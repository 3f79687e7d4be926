# shellcheck shell=bash
# shellcheck disable=SC2154 # me, here, work and out, see below
#
# For e2e-random and e2e-oracle: the two programs that are compared, and where
# they run. Sourced with `me` (the name in messages), `here` (the directory
# scripts), `work` (scratch) and `out` (for logs) set.

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 2; }

# stage_ours: our `make install`, in $work/ours, or the tree $OURS.
stage_ours() {
    if [[ ${OURS:-} ]]; then
        cp -a -- "$OURS" "$work/ours" || die "cannot copy $OURS"
    else
        make -C "${here%/*}" install DESTDIR="$work/ours" FLAVOR=debian > "$out/stage-ours.log" 2>&1 ||
            die "\`make install\` has failed, see $out/stage-ours.log"
    fi
}

# stage_checkout DIR TARGET: upstream's own `make TARGET`, in $work/theirs.
stage_checkout() {
    # Its Makefile writes beside itself: use a copy.
    cp -a -- "$1" "$work/checkout" || die "cannot copy $1"
    make -C "$work/checkout" "$2" DESTDIR="$work/theirs" > "$out/stage-theirs.log" 2>&1 ||
        die "\`make $2\` in $1 has failed, see $out/stage-theirs.log"
}

# stage_package: the package dkms of this machine's release, in $work/theirs.
stage_package() {
    local deb
    mkdir "$work/debs"
    (cd "$work/debs" && apt-get -o APT::Sandbox::User=root -qq download dkms) > "$out/stage-theirs.log" 2>&1 ||
        die "cannot download the package dkms, see $out/stage-theirs.log (or name a checkout: --upstream DIR)"
    for deb in "$work/debs"/*.deb; do
        dpkg-deb -x "$deb" "$work/theirs" || die "cannot unpack $deb"
    done
    # Files below /lib, where that is a link to usr/lib.
    if [[ -d $work/theirs/lib && -L /lib ]]; then
        cp -a -- "$work/theirs/lib/." "$work/theirs/usr/lib/" && rm -rf -- "$work/theirs/lib"
    fi
}

# start_arena SIDE OUT SCRIPT [ARGUMENT...]: see arena. Nothing outlives it.
start_arena() {
    local side=$1
    shift
    mkdir -p "$work/arena"
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --net --ipc \
        "$here/e2e/arena" "$work/arena" "$work/$side" "$@" < /dev/null
}

check_machine() {
    local tool
    ((EUID == 0)) || die 'this mounts and installs into private directories: run it as root'
    for tool in unshare setpriv chroot make as strip depmod modinfo openssl gzip xz zstd patch tar; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" > /dev/null || die "$tool is missing: install it"
    done
}

# program_version SIDE: what it calls itself.
program_version() { start_arena "$1" "$work" version; }
