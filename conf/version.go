package conf

import (
	"cmp"
	"strings"
)

// CompareVersions orders kernel releases and module versions as upstream's VER does and returns -1, 0 or +1. VER pads
// every number to three digits, drops blanks and compares the results as texts, so that 1.9 is before 1.10, while 4.12 is
// before 4.12-rc1 and before 4.12.0-1: the longer one is greater.
//
// In one point it differs from VER: numbers of four and more digits compare as numbers. To upstream 1000 is before 999,
// and the version 20230101 is before 3.0.
func CompareVersions(a, b string) int {
	for {
		a, b = strings.TrimLeft(a, " "), strings.TrimLeft(b, " ")
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		na, nb := number(a), number(b)
		switch {
		case na != "" && nb != "":
			if c := compareNumbers(na, nb); c != 0 {
				return c
			}
			a, b = a[len(na):], b[len(nb):]
		case a[0] != b[0]:
			// A digit of a padded number is less or greater than any other byte, whichever digit it is.
			return cmp.Compare(a[0], b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
}

// number returns the digits that s begins with.
func number(s string) string {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n]
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}
