package conf

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A plain file consists of comments and assignments of literal text and plain variables, as three quarters of all dkms.conf
// files do. It is evaluated here, without a process, and with exactly the result that bash would give; whatever is in
// doubt is not plain, and goes to bash.

// plainFile is a plain file, ready to be evaluated for any kernel.
type plainFile []assignment

// assignment is NAME=value, NAME[index]=value, either with +=, or with list NAME=(value...).
type assignment struct {
	name  string
	index int
	add   bool
	list  bool
	words []word // exactly one unless list
}

// parsePlain recognises a plain file. The parser only finds where words begin and end: what is in them is read from the
// source text, because the parser does not keep all of it.
func parsePlain(data []byte) (plainFile, bool) {
	if !plainText(data) {
		return nil, false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(data), "")
	if err != nil {
		return nil, false
	}
	source := sourceText(data)
	plain := plainFile{}
	for _, stmt := range file.Stmts {
		call, ok := stmt.Cmd.(*syntax.CallExpr)
		if !ok || len(call.Args) > 0 || len(stmt.Redirs) > 0 || stmt.Negated || stmt.Background || stmt.Coprocess || stmt.Disown {
			return nil, false
		}
		for _, a := range call.Assigns {
			step, ok := source.assignment(a)
			if !ok || !source.ends(a.End()) {
				return nil, false
			}
			plain = append(plain, step)
		}
	}
	return plain, true
}

