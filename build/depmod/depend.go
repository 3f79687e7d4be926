package depmod

import (
	"context"
	"slices"
	"syscall"
)

// loadSymbols adds what modules export to the table, and tells which files could
// not be read.
func (s *scan) loadSymbols(t *symbolTable, list []*module) {
	for _, m := range list {
		if m.readErr != nil {
			s.tell(Error, "failed to load symbols from %s: %s", s.host(m.path), strerror(m.readErr))
		} else if m.Errno != 0 && m.Errno != syscall.ENODATA {
			s.tell(Error, "failed to load symbols from %s: %s", s.host(m.path), strerror(m.Errno))
		}
		for _, x := range m.Exports {
			t.add(x.Name, export{owner: m, crc: uint64(x.CRC)})
		}
	}
}

// link finds out which modules each module needs, and in which order they are to
// be loaded. Of lent modules it reads those whose needs make a difference to that.
func (s *scan) link(ctx context.Context, t *symbolTable, list []*module) error {
	for {
		s.resolve(t, list)
		if slices.ContainsFunc(list, func(m *module) bool { return s.borrowed && m.own && !m.lent && !confirms(m, list) }) {
			return errUnlike
		}
		users, unsure := rank(list)
		switch {
		case users != nil && slices.ContainsFunc(list, func(m *module) bool { return m.lent }):
			return errUnlike
		case users != nil:
			return s.reportCycles(list, users)
		case len(unsure) == 0:
			for _, m := range list {
				slices.SortFunc(m.needs, func(a, b int) int { return list[a].rank - list[b].rank })
			}
			return nil
		}
		if err := s.readNeeds(ctx, list, unsure); err != nil {
			return err
		}
	}
}

// readNeeds reads lent modules.
func (s *scan) readNeeds(ctx context.Context, list []*module, numbers []int) error {
	exports := make([][]Symbol, len(numbers)) // those that count, as in the indexes
	for i, n := range numbers {
		exports[i] = list[n].Exports
	}
	if err := s.readFiles(ctx, list, slices.Clone(numbers), make([]stamp, len(list))); err != nil {
		return err
	}
	for i, n := range numbers {
		if list[n].readErr != nil || list[n].Errno != 0 {
			return errUnlike
		}
		list[n].lent, list[n].Exports = false, exports[i]
	}
	s.reread = true
	return nil
}

// resolve finds out which modules each module needs.
func (s *scan) resolve(t *symbolTable, list []*module) {
	for _, m := range list {
		m.needs, m.users = nil, 0
	}
	seen := make([]int, len(list)) // by index: 1 + the last module that was found to need it
	for _, m := range list {
		if m.lent {
			m.needs = slices.Clone(m.reduced)
			for _, n := range m.needs {
				list[n].users++
			}
			continue
		}
		for _, need := range m.Needs {
			e, ok := t.find(need.Name)
			if !ok {
				if s.opt.Unresolved && !need.Weak {
					s.tell(Warning, "%s needs unknown symbol %s", s.host(m.path), need.Name)
				}
				continue
			}
			if s.opt.Symvers != "" && e.crc != uint64(need.CRC) && !need.Weak && s.opt.Unresolved {
				s.tell(Warning, "%s disagrees about version of symbol %s", s.host(m.path), need.Name)
			}
			if e.owner == nil || seen[e.owner.index] == m.index+1 {
				continue
			}
			seen[e.owner.index] = m.index + 1
			m.needs = append(m.needs, e.owner.index)
			e.owner.users++
			if s.opt.Needs {
				s.tell(Notice, "%s needs \"%s\": %s", s.host(m.path), t.bare(need.Name), s.host(e.owner.path))
			}
		}
	}
}

// rank sorts the modules topologically, those that nobody needs first
// (depmod_calculate_dependencies). When modules need each other in a circle it
// returns how many users each one has left. The order depends on the order of what
// the unsure ones need, all of them lent.
func rank(list []*module) (users, unsure []int) {
	users = make([]int, len(list))
	var free []int
	for i, m := range list {
		users[i] = m.users
		if m.users == 0 {
			free = append(free, i)
		}
	}
	ranked := 0
	for len(free) > 0 {
		m := list[free[len(free)-1]]
		free = free[:len(free)-1]
		m.rank = ranked
		ranked++
		before := len(free)
		for _, n := range m.needs {
			users[n]--
			if users[n] == 0 {
				free = append(free, n)
			}
		}
		if m.lent && len(free) > before+1 {
			unsure = append(unsure, m.index)
		}
	}
	if ranked < len(list) {
		return users, nil
	}
	return nil, unsure
}

// closures is, for each module, all modules that must be loaded for it, users
// first: those it needs, those that these need, and so on.
func closures(list []*module) [][]int {
	out := make([][]int, len(list))
	seen := make([]int, len(list))
	for i, m := range list {
		if len(m.needs) == 0 {
			continue
		}
		todo := slices.Clone(m.needs)
		var all []int
		for len(todo) > 0 {
			n := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if seen[n] == i+1 {
				continue
			}
			seen[n] = i + 1
			all = append(all, n)
			todo = append(todo, list[n].needs...)
		}
		slices.SortFunc(all, func(a, b int) int { return list[a].rank - list[b].rank })
		out[i] = all
	}
	return out
}
