package main

import (
	"fmt"
	"slices"
	"strings"
)

// getopt reads command lines as getopt_long(3) does, for the one verb that must take what another program takes: options
// and words mixed, letters put together, long options shortened as far as they stay clear.
type getopt struct {
	name    string // of the program, in messages
	options []longOption
}

// longOption is one option. short is 0 for one without a letter.
type longOption struct {
	long  string
	short byte
	value bool
	exact bool // ours: not to be shortened
}

// given is an option as it was given.
type given struct {
	long, value string
}

// usageError is a command line that cannot be read. Its text is getopt_long's.
type usageError string

func (e usageError) Error() string { return string(e) }

func (g *getopt) parse(args []string) (options []given, words []string, err error) {
	for n := 0; n < len(args); n++ {
		arg := args[n]
		var found []given
		var wants bool // the last one wants the next argument for its value
		switch {
		case arg == "--":
			return options, append(words, args[n+1:]...), nil
		case strings.HasPrefix(arg, "--"):
			found, wants, err = g.long(arg[2:])
		case strings.HasPrefix(arg, "-") && arg != "-":
			found, wants, err = g.short(arg[1:])
		default:
			words = append(words, arg)
		}
		if err != nil {
			return options, words, err
		}
		if wants {
			if n++; n == len(args) {
				return options, words, g.missing(arg, found[len(found)-1])
			}
			found[len(found)-1].value = args[n]
		}
		options = append(options, found...)
	}
	return options, words, nil
}

func (g *getopt) errorf(format string, args ...any) error {
	return usageError(g.name + ": " + fmt.Sprintf(format, args...))
}

func (g *getopt) missing(arg string, o given) error {
	if strings.HasPrefix(arg, "--") {
		return g.errorf("option '--%s' requires an argument", o.long)
	}
	return g.errorf("option requires an argument -- '%c'", arg[len(arg)-1])
}

func (g *getopt) long(text string) (_ []given, wants bool, err error) {
	name, value, assigned := strings.Cut(text, "=")
	o, err := g.find(name)
	if err != nil {
		return nil, false, err
	}
	if assigned && !o.value {
		return nil, false, g.errorf("option '--%s' doesn't allow an argument", o.long)
	}
	return []given{{o.long, value}}, o.value && !assigned, nil
}

// find finds a long option by its name, or by the beginning of one letter's options only.
func (g *getopt) find(name string) (longOption, error) {
	var fits []longOption
	for _, o := range g.options {
		if o.long == name {
			return o, nil
		}
		if !o.exact && strings.HasPrefix(o.long, name) {
			fits = append(fits, o)
		}
	}
	if len(fits) == 0 {
		return longOption{}, g.errorf("unrecognized option '--%s'", name)
	}
	for _, o := range fits[1:] {
		if o.short != fits[0].short {
			var text strings.Builder
			for _, f := range fits {
				text.WriteString(" '--" + f.long + "'")
			}
			return longOption{}, g.errorf("option '--%s' is ambiguous; possibilities:%s", name, text.String())
		}
	}
	return fits[0], nil
}

func (g *getopt) short(letters string) (found []given, wants bool, err error) {
	for n := range len(letters) {
		i := slices.IndexFunc(g.options, func(o longOption) bool { return o.short == letters[n] })
		if i < 0 {
			return nil, false, g.errorf("invalid option -- '%c'", letters[n])
		}
		o := g.options[i]
		if !o.value {
			found = append(found, given{long: o.long})
			continue
		}
		rest := letters[n+1:]
		return append(found, given{o.long, rest}), rest == "", nil
	}
	return found, false, nil
}
