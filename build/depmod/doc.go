// Package depmod brings the module indexes of a kernel (modules.dep,
// modules.alias and their kin) up to date.
//
// It stands beside kbuild and sign, below build, which asks for it once per
// kernel after modules have been placed or removed. The indexes are written by
// the machine's own depmod program, run on the host through a Runner.
package depmod
