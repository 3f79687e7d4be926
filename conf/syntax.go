package conf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dkms-go/dkms/proc"
)

// SyntaxError is a place where bash cannot read a file. An evaluation goes on with what stands before it, so Module does
// not return one; ask SyntaxErrors.
type SyntaxError struct {
	File string
	Line int
	Msg  string // in bash's words
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// SyntaxErrors has bash check the syntax of a module's files, without evaluating them. Plain files have no such errors and
// need no bash.
func (m *Module) SyntaxErrors(ctx context.Context) ([]*SyntaxError, error) {
	var found []*SyntaxError
	for _, f := range m.sources {
		if _, plain := m.loader.plain(f); plain {
			continue
		}
		said, err := m.loader.checkSyntax(ctx, f.path)
		if err != nil {
			return nil, err
		}
		found = append(found, parseSyntaxErrors(f.path, said)...)
	}
	return found, nil
}

func (l *Loader) checkSyntax(ctx context.Context, abs string) (said string, err error) {
	var stderr bytes.Buffer
	err = l.Runner.Run(ctx, proc.Cmd{
		Args:    []string{"bash", "--norc", "--noprofile", "-O", "extglob", "-n", abs},
		Dir:     l.dir(),
		Env:     append(l.Env[:len(l.Env):len(l.Env)], "LC_ALL=C"),
		Root:    l.Root.Dir(),
		Stderr:  &stderr,
		Confine: &proc.Confine{ReadOnly: true, NoNetwork: true, User: true, ReadAll: true},
		Timeout: evaluationLimit,
	})
	var exit *proc.ExitError
	if errors.As(err, &exit) && !exit.TimedOut {
		err = nil
	}
	return stderr.String(), err
}

// parseSyntaxErrors reads lines such as "FILE: line 6: syntax error near unexpected token `done'". A second line about the
// same place quotes the source, and is left out.
func parseSyntaxErrors(abs, said string) []*SyntaxError {
	var found []*SyntaxError
	for line := range strings.Lines(said) {
		rest, ok := strings.CutPrefix(line, abs+": line ")
		if !ok {
			continue
		}
		number, msg, _ := strings.Cut(rest, ": ")
		n, err := strconv.Atoi(number)
		if err != nil || strings.HasPrefix(msg, "`") {
			continue
		}
		found = append(found, &SyntaxError{File: abs, Line: n, Msg: strings.TrimSpace(msg)})
	}
	return found
}
