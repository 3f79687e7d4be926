# shellcheck shell=bash
#
# Kernels and packages without substance, for quick builds: nothing is compiled,
# MAKE copies files that are there. Sourced in an arena.

store=/e2e/store

# module_file FILE NAME [VERSION [SRCVERSION]]: an ELF file with what modinfo
# and depmod want to see in it, and as many bytes more as make it unlike others.
module_file() {
    local file=$1 name=$2 version=${3-} srcversion=${4-} made=$store/$2,${3-},${4-}.ko
    if [[ ! -e $made ]]; then
        mkdir -p "$store"
        {
            printf '.section .modinfo,"a"\n.asciz "name=%s"\n.asciz "license=GPL"\n' "$name"
            printf '.asciz "alias=e2e:%s"\n' "$name"
            [[ ! $version ]] || printf '.asciz "version=%s"\n' "$version"
            [[ ! $srcversion ]] || printf '.asciz "srcversion=%s"\n' "$srcversion"
            printf '.section .debug_info\n.asciz "for strip"\n.data\n.quad 1\n'
        } | as -o "$made"
    fi
    mkdir -p "${file%/*}"
    cp "$made" "$file"
}

# pack FILE SUFFIX: compress it in place. SUFFIX is gz, xz, zst or nothing.
pack() {
    case $2 in
        gz) gzip -nf "$1" ;;
        xz) xz --check=crc32 -f "$1" ;;
        zst) zstd -q --rm "$1" ;;
    esac
}

# kernel RELEASE [SUFFIX [FORM]]: a kernel. FORM is `full`, `bare` (without a
# module of its own) or `headless` (without headers).
kernel() {
    local dir=/lib/modules/$1 suffix=${2-} form=${3:-full}
    mkdir -p "$dir"
    if [[ $form != bare ]]; then
        module_file "$dir/kernel/drivers/own.ko" own
        pack "$dir/kernel/drivers/own.ko" "$suffix"
    fi
    if [[ $form != headless ]]; then
        mkdir -p "/usr/src/headers-$1/include/config"
        printf '%s\n' CONFIG_MODULES=y CONFIG_PCI=m 'CONFIG_MODULE_SIG_HASH="sha512"' \
            > "/usr/src/headers-$1/include/config/auto.conf"
        cp "/usr/src/headers-$1/include/config/auto.conf" "/usr/src/headers-$1/.config"
        ln -s "/usr/src/headers-$1" "$dir/build"
    fi
    touch "$dir/modules.order" "$dir/modules.builtin" "$dir/modules.builtin.modinfo"
    depmod -a "$1"
}

# original RELEASE NAME VERSION [DIRECTORY]: a module that the kernel brings.
original() {
    local file=/lib/modules/$1/${4:-kernel/drivers}/$2.ko suffix
    suffix=$(find "/lib/modules/$1/kernel" -name 'own.ko.*' -printf '%f\n' 2> /dev/null)
    module_file "$file" "$2" "$3" 0ABC
    [[ ! $suffix ]] || pack "$file" "${suffix#own.ko.}"
    depmod -a "$1"
}

# package DIRECTORY NAME VERSION [WORD...]: a package in that directory. Words:
#
#   records=N    how many modules: NAME, NAME_1, NAME_2
#   versions=F   `own`: version and srcversion in the modules; `version`: the
#                version only; `none`; `same`: always 1.0
#   located      modules are built in a directory, and have other names there
#   strip        let dkms strip them
#   symvers      there is a Module.symvers
#   script=NAME  a script, such as PRE_BUILD; it writes what it sees to a log
#   fails=NAME   the same, but it ends with status 3
#   broken=REGEX make fails for such kernels
#   NAME=VALUE   a directive, as it is
package() {
    local dir=$1 name=$2 version=$3 records=1 versions=own located='' strip='' conf word i record script
    local make='cp m/*.ko .' at=''
    shift 3
    conf=$dir/dkms.conf
    mkdir -p "$dir/m"
    printf 'PACKAGE_NAME="%s"\nPACKAGE_VERSION="%s"\n' "$name" "$version" > "$conf"
    printf '%s\n' 'all: ; cp m/*.ko .' 'clean: ;' > "$dir/Makefile"
    for word; do
        case $word in
            records=*) records=${word#*=} ;;
            versions=*) versions=${word#*=} ;;
            located)
                located=yes at=obj/ make='sh m/build.sh'
                # shellcheck disable=SC2016 # meant for that script
                echo 'mkdir obj; for f in m/*.ko; do cp "$f" "obj/b_${f##*/}"; done' > "$dir/m/build.sh"
                ;;
            strip) strip=yes ;;
            symvers) echo '0x0 symbol module EXPORT_SYMBOL' > "$dir/Module.symvers" ;;
            broken=*) printf 'MAKE[1]="echo cannot be built; false"\nMAKE_MATCH[1]="%s"\n' "${word#*=}" >> "$conf" ;;
            script=* | fails=*)
                script=${word#*=}
                printf '%s="%s.sh %s"\n' "$script" "${script,,}" "an argument" >> "$conf"
                # shellcheck disable=SC2016 # meant for that script
                printf '#!/bin/sh\necho "%s $# $* "\n' "$script" > "$dir/${script,,}.sh"
                # shellcheck disable=SC2016 # meant for that script
                [[ $script != *_BUILD ]] || echo 'echo "$module $module_version $kernelver $arch"' >> "$dir/${script,,}.sh"
                echo "echo ${script} ${name} >> /var/lib/dkms/.scripts" >> "$dir/${script,,}.sh"
                [[ $word = script=* ]] || echo 'exit 3' >> "$dir/${script,,}.sh"
                chmod 755 "$dir/${script,,}.sh"
                ;;
            *) printf '%s\n' "${word%%=*}=\"${word#*=}\"" >> "$conf" ;;
        esac
    done
    [[ $* = *MAKE=* ]] || printf 'MAKE[0]="%s"\n' "$make" >> "$conf"
    [[ $strip ]] || echo 'STRIP=no' >> "$conf"
    for ((i = 0; i < records; i++)); do
        record=$name
        ((i == 0)) || record=${name}_$i
        printf 'BUILT_MODULE_NAME[%d]="%s"\n' "$i" "${located:+b_}$record" >> "$conf"
        [[ ! $located ]] || printf 'BUILT_MODULE_LOCATION[%d]="%s"\nDEST_MODULE_NAME[%d]="%s"\n' "$i" "$at" "$i" "$record" >> "$conf"
        [[ $* = *DEST_MODULE_LOCATION* ]] || printf 'DEST_MODULE_LOCATION[%d]="/kernel/drivers"\n' "$i" >> "$conf"
        case $versions in
            own) module_file "$dir/m/$record.ko" "$record" "$version" "5AC${version//./}" ;;
            version) module_file "$dir/m/$record.ko" "$record" "$version" ;;
            same) module_file "$dir/m/$record.ko" "$record" 1.0 "5AC${version//./}" ;;
            none) module_file "$dir/m/$record.ko" "$record" '' '' ;;
        esac
    done
    # Two sides, one time.
    find "$dir" -exec touch -h -d '2024-05-06 07:08:09 UTC' {} +
}
