package depmod

import (
	"slices"
	"strings"
)

// CycleError says that modules need each other in a circle, so that none of them
// can be loaded first. The indexes cannot be made then.
type CycleError struct {
	// Cycles is the circles that were found: modules by name, each needing the
	// next one, the first one again at the end.
	Cycles  [][]string
	Modules int // in circles
}

func (e *CycleError) Error() string {
	var b strings.Builder
	b.WriteString("modules need each other")
	for i, c := range e.Cycles {
		b.WriteString([]string{": ", ", "}[min(i, 1)])
		b.WriteString(strings.Join(c, " -> "))
	}
	return b.String()
}

// cycles looks for circles as depmod_report_cycles does, whose words and order
// are known to scripts.
type cycles struct {
	list    []*module
	roots   []int // where circles may begin
	visited []bool
	steps   int // left
	CycleError
}

// maxCycleSteps bounds the search: the ways through modules that need each other
// may be more than one could ever go.
const maxCycleSteps = 1 << 20

// reportCycles tells of the circles among the modules that still have users.
func (s *scan) reportCycles(list []*module, users []int) error {
	c := &cycles{list: list, visited: make([]bool, len(list)), steps: maxCycleSteps}
	for i, n := range users {
		if n > 0 {
			c.roots = append(c.roots, i)
		}
	}
	for len(c.roots) > 0 {
		root := c.roots[0]
		c.roots = c.roots[1:]
		c.from(root)
	}
	members := map[string]bool{}
	for _, names := range c.Cycles {
		s.tell(Error, "Cycle detected: %s", strings.Join(names, " -> "))
		for _, name := range names[:len(names)-1] {
			members[name] = true
		}
	}
	c.Modules = len(members)
	s.tell(Error, "Found %d modules in dependency cycles!", c.Modules)
	return &c.CycleError
}

// vertex is a module on a way from a root.
type vertex struct {
	module int
	above  *vertex
}

// passes says whether the way to the vertex has been at its module before,
// elsewhere than at the root: then it goes round a circle that the root is not in.
func (v *vertex) passes() bool {
	for a := v.above; a != nil && a.above != nil; a = a.above {
		if a.module == v.module {
			return true
		}
	}
	return false
}

// from follows every way from a root, and notes those that come back to it.
func (c *cycles) from(root int) {
	back := c.reaching(root)
	stack := []*vertex{{module: root}}
	for len(stack) > 0 && c.steps > 0 {
		c.steps--
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if c.visited[v.module] && v.module == root {
			c.note(v)
			continue
		}
		again := c.visited[v.module]
		c.visited[v.module] = true
		needs := c.list[v.module].needs
		if len(needs) == 0 {
			c.drop(v.module)
			continue
		}
		if v.passes() || again && !back[v.module] {
			continue // nothing new on this way; kmod would not come to an end
		}
		for _, n := range needs {
			stack = append(stack, &vertex{n, v})
		}
	}
}

// reaching is the modules from which a way leads to root.
func (c *cycles) reaching(root int) map[int]bool {
	users := map[int][]int{}
	for i, m := range c.list {
		for _, n := range m.needs {
			users[n] = append(users[n], i)
		}
	}
	reach := map[int]bool{root: true}
	todo := []int{root}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, u := range users[n] {
			if !reach[u] {
				reach[u] = true
				todo = append(todo, u)
			}
		}
	}
	return reach
}

// note keeps the circle that ends at the vertex, and takes what is in it off the
// roots.
func (c *cycles) note(end *vertex) {
	var way []int
	for v := end.above; v != nil; v = v.above {
		way = append(way, v.module)
	}
	var names []string
	for _, m := range slices.Backward(way) {
		names = append(names, c.list[m].name)
		c.drop(m)
	}
	c.Cycles = append(c.Cycles, append(names, c.list[end.module].name))
}

// drop takes a module off the roots. What comes after it is next: kmod's list is a
// ring, whose beginning is where something was taken out last.
func (c *cycles) drop(module int) {
	if i := slices.Index(c.roots, module); i >= 0 {
		c.roots = slices.Concat(c.roots[i+1:], c.roots[:i])
	}
}
