package conf

import "context"

// Way is one of the two ways of evaluating a dkms.conf.
type Way int

const (
	InProcess Way = iota
	InBash
)

// Evaluate evaluates a dkms.conf in one way only, and returns the directives that are set. ok is false when the file cannot
// be evaluated in process.
func (l *Loader) Evaluate(ctx context.Context, way Way, src Source, t Target) (values map[string]map[int]string, ok bool, err error) {
	r, err := l.moduleRequest(src, t)
	if err != nil {
		return nil, false, err
	}
	var states []variables
	if way == InProcess {
		if states, ok = l.evaluatePlain(r); !ok {
			return nil, false, nil
		}
	} else if states, err = l.evaluateBash(ctx, r); err != nil {
		return nil, false, err
	}
	values = map[string]map[int]string{}
	for name, e := range states[len(states)-1] {
		if len(e) > 0 {
			values[name] = e
		}
	}
	return values, true, nil
}

// DirectiveNames are the variables carried back from a dkms.conf.
func DirectiveNames() []string { return directiveNames() }

// CommonRegexp reports whether a pattern is matched in process.
func CommonRegexp(pattern string) bool {
	_, ok := commonRegexp(pattern)
	return ok
}

// EvaluateOSRelease reads the file at abs as os-release, in one way only.
func (l *Loader) EvaluateOSRelease(ctx context.Context, way Way, abs string) (d Distribution, ok bool, err error) {
	r := request{files: []source{l.read(abs)}, wanted: []string{"ID", "ID_LIKE"}, preset: l.Vars, once: true}
	var states []variables
	if way == InProcess {
		if states, ok = l.evaluatePlain(r); !ok {
			return "", false, nil
		}
	} else if states, err = l.evaluateBash(ctx, r); err != nil {
		return "", false, err
	}
	return distribution(states[0]), true, nil
}

// Matches reports what [[ subject =~ pattern ]] ends with: 0 matched, 1 not matched, 2 invalid.
func (l *Loader) Matches(ctx context.Context, subject, pattern string) (int, error) {
	answer, err := l.matches(ctx, subject, pattern)
	return map[match]int{matched: 0, noMatch: 1, invalid: 2}[answer], err
}
