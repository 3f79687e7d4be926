// Package build turns a request into a plan and runs the plan.
//
// It stands between dkms and conf, which know what is and what is wanted, and hooks and cmd, which ask. The work itself is
// in the packages below it: kbuild (one make run), sign (keys and signatures) and depmod (the module indexes).
//
// # Vocabulary
//
//   - request: a goal for one module on some kernels, in a user's words: "installed, on these two kernels".
//   - plan: the steps that lead there from what is on disk now. A Plan is a value: printable, comparable, nothing done yet.
//   - step: one transition of one module or instance, or one update of a kernel's indexes.
//   - target: a kernel that a request is about.
//   - part: what a plan does for one module on one kernel; its failure stops only the parts that need it.
//   - outcome: what became of a step.
//
// Plan reads only. Run alone changes things. Steps that do not need each other are at work at the same time (order.go says
// which); what happens is reported as events in the order of the plan all the same (sequence.go).
package build
