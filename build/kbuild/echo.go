package kbuild

import (
	"strconv"
	"strings"
)

// echo returns what "echo -e text" of bash prints in a UTF-8 locale, newline
// included. Logs hold descriptions and commands in this form because upstream
// writes them so (invoke_command): a command with \n in it fills several
// lines, and one with \c ends there without a newline.
func echo(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		if text[i] == 'c' {
			return out.String()
		}
		i += escape(&out, text[i:]) - 1
	}
	out.WriteByte('\n')
	return out.String()
}

// escape writes the character a sequence stands for; s begins after the
// backslash. It returns how many bytes of s belong to the sequence.
func escape(out *strings.Builder, s string) int {
	if i := strings.IndexByte(`abefnrtv\E`, s[0]); i >= 0 {
		out.WriteByte("\a\b\x1b\f\n\r\t\v\\\x1b"[i])
		return 1
	}
	switch s[0] {
	case '0':
		value, n := number(s[1:], 3, 8)
		out.WriteByte(byte(value))
		return 1 + n
	case 'x':
		if value, n := number(s[1:], 2, 16); n > 0 {
			out.WriteByte(byte(value))
			return 1 + n
		}
	case 'u', 'U':
		digits := map[byte]int{'u': 4, 'U': 8}[s[0]]
		if value, n := number(s[1:], digits, 16); n > 0 {
			out.WriteRune(rune(value))
			return 1 + n
		}
	}
	out.WriteByte('\\')
	out.WriteByte(s[0])
	return 1
}

// number reads at most limit digits and returns their value and count.
func number(s string, limit, base int) (value uint64, count int) {
	for count < min(limit, len(s)) {
		if _, err := strconv.ParseUint(s[count:count+1], base, 8); err != nil {
			break
		}
		count++
	}
	value, _ = strconv.ParseUint(s[:count], base, 64)
	return value, count
}
