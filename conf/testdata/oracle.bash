# What upstream's double evaluation makes of a dkms.conf, written down independently of the package under test:
# the values are printed as assignments, and the printed assignments are sourced.
#
# bash oracle.bash FILE VARIABLE=VALUE... -- WANTED...
# writes name, index and value of every wanted element, each followed by NUL, to file descriptor 3.

shopt -s extglob
file=$1
shift
while [ "$1" != -- ]; do
	declare "$1"
	shift
done
shift
names=("$@")
unset -v "$@"
set --
assignments=$(mktemp) || exit

print_assignments() (
	. "$file" >/dev/null
	exec >"$assignments"
	for name in "${names[@]}"; do
		declare -n list=$name
		for i in "${!list[@]}"; do
			echo $name[$i]=\"${list[$i]%$'\r'}\"
		done
	done
	for setting in $(set | sed -n 's/^DKMS_DIRECTIVE[A-Z_0-9]*=\([^=]*=[^=]*\).*/\1/p'); do
		echo "${setting%%=*}=\"${setting#*=}\""
	done
)

print_assignments
. "$assignments"
rm "$assignments"
for name in "${names[@]}"; do
	declare -n list=$name
	for i in "${!list[@]}"; do
		printf '%s\0' "$name" "$i" "${list[$i]}" >&3
	done
done
exit 0
