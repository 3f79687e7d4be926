# shellcheck shell=bash
#
# Throw-away roots: private namespaces, chroots of Debian, overlays over them.
# Sourced by the scripts that make such roots; they define `say`.

clean_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# in_private UNSHARE-OPTION... COMMAND...: run a command in private mount and
# pid namespaces; it and all below it end when it or this script does.
in_private() { setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child "$@"; }

# in_root ROOT COMMAND...: run a command in a chroot, with a clean environment.
in_root() {
    local root=$1
    shift
    env -i PATH="$clean_path" HOME=/root LANG=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
        chroot "$root" "$@"
}

# The address of the archive that this machine's apt uses for a label.
archive() {
    # shellcheck disable=SC2016 # the dollar signs are apt's
    apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' 'Origin: Debian' 2> /dev/null |
        awk -v label="$1" '{ uri = $1; sub(/^[^ ]+ /, "") } $0 == label { print uri; exit }'
}

# debian RELEASE ROOT: a minimal chroot from nothing, with apt ready to be used;
# status 1 where this machine's apt knows no archive of Debian.
debian() {
    local release=$1 root=$2 main security
    main=$(archive Debian)
    if [[ ! $main ]]; then
        apt-get -o DPkg::Lock::Timeout=600 update -qq >&2
        main=$(archive Debian)
    fi
    [[ $main ]] || { say 'apt on this machine has no Debian archive among its sources'; return 1; }
    security=$(archive Debian-Security)
    in_private debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$main" || return
    {
        printf 'deb %s %s main\n' "$main" "$release" "$main" "$release-updates"
        [[ ! $security ]] || printf 'deb %s %s-security main\n' "$security" "$release"
    } > "$root/etc/apt/sources.list"
    {
        echo 'APT::Install-Recommends "0";'
        echo 'APT::Sandbox::User "root";'
        apt-config dump | grep -Ei '^Acquire::[a-z]+::Proxy'
    } > "$root/etc/apt/apt.conf.d/90e2e"
    echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/e2e"
    cp -L /etc/resolv.conf "$root/etc/"
}

# enter SCRATCH BASE, in private namespaces: a fresh root over the base, in
# SCRATCH/root.
enter() {
    local scratch=$1 base=$2 root=$1/root node
    mkdir -p "$root" "$scratch/upper" "$scratch/work" || return
    if ! mount -t overlay -o "lowerdir=$base,upperdir=$scratch/upper,workdir=$scratch/work" \
        overlay "$root" 2> /dev/null; then
        say 'no overlayfs to be had, copying the base'
        cp -a --reflink=auto -- "$base/." "$root/" || return
    fi
    mount -t proc proc "$root/proc" || return
    mount -t sysfs -o ro sysfs "$root/sys" || return
    mount -t tmpfs -o mode=755 dev "$root/dev" || return
    for node in null zero full random urandom tty; do
        : > "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node" || return
    done
    mkdir -m 1777 "$root/dev/shm"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s fd/0 "$root/dev/stdin"
    ln -s fd/1 "$root/dev/stdout"
    ln -s fd/2 "$root/dev/stderr"
}
