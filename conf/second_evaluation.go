package conf

import (
	"strconv"
	"strings"
)

// Upstream evaluates every value twice. Its safe_source sources a file in a child, prints each wanted element as an
// assignment
//
//	NAME[index]="value"
//
// with the value unquoted on the command line that prints it, and sources that text in the parent. On a value this has
// four effects, and real files depend on them (zfs's PRE_BUILD of many lines, for one):
//
//  1. one carriage return at its end disappears, so files with DOS line ends work;
//  2. every run of blanks, tabs and newlines becomes one blank;
//  3. a word that is a pattern and matches files is replaced by their names;
//  4. it is expanded a second time as the inside of a double-quoted string, now with the variables of the parent: the
//     preset ones and the wanted ones carried back so far, in the order in which they are listed.
//
// A double quote inside the value ends the string in step 4. As long as the text stays one word the quotes just disappear;
// otherwise upstream loses the directive and runs the rest as a command, and here the value after step 3 is kept.
//
// The next file then sees the values as they are after step 4, and carries them back through all the steps again.
//
// The same quirk is written down twice below: in bash for any file, in Go for plain ones.

// evaluateScript evaluates configuration files in one bash process: each file is sourced in a child (effects 1 to 3), its
// values are assigned in the parent (effect 4), and after each file the parent's wanted variables are written to file
// descriptor 3 as NUL-terminated triples name, index, value, followed by a triple of empty strings.
//
// Arguments: "twice" or "once"; the number of wanted variables and their names; the number of preset variables and
// name=value for each; the files. With "once" values are dumped as they are: that is how os-release is read.
//
// A file runs inside a function, as in upstream, so that it may say local or return. File descriptor 4 leads nowhere: a
// root that is being put together may have no /dev/null yet. The child quotes what it prints (%q) for the parent to read it
// back with eval: bash reads lists separated by NUL byte by byte.
const evaluateScript = `
shopt -s extglob
exec 4>&1

__dkms_first() {
	local __dkms_mode=$1 __dkms_file=$2 __dkms_name __dkms_index __dkms_text
	local -a __dkms_list=("${@:3}") __dkms_words
	set --
	. "$__dkms_file" >&4 4>&-
	for __dkms_name in "${__dkms_list[@]}"; do
		local -n __dkms_variable=$__dkms_name
		for __dkms_index in "${!__dkms_variable[@]}"; do
			if [[ $__dkms_mode = once ]]; then
				__dkms_text=\"${__dkms_variable[$__dkms_index]}\"
			else
				__dkms_words=(\"${__dkms_variable[$__dkms_index]%$'\r'}\")
				printf -v __dkms_text '%s ' "${__dkms_words[@]}"
				__dkms_text=${__dkms_text% }
			fi
			printf '%q ' "$__dkms_name" "$__dkms_index" "$__dkms_text"
		done
	done
	for __dkms_name in "${!DKMS_DIRECTIVE@}"; do
		if [[ ${!__dkms_name} =~ ^([A-Za-z_][A-Za-z0-9_]*)=([A-Za-z0-9_./+,:@%-]*)(=[A-Za-z0-9_./+,:@%=-]*)?$ ]]; then
			for __dkms_text in "${__dkms_list[@]}"; do
				if [[ $__dkms_text = "${BASH_REMATCH[1]}" ]]; then
					printf '%q ' "${BASH_REMATCH[1]}" 0 "\"${BASH_REMATCH[2]}\""
				fi
			done
		fi
	done
	exec >&4
}

__dkms_second() {
	eval "__dkms_one_word() { case $1 in esac; }" 2>&4 || return
	unset __dkms_value
	eval "__dkms_value=$1"
	[[ ${__dkms_value+set} ]] && printf '%sx' "$__dkms_value"
}

__dkms_mode=$1
__dkms_wanted=("${@:3:$2}")
shift $(($2 + 2))
unset -v "${__dkms_wanted[@]}"
for __dkms_preset in "${@:2:$1}"; do
	printf -v "${__dkms_preset%%=*}" %s "${__dkms_preset#*=}"
done
shift $(($1 + 1))
__dkms_files=("$@")
set --

for __dkms_file in "${__dkms_files[@]}"; do
	eval "__dkms_dump=($(__dkms_first "$__dkms_mode" "$__dkms_file" "${__dkms_wanted[@]}" 3>&-))"
	for ((__dkms_n = 0; __dkms_n + 2 < ${#__dkms_dump[@]}; __dkms_n += 3)); do
		__dkms_text=${__dkms_dump[__dkms_n + 2]}
		__dkms_value=${__dkms_text#\"}
		__dkms_value=${__dkms_value%\"}
		if [[ $__dkms_mode = twice && $__dkms_value == *[\$\` + "`" + `\\\"]* ]]; then
			__dkms_again=$(__dkms_second "$__dkms_text" 3>&-)
			[[ $__dkms_again == *x ]] && __dkms_value=${__dkms_again%x}
		fi
		printf -v "${__dkms_dump[__dkms_n]}[${__dkms_dump[__dkms_n + 1]}]" %s "$__dkms_value"
	done
	for __dkms_name in "${__dkms_wanted[@]}"; do
		unset -n __dkms_variable
		declare -n __dkms_variable=$__dkms_name
		for __dkms_index in "${!__dkms_variable[@]}"; do
			printf '%s\0' "$__dkms_name" "$__dkms_index" "${__dkms_variable[$__dkms_index]}" >&3
		done
	done
	printf '%s\0' '' '' '' >&3
