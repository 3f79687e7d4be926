package conf

import (
	"io/fs"
	"slices"
	"sync"

	"dkms-go/conf/sysroot"
)

// snapshot is what files held at one moment, as far as they were asked for.
type snapshot struct {
	root      *sysroot.Root
	overrides func() ([]fs.DirEntry, error)

	mu    sync.Mutex
	files map[string]source
}

// Snapshot returns a loader with the same settings that reads every file at most once: for the many evaluations of one
// question, such as that after the status of all modules on all kernels.
func (l *Loader) Snapshot() *Loader {
	return &Loader{
		Root: l.Root, Runner: l.Runner, Env: l.Env, Dir: l.Dir, Stderr: l.Stderr,
		Vars: l.Vars, Directives: slices.Clone(l.Directives),
		snapshot: &snapshot{
			root:      l.Root,
			overrides: sync.OnceValues(func() ([]fs.DirEntry, error) { return l.Root.ReadDir("/etc/dkms") }),
			files:     map[string]source{},
		},
	}
}

func (s *snapshot) read(abs string) source {
	s.mu.Lock()
	f, ok := s.files[abs]
	s.mu.Unlock()
	if ok {
		return f
	}
	data, err := s.root.ReadFile(abs)
	f = source{path: abs, data: data, err: err}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[abs] = f
	return f
}
