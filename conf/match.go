package conf

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"dkms-go/dkms/proc"
)

// match is the answer of [[ subject =~ pattern ]].
type match int

const (
	noMatch match = iota
	matched
	invalid // the pattern is no regular expression
)

// matchScript answers with its status: 0 matched, 1 not, 2 invalid pattern. Anything else is a failure to ask.
const matchScript = `
[[ $1 =~ $2 ]] 2>&1
exit $?
`

// matches says whether an extended regular expression of the C library, as bash uses it in [[ =~ ]], matches anywhere in
// subject. Patterns that mean the same in Go are matched here, all others by bash.
func (l *Loader) matches(ctx context.Context, subject, pattern string) (match, error) {
	if re, ok := commonRegexp(pattern); ok && printable(subject) && !strings.Contains(subject, "\n") {
		if re.MatchString(subject) {
			return matched, nil
		}
		return noMatch, nil
	}
	answer, err := remember(l, &l.asked, [2]string{subject, pattern}, func() (*match, error) {
		return l.askBash(ctx, subject, pattern)
	})
	if err != nil {
		return invalid, err
	}
	return *answer, nil
}

func (l *Loader) askBash(ctx context.Context, subject, pattern string) (*match, error) {
	_, err := l.bash(ctx, matchScript, []string{subject, pattern})
	answer := matched
	var exit *proc.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.Status == 1 && !exit.TimedOut:
		answer = noMatch
	case errors.As(err, &exit) && exit.Status == 2 && !exit.TimedOut:
		answer = invalid
	default:
		return nil, err
	}
	return &answer, nil
}

// commonRegexp compiles a pattern if it is written in the part of the language that the C library and Go read alike:
// ordinary characters, dots, anchors, groups, alternatives, plain bracket lists, and repetitions of exactly one of these.
func commonRegexp(pattern string) (*regexp.Regexp, bool) {
	repeatable := false // what stands before may be repeated
	for i := 0; i < len(pattern); {
		n, repeat := 1, false
		switch c := pattern[i]; {
		case c == '*' || c == '+' || c == '?':
			if !repeatable {
				return nil, false
			}
		case c == '(' || c == '|' || c == '^' || c == '$':
		case c == ')' || c == '.':
			repeat = true
		case c == '\\':
			if i+1 == len(pattern) || strings.IndexByte(`.*+?()|[]{}^$\/-`, pattern[i+1]) < 0 {
				return nil, false
			}
			n, repeat = 2, true
		case c == '[':
			if n = bracketList(pattern[i:]); n == 0 {
				return nil, false
			}
			repeat = true
		case c == '{' || c == '}' || c == ']' || c < ' ' || c >= 0x7f:
			return nil, false
		default:
			repeat = true
		}
		repeatable = repeat
		i += n
	}
	re, err := regexp.CompilePOSIX(pattern)
	return re, err == nil
}

// bracketList returns the length of the bracket expression that s begins with, or 0 if it is not a plain list of letters,
// digits, harmless signs, and ranges within one alphabet.
func bracketList(s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	for start := i; i < len(s); {
		c := s[i]
		switch {
		case c == ']':
			if i == start {
				return 0
			}
			return i + 1
		case i+2 < len(s) && s[i+1] == '-' && s[i+2] != ']':
			if kind := alphabet(c); kind == 0 || kind != alphabet(s[i+2]) || c > s[i+2] {
				return 0
			}
			i += 3
		case alphabet(c) != 0 || strings.IndexByte("_.,:;/+ *?(){}|$=@%&~!#", c) >= 0:
			i++
		default:
			return 0
		}
	}
	return 0
}

func alphabet(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return 1
	case 'a' <= c && c <= 'z':
		return 2
	case 'A' <= c && c <= 'Z':
		return 3
	}
	return 0
}
