package build

import "slices"

// wide reports whether steps of the plan may be at work at the same time: whether there is more than one thing to build or
// to install. Everything else is quick, and simpler to follow one after the other.
func (p *Plan) wide() bool {
	switch p.Request.Goal {
	case Build, Install, Autoinstall, Match, Sync:
	default:
		return false
	}
	parts := map[int]bool{}
	for _, s := range p.Steps {
		if (s.Action == Build || s.Action == Install) && s.Skip == Needed {
			parts[s.Part] = true
		}
	}
	return len(parts) > 1
}

// waits returns, for each step, the steps that must have ended before it begins, whatever became of them. All of them come
// before it in the plan, so that nothing ever waits in a circle; but for what is uninstalled to be rebuilt, which waits for the
// build after it, and that does not wait for it, see renewTold.
//
// In a wide plan parts wait for the parts that they need, steps that belong to no part separate what is before them from
// what is after them, and the indexes of a kernel wait for everything that concerns this kernel. Modules with files of the
// same name are installed in the order of the plan. Where builds are not private, those of a module version take turns.
func (p *Plan) waits(wide, private bool) [][]int {
	waits := make([][]int, len(p.Steps))
	fence := -1
	for n, s := range p.Steps {
		switch {
		case !wide:
			if n > 0 {
				waits[n] = []int{n - 1}
			}
		case s.Action == Prepare && fence < 0: // kernels have nothing to do with each other
		case s.Part < 0:
			for m := range n {
				waits[n] = append(waits[n], m)
			}
			fence = n
		default:
			waits[n] = slices.Clone(s.After)
			if fence >= 0 {
				waits[n] = append(waits[n], fence)
			}
			for m, before := range p.Steps[:n] {
				if p.precedes(before, s, private) {
					waits[n] = append(waits[n], m)
				}
			}
		}
	}
	return waits
}

// precedes reports whether s must wait for a step that comes before it in the plan and whose success it does not need.
func (p *Plan) precedes(before, s Step, private bool) bool {
	part := p.Parts[s.Part]
	switch {
	case slices.Contains(part.Needs, before.Part), slices.Contains(part.Follows, before.Part):
		return true
	case (s.Action == Install || s.Action == Uninstall) && slices.Contains(part.Behind, before.Part):
		return true
	case s.Action == Index && s.Skip == Needed:
		return before.Instance.Kernel == s.Instance.Kernel
	case s.Action == Build && !private: // a module is built in one place, whatever the kernel
		return before.Action == Build && before.Instance.Module == s.Instance.Module
	}
	return false
}
