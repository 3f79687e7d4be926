# shellcheck shell=bash
# Completion of dkms(8) for bash.

# _dkms_pairs DIR: every module/version below DIR, a DKMS tree
_dkms_pairs() {
	local link
	for link in "$1"/*/*/source; do
		[[ -L $link ]] || continue
		link=${link#"$1"/}
		echo "${link%/source}"
	done
}

# _dkms_sources DIR: the same, from source directories named module-version
_dkms_sources() {
	local conf name
	for conf in "$1"/*-*/dkms.conf; do
		[[ -f $conf ]] || continue
		name=${conf#"$1"/}
		name=${name%/dkms.conf}
		echo "${name%-*}/${name##*-}"
	done
}

# _dkms_kernels DIR: the kernels below DIR
_dkms_kernels() {
	local dir
	for dir in "$1"/*/; do
		[[ -d $dir ]] || continue
		dir=${dir%/}
		echo "${dir##*/}"
	done
}

_dkms() {
	local verbs='add remove build unbuild install uninstall status autoinstall sync match mktarball ldtarball generate_mok key sign depmod recover ready initramfs watch'
	local cur prev verb='' choices word words i
	local dkmstree=/var/lib/dkms sourcetree=/usr/src installtree=/lib/modules

	# COMP_WORDS splits --option=value in three; put such words together again.
	words=()
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == '=' && ${#words[@]} -gt 0 ]]; then
			words[-1]+='='
		elif [[ ${#words[@]} -gt 0 && ${words[-1]} == --*= ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
	done
	cur=${words[-1]}
	prev=''
	((${#words[@]} > 1)) && prev=${words[-2]}
	[[ $cur == --*=* ]] && prev=${cur%%=*} cur=${cur#*=}

	for ((i = 0; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		case $word in
		--dkmstree | --sourcetree | --installtree) local "${word#--}=${words[i + 1]}" ;;
		--dkmstree=* | --sourcetree=* | --installtree=*) local "${word#--}" ;;
		esac
		[[ " $verbs " == *" $word "* ]] && verb=${verb:-$word}
	done

	if [[ ${words[0]} == depmod && ${#words[@]} -gt 1 ]]; then
		case $prev in
		-C | --config | -E | --symvers | -F | --filesyms) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
		-b | --basedir | -m | --moduledir | -o | --outdir | --cache) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		-P | --symbol-prefix) ;;
		--files-of) mapfile -t COMPREPLY < <(compgen -W '30 31 32 33 34' -- "$cur") ;;
		*)
			choices=$(_dkms_kernels "$installtree")
			[[ $cur == -* ]] && choices='-a -A -b -m -o -C -E -F -e -v -n -P -w -V -h --all --quick --basedir --moduledir
				--outdir --config --symvers --filesyms --errsyms --verbose --show --dry-run --symbol-prefix --warn --version
				--help --files-of --cache'
			mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
			;;
		esac
		return
	fi

	case $prev in
	-k | --kernelver | --templatekernel) choices=$(_dkms_kernels "$installtree") ;;
	-m | --module)
		choices=$(_dkms_pairs "$dkmstree")
		[[ $verb == add ]] && choices=$(_dkms_sources "$sourcetree")
		;;
	-v) choices=$(_dkms_pairs "$dkmstree" | sed 's|.*/||') ;;
	-a | --arch) choices=$(uname -m) ;;
	-c | --config | --archive | --trace | --signing-key | --certificate | --password-hash-file)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--dkmstree | --sourcetree | --installtree | --kernelsourcedir | --root)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--directive | -j) return ;;
	*)
		if [[ $cur == -* ]]; then
			choices='-m -v -k -a -c -j -q -V -h --all --all-kernels --failed --no-initramfs --initramfs-later --dry-run --json --force --arch --config --debug --directive --dkmstree
				--force-version-override --help --certificate --installtree --kernelsourcedir --kernelver --modprobe-on-install
				--module --no-depmod --password-hash-file --quiet --root --signing-key --sourcetree --symlink-modules --templatekernel --trace --verbose --version'
		elif [[ -z $verb ]]; then
			choices=$verbs
		elif [[ $verb == key && $prev == key ]]; then
			choices='status enroll verify'
		elif [[ $verb == sign || $verb == key && $prev == verify ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		elif [[ $verb == autoinstall || $verb == sync || $verb == generate_mok || $verb == recover || $verb == initramfs || $verb == watch ]]; then
			return
		elif [[ $verb == ready ]]; then
			choices=$(_dkms_kernels "$installtree")
		elif [[ $verb == add ]]; then
			choices=$(_dkms_sources "$sourcetree")
		else
			choices=$(_dkms_pairs "$dkmstree")
		fi
		;;
	esac

	mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
	# A source tree will do where a module will.
	if [[ $verb == add || $verb == build || $verb == install ]] && [[ $cur == [./]* ]]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	fi
}

complete -F _dkms dkms
