package conf

import (
	"maps"
	"slices"
)

// elements are the elements of one shell variable by index. To bash every variable is an array, possibly with holes;
// a scalar is element 0.
type elements map[int]string

// variables are shell variables by name. A variable without elements is not set.
type variables map[string]elements

// first returns what $name expands to.
func (v variables) first(name string) string { return v[name][0] }

// at returns what ${name[i]} expands to.
func (v variables) at(name string, i int) string { return v[name][i] }

// indexes returns what ${!name[@]} expands to.
func (v variables) indexes(name string) []int {
	indexes := make([]int, 0, len(v[name]))
	for i := range v[name] {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	return indexes
}

func (v variables) set(name string, i int, value string) {
	if v[name] == nil {
		v[name] = elements{}
	}
	v[name][i] = value
}

func (v variables) clone() variables {
	c := make(variables, len(v))
	for name, e := range v {
		c[name] = maps.Clone(e)
	}
	return c
}
