package conf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"dkms-go/dkms/proc"
)

const (
	// evaluationLimit is how long one bash child may take; upstream has no limit, real files need milliseconds.
	evaluationLimit = time.Minute
	// dumpLimit is how much the variables of one evaluation may take up.
	dumpLimit = 4 << 20
)

// source is one file of an evaluation.
type source struct {
	path string // as bash sees it: inside the root
	data []byte
	err  error // why data is missing; bash will say so itself
}

// request is one evaluation: files sourced one after the other.
type request struct {
	files  []source
	wanted []string          // the variables carried back, in the order in which they are evaluated again
	start  variables         // what the wanted variables are before the first file; all others are unset
	preset map[string]string // further variables that the files see, besides the environment
	once   bool              // values count as they are: no second evaluation
}

// evaluate returns the wanted variables as they are after each of the files.
func (l *Loader) evaluate(ctx context.Context, r request) ([]variables, error) {
	if states, ok := l.evaluatePlain(r); ok {
		return states, nil
	}
	return l.evaluateBash(ctx, r)
}

// evaluatePlain evaluates in process. It reports false when a file is not plain, or a value cannot be evaluated again
// without bash.
func (l *Loader) evaluatePlain(r request) ([]variables, bool) {
	env := l.environment()
	if env.bashOnly {
		return nil, false
	}
	parent := scope{own: r.start.clone(), wanted: r.wanted, preset: r.preset, env: env.values}
	var states []variables
	for _, f := range r.files {
		plain, ok := l.plain(f)
		if !ok {
			return nil, false
		}
		child := parent
		child.own = parent.own.clone()
		plain.evaluate(&child)
		for _, name := range r.wanted {
			for _, i := range child.own.indexes(name) {
				value := child.own[name][i]
				if !r.once {
					if value, ok = secondEvaluation(value, parent.lookup, l.mayMatch); !ok {
						return nil, false
					}
				}
				parent.own.set(name, i, value)
			}
		}
		states = append(states, parent.own.clone())
	}
	return states, true
}

// plain returns the parsed file if it is plain. Files are recognised by their content, so one that is read for many
// kernels is parsed once.
func (l *Loader) plain(f source) (plainFile, bool) {
	if f.err != nil {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	parsed, ok := l.parsed[string(f.data)]
	if !ok {
		parsed, ok = parsePlain(f.data)
		if !ok {
			parsed = nil
		}
		if l.parsed == nil {
			l.parsed = map[string]plainFile{}
		}
		l.parsed[string(f.data)] = parsed
	}
	return parsed, parsed != nil
}

// mayMatch reports whether a pattern of pathname expansion could match a file. It errs on the side of yes.
func (l *Loader) mayMatch(pattern string) bool {
	const special = "*?[]\\+@!()"
	dir, base := path.Split(pattern)
	if strings.ContainsAny(dir, special) || base == "" {
		return true
	}
	if !path.IsAbs(dir) {
		dir = path.Join(l.dir(), dir)
	}
	entries, err := l.Root.ReadDir(dir)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	prefix := base
	if i := strings.IndexAny(base, special); i >= 0 {
		prefix = base[:i]
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			return true
		}
	}
	return false
}

// evaluateBash evaluates in a confined bash child: it may read everything and write nothing, has no network, is nobody
// where that is possible, and has limited time.
func (l *Loader) evaluateBash(ctx context.Context, r request) ([]variables, error) {
	mode := "twice"
	if r.once {
		mode = "once"
	}
	args := []string{mode, strconv.Itoa(len(r.wanted))}
	args = append(args, r.wanted...)
	var presets []string
	for name, value := range r.preset {
		presets = append(presets, name+"="+value)
	}
	for name := range r.start {
		if value, ok := r.start[name][0]; ok {
			presets = append(presets, name+"="+value)
		}
	}
	args = append(args, strconv.Itoa(len(presets)))
	args = append(args, presets...)
	var paths []string
	for _, f := range r.files {
		paths = append(paths, f.path)
	}
	dump, err := l.bash(ctx, evaluateScript, append(args, paths...))
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", strings.Join(paths, ", "), err)
	}
	states, err := parseDump(dump)
	if err == nil && len(states) != len(r.files) {
		err = fmt.Errorf("bash ended early: %d of %d files evaluated", len(states), len(r.files))
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", strings.Join(paths, ", "), err)
	}
	return states, nil
}

// bash runs a script and returns what it writes to file descriptor 3.
func (l *Loader) bash(ctx context.Context, script string, args []string) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var dump []byte
	var g errgroup.Group
	g.Go(func() error {
		var err error
		dump, err = io.ReadAll(io.LimitReader(r, dumpLimit+1))
		if err == nil && len(dump) > dumpLimit {
			stop()
			err = fmt.Errorf("the variables take up more than %d bytes", dumpLimit)
		}
		return err
	})
	runErr := l.Runner.Run(ctx, proc.Cmd{
		Args:       append([]string{"bash", "--norc", "--noprofile", "-c", script, "dkms"}, args...),
		Dir:        l.dir(),
		Env:        l.Env,
		Root:       l.Root.Dir(),
		Stderr:     l.Stderr,
		ExtraFiles: []*os.File{w},
		Confine:    &proc.Confine{ReadOnly: true, NoNetwork: true, User: true, ReadAll: true},
		Timeout:    evaluationLimit,
	})
	w.Close()
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return dump, runErr
}

// dir is the program's working directory as a bash child sees it, "/" when it lies outside the root.
func (l *Loader) dir() string {
	root := strings.TrimSuffix(l.Root.Dir(), "/")
	if l.Dir == root || strings.HasPrefix(l.Dir, root+"/") {
		return "/" + strings.TrimPrefix(strings.TrimPrefix(l.Dir, root), "/")
	}
	return "/"
}

// parseDump reads what evaluateScript writes: triples name, index, value; an empty one after each file.
func parseDump(dump []byte) ([]variables, error) {
	var states []variables
	current := variables{}
	fields := bytes.Split(dump, []byte{0})
	if len(fields)%3 != 1 || len(fields[len(fields)-1]) > 0 {
		return nil, fmt.Errorf("bash left an incomplete list of variables")
	}
	for i := 0; i+2 < len(fields); i += 3 {
		name := string(fields[i])
		if name == "" {
			states = append(states, current)
			current = variables{}
			continue
		}
		index, err := strconv.Atoi(string(fields[i+1]))
		if err != nil {
			return nil, fmt.Errorf("variable %s has the index %q", name, fields[i+1])
		}
		current.set(name, index, string(fields[i+2]))
	}
	return states, nil
}
