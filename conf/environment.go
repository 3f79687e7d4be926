package conf

import (
	"crypto/sha256"
	"strings"
)

// environment is Loader.Env in the form in which shell variables are looked up.
type environment struct {
	values map[string]string
	digest digest
	// bashOnly: the environment changes how bash itself behaves, or carries a DKMS_DIRECTIVE, so that even plain files are
	// left to it.
	bashOnly bool
}

func newEnvironment(env []string) *environment {
	e := &environment{values: make(map[string]string, len(env)), digest: sha256.Sum256(appendList(nil, env...))}
	for _, entry := range env {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" || identifier(name) != name {
			continue
		}
		switch {
		case name == "POSIXLY_CORRECT", name == "SHELLOPTS", name == "BASHOPTS", name == "BASH_ENV", name == "BASH_COMPAT",
			name == "GLOBIGNORE", strings.HasPrefix(name, "DKMS_DIRECTIVE"):
			e.bashOnly = true
		}
		e.values[name] = value
	}
	return e
}

func (l *Loader) environment() *environment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.env == nil {
		l.env = newEnvironment(l.Env)
	}
	return l.env
}
