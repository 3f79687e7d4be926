package hooks

import (
	"cmp"
	"strings"
)

// compareDebian compares two versions of Debian packages that have no epoch, as deb-version(7) says: what is before the last
// dash, then what is after it.
func compareDebian(a, b string) int {
	va, ra := upstreamAndRevision(a)
	vb, rb := upstreamAndRevision(b)
	return cmp.Or(compareNatural(va, vb), compareNatural(ra, rb))
}

func upstreamAndRevision(v string) (upstream, revision string) {
	if n := strings.LastIndexByte(v, '-'); n >= 0 {
		return v[:n], v[n+1:]
	}
	return v, ""
}

// compareNatural compares texts part by part: what is no digit by its characters, digits by their value. A tilde comes before
// everything, even the end; letters come before all other characters. This is the order of deb-version(7), and that of ls -v
// for paths that do not end in something like a suffix.
func compareNatural(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !digit(a[0]) || b != "" && !digit(b[0]) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
		}
		na, nb := digits(a), digits(b)
		a, b = a[len(na):], b[len(nb):]
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if c := cmp.Or(cmp.Compare(len(na), len(nb)), strings.Compare(na, nb)); c != 0 {
			return c
		}
	}
	return 0
}

// weight returns the place of the first character of s; the end of a text and digits are alike.
func weight(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// digits returns the digits at the beginning of s.
func digits(s string) string {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return s[:n]
}
