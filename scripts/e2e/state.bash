# shellcheck shell=bash
#
# What a dkms leaves on disk, as text that can be compared. Sourced in an arena.

# trees: every file below the directories that dkms works in: type, mode, path,
# target of a link, then contents. Not compared: dates, the keys (they are
# random), the binary ones of depmod's indexes (they say what the others say),
# modules.weakdep (older releases of kmod do not write it), notes that only ours
# keeps, and in logs date, durations and the version of the program.
trees() {
    local file
    local -a all=(/var/lib/dkms /usr/src /lib/modules/ -not '(' -name '.kernel-*.manifest' -o -name .inputs -o -name .spare -o -name modules.weakdep -o -path '*/.failed*' -o -path '*/.build-*' ')')
    find "${all[@]}" -printf '%y %m %p %l\n' | sort | sed -E 's,/\.tmp_([^_ ]+)_[A-Za-z0-9]{6},/.tmp_\1_XXXXXX,'
    find "${all[@]}" -type f ! -name 'mok.*' ! -name '*.log' ! -name 'modules.*' \
        ! -name '*.ko.?z' ! -name '*.ko.zst' ! -name '*.tar.*' -print0 | sort -z | xargs -0r sha256sum
    while IFS= read -r file; do
        printf '%s  %s\n' "$(unpacked "$file" | sha256sum)" "$file"
    done < <(find "${all[@]}" -type f \( -name '*.ko.?z' -o -name '*.ko.zst' \) | sort)
    logs
    indexes
}

# indexes: depmod's text files, line by line in order.
indexes() {
    find /lib/modules/ -maxdepth 2 -type f \( -name modules.dep -o -name modules.alias -o -name modules.symbols \
        -o -name modules.softdep \) -exec grep -H '' {} + | sort
}

unpacked() {
    case $1 in
        *.gz) gzip -dc -- "$1" ;;
        *.xz) xz -dc -- "$1" ;;
        *.zst) zstd -qdc -- "$1" ;;
        *) cat -- "$1" ;;
    esac
}

# logs: all that is in the DKMS tree.
logs() {
    # shellcheck disable=SC2016 # the dollar signs are awk's
    find /var/lib/dkms -type f -name '*.log' ! -path '*/.failed/*' ! -path '*/.build-*' -print0 | sort -z | xargs -0r awk '
        FNR == 1 { sub(/^DKMS( \(dkms-[^)]*\))? make\.log/, "DKMS make.log") }
        FNR == 2 && /^[A-Z][a-z][a-z] / { $0 = "DATE" }
        /^# elapsed time: / { $0 = "# elapsed time: T" }
        { print FILENAME ":" $0 }'
}