// plainText reports whether data is text that bash reads alike in every locale: UTF-8 is welcome, but only in comments,
// which is checked where words are read.
func plainText(data []byte) bool {
	for _, c := range data {
		if c < ' ' && c != '\t' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return true
}

type sourceText string

func (s sourceText) between(from, to syntax.Pos) string { return string(s[from.Offset():to.Offset()]) }

// ends reports whether an assignment ends there for bash as well: it takes what follows the parenthesis of a list at once
// for a part of the same word.
func (s sourceText) ends(at syntax.Pos) bool {
	rest := s[at.Offset():]
	return rest == "" || strings.ContainsRune(" \t\n;", rune(rest[0]))
}

func (s sourceText) assignment(a *syntax.Assign) (assignment, bool) {
	if a.Naked || a.Name == nil || bashOwns(a.Name.Value) || a.Name.Value != s.between(a.Name.Pos(), a.Name.End()) {
		return assignment{}, false
	}
	step := assignment{name: a.Name.Value, add: a.Append}
	if a.Index != nil {
		w, ok := a.Index.(*syntax.Word)
		if !ok || a.Array != nil {
			return assignment{}, false
		}
		if step.index, ok = parseIndex(s.between(w.Pos(), w.End())); !ok {
			return assignment{}, false
		}
	}
	switch {
	case a.Array != nil:
		step.list = true
		for _, e := range a.Array.Elems {
			if e.Index != nil || e.Value == nil {
				return assignment{}, false
			}
			w, ok := s.word(e.Value, inList)
			if !ok {
				return assignment{}, false
			}
			step.words = append(step.words, w)
		}
	case a.Value == nil:
		step.words = []word{{}}
	default:
		w, ok := s.word(a.Value, inAssignment)
		if !ok {
			return assignment{}, false
		}
		step.words = []word{w}
	}
	return step, true
}

// word reads a word; an element of a list is split and globbed by bash where it is not quoted, so variables must be.
func (s sourceText) word(w *syntax.Word, signs string) (word, bool) {
	var pieces word
	for _, part := range w.Parts {
		p, ok := s.part(part, signs)
		if !ok {
			return nil, false
		}
		pieces = append(pieces, p...)
	}
	for _, p := range pieces {
		if !printable(p.text) {
			return nil, false
		}
	}
	return pieces.merged(), true
}

func (s sourceText) part(part syntax.WordPart, signs string) (word, bool) {
	text := s.between(part.Pos(), part.End())
	switch part := part.(type) {
	case *syntax.Lit:
		return word{{text: text}}, meansItself(text, signs)
	case *syntax.SglQuoted:
		if part.Dollar || len(text) < 2 || text[0] != '\'' {
			return nil, false
		}
		return word{{text: text[1 : len(text)-1]}}, true
	case *syntax.DblQuoted:
		if part.Dollar || len(text) < 2 || text[0] != '"' {
			return nil, false
		}
		return parseDouble(text[1 : len(text)-1])
	case *syntax.ParamExp:
		if signs == inList || text == "" || text[0] != '$' {
			return nil, false
		}
		p, n, ok := parseDollar(text)
		return word{p}, ok && n == len(text) && p.name != ""
	}
	return nil, false
}

// merged joins neighbouring texts, so that most words have one piece.
func (w word) merged() word {
	out := word{}
	for _, p := range w {
		switch last := len(out) - 1; {
		case p.name == "" && p.text == "":
		case p.name == "" && last >= 0 && out[last].name == "":
			out[last].text += p.text
		default:
			out = append(out, p)
		}
	}
	return slices.Clip(out)
}

// evaluate makes the file's assignments, as sourcing it would.
func (f plainFile) evaluate(s *scope) {
	for _, a := range f {
		values := make([]string, len(a.words))
		for i, w := range a.words {
			values[i] = w.expand(s.lookup)
		}
		s.assign(a, values)
	}
}

// scope is what a file sees and changes while it is evaluated.
type scope struct {
	own    variables         // what the files have set
	wanted []string          // variables that only files set: they hide those of the same name below
	preset map[string]string // variables of the program
	env    map[string]string // the environment
}

func (s *scope) lookup(name string, index int) string {
	if e, ok := s.own[name]; ok {
		return e[index]
	}
	if index == 0 {
		value, _ := s.outer(name)
		return value
	}
	return ""
}

// outer looks for a variable that no file has set.
func (s *scope) outer(name string) (string, bool) {
	if slices.Contains(s.wanted, name) {
		return "", false
	}
	if value, ok := s.preset[name]; ok {
		return value, true
	}
	value, ok := s.env[name]
	return value, ok
}

func (s *scope) assign(a assignment, values []string) {
	if _, ok := s.own[a.name]; !ok {
		s.own[a.name] = elements{}
		if value, ok := s.outer(a.name); ok {
			s.own[a.name][0] = value
		}
	}
	e := s.own[a.name]
	switch {
	case a.list:
		next := 0
		if a.add && len(e) > 0 {
			next = slices.Max(slices.Collect(maps.Keys(e))) + 1
		} else if !a.add {
			clear(e)
		}
		for i, value := range values {
			e[next+i] = value
		}
	case a.add:
		e[a.index] += values[0]
	default:
		e[a.index] = values[0]
	}
}

// bashOwns reports whether bash gives a variable its value or acts on it, or our own script uses it. A file that mentions
// such a variable is not plain. (bash(1), "Shell Variables".)
func bashOwns(name string) bool {
	switch name {
	case "_", "CDPATH", "CHILD_MAX", "COLUMNS", "COPROC", "DIRSTACK", "EMACS", "ENV", "EUID", "EXECIGNORE", "FCEDIT", "FIGNORE", "FUNCNAME",
		"FUNCNEST", "GLOBIGNORE", "GLOBSORT", "GROUPS", "HOME", "HOSTFILE", "HOSTNAME", "HOSTTYPE", "IFS", "IGNOREEOF",
		"INPUTRC", "INSIDE_EMACS", "LANG", "LANGUAGE", "LINENO", "LINES", "MACHTYPE", "MAIL", "MAILCHECK", "MAILPATH",
		"MAPFILE", "OLDPWD", "OPTARG", "OPTERR", "OPTIND", "OSTYPE", "PATH", "PIPESTATUS", "POSIXLY_CORRECT", "PPID",
		"PS0", "PS1", "PS2", "PS3", "PS4", "PWD", "RANDOM", "REPLY", "SECONDS", "SHELL", "SHELLOPTS", "SHLVL", "SRANDOM", "TERM", "TIMEFORMAT", "TMOUT",
		"UID", "auto_resume", "histchars":
		return true
	}
	return slices.ContainsFunc([]string{
		"BASH", "COMP_", "COMPREPLY", "DKMS_DIRECTIVE", "EPOCH", "HIST", "LC_", "PROMPT", "READLINE_", "TEXTDOMAIN", "__dkms_",
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
