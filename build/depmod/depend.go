package depmod

import (
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

// resolve finds out which modules each module needs.
func (s *scan) resolve(t *symbolTable, list []*module) {
	seen := make([]int, len(list)) // by index: 1 + the last module that was found to need it
	for _, m := range list {
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

// rank sorts the modules topologically, those that nobody needs first, and what
// each module needs likewise (depmod_calculate_dependencies). It fails when
// modules need each other in a circle.
func (s *scan) rank(list []*module) error {
	users := make([]int, len(list))
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
		for _, n := range m.needs {
			users[n]--
			if users[n] == 0 {
				free = append(free, n)
			}
		}
	}
	if ranked < len(list) {
		return s.reportCycles(list, users)
	}
	for _, m := range list {
		slices.SortFunc(m.needs, func(a, b int) int { return list[a].rank - list[b].rank })
	}
	return nil
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