done
exit 0
`

// secondEvaluation does to one value of a plain file what the second evaluation does to it. It reports false when only
// bash can tell: a command substitution, a pattern that may match a file, quotes that do not add up.
func secondEvaluation(value string, lookup func(name string, index int) string, mayMatch func(pattern string) bool) (string, bool) {
	if !strings.ContainsAny(value, " \t\n\\\"$`") && printable(value) {
		return value, true
	}
	value, ok := rejoin(value, mayMatch)
	if !ok || !printable(value) {
		return "", false
	}
	w, ok := parseQuoted(value)
	if !ok {
		return "", false
	}
	return w.expand(lookup), true
}

// rejoin splits a value at blanks and joins it again with one blank each. The quotes of the printed assignment belong to
// the first and the last word, so those two can match no file.
func rejoin(value string, mayMatch func(pattern string) bool) (string, bool) {
	var words []string
	rest := `"` + value + `"`
	for i := 0; i < len(rest); {
		n := strings.IndexAny(rest[i:], " \t\n")
		if n < 0 {
			n = len(rest) - i
		}
		if n > 0 {
			words = append(words, rest[i:i+n])
		}
		i += n + 1
	}
	for i, w := range words {
		if 0 < i && i < len(words)-1 && strings.ContainsAny(w, "*?[(") && mayMatch(w) {
			return "", false
		}
	}
	joined := strings.Join(words, " ")
	return joined[1 : len(joined)-1], true
}

// parseQuoted reads the inside of a printed assignment: double-quoted text in which a double quote switches to unquoted
// text and back. Unquoted text is accepted as long as it means itself.
func parseQuoted(s string) (word, bool) {
	var w word
	for {
		inside, rest, more := cutUnescaped(s)
		part, ok := parseDouble(inside)
		if !ok {
			return nil, false
		}
		w = append(w, part...)
		if !more {
			return w, true
		}
		outside, next, closed := strings.Cut(rest, `"`)
		if !closed || !meansItself(outside, inAssignment) {
			return nil, false
		}
		w = append(w, piece{text: outside})
		s = next
	}
}

// cutUnescaped cuts s around the first double quote that has no backslash before it.
func cutUnescaped(s string) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// piece is a part of a word: text that stands for itself, or with a name the element of a variable.
type piece struct {
	text  string
	name  string
	index int
}

// word is the value of an assignment before expansion.
type word []piece

func (w word) expand(lookup func(name string, index int) string) string {
	if len(w) == 1 && w[0].name == "" {
		return w[0].text
	}
	var b strings.Builder
	for _, p := range w {
		if p.name != "" {
			b.WriteString(lookup(p.name, p.index))
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// parseDouble reads the inside of a double-quoted string without double quotes: text, backslashes, $name, ${name} and
// ${name[number]}. It reports false for everything else that is special there.
func parseDouble(s string) (word, bool) {
	var w word
	var text strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '`' || c == '"':
			return nil, false
		case c == '\\' && i+1 == len(s):
			return nil, false
		case c == '\\':
			switch next := s[i+1]; next {
			case '$', '`', '"', '\\':
				text.WriteByte(next)
			case '\n':
			default:
				text.WriteString(s[i : i+2])
			}
			i += 2
		case c == '$':
			p, n, ok := parseDollar(s[i:])
			if !ok {
				return nil, false
			}
			if p.name != "" {
				w = append(w, piece{text: text.String()}, p)
				text.Reset()
			} else {
				text.WriteString(p.text)
			}
			i += n
		default:
			text.WriteByte(c)
			i++
		}
	}
	return append(w, piece{text: text.String()}), true
}

// parseDollar reads what a dollar sign begins inside double quotes and returns how many bytes that is.
func parseDollar(s string) (p piece, n int, ok bool) {
	if len(s) == 1 || strings.IndexByte(" \t\n|).,/:=%^+&;<>]}~\\", s[1]) >= 0 {
		return piece{text: "$"}, 1, true
	}
	name := identifier(s[1:])
	if name != "" {
		return piece{name: name}, 1 + len(name), !bashOwns(name)
	}
	if s[1] != '{' {
		return piece{}, 0, false
	}
	inside, _, closed := strings.Cut(s[2:], "}")
	name = identifier(inside)
	if !closed || name == "" || bashOwns(name) {
		return piece{}, 0, false
	}
	index := 0
	if subscript := inside[len(name):]; subscript != "" {
		if index, ok = parseSubscript(subscript); !ok {
			return piece{}, 0, false
		}
	}
	return piece{name: name, index: index}, len(inside) + 3, true
}

// parseSubscript reads "[number]".
func parseSubscript(s string) (int, bool) {
	if len(s) < 3 || s[0] != '[' || s[len(s)-1] != ']' {
		return 0, false
	}
	return parseIndex(s[1 : len(s)-1])
}

// parseIndex reads a decimal array index: without leading zeros, which make a number octal, and of sensible size.
func parseIndex(s string) (int, bool) {
	if len(s) == 0 || len(s) > 6 || (s[0] == '0' && len(s) > 1) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil
}

// identifier returns the name of a variable that s begins with.
func identifier(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z':
		case '0' <= c && c <= '9' && i > 0:
		default:
			return s[:i]
		}
	}
	return s
}

// Signs that mean themselves in unquoted text: everywhere, and where no pathname expansion follows.
const (
	inList       = "_./+,@%^=:-"
	inAssignment = inList + "*?"
)

// meansItself reports whether unquoted text has only letters, digits and the given signs.
func meansItself(s, signs string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case strings.IndexByte(signs, c) >= 0:
		default:
			return false
		}
	}
	return true
}

// printable reports whether s consists of ASCII text and blanks only: all else is left to bash and its locale.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 0x7f || c < ' ' && c != '\t' && c != '\n' {
			return false
		}
	}
	return true
}
