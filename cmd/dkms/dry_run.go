package main

import (
	"strings"

	"dkms-go/build"
	"dkms-go/dkms"
)

// showPlan prints what would be done.
func (s *session) showPlan(p *build.Plan) error {
	if s.json {
		return s.printJSON(planJSON(p))
	}
	for n, step := range p.Steps {
		if step.Skip == build.Merged || step.Part >= 0 && p.Parts[step.Part].Excluded && step.Action != build.Index {
			continue
		}
		line := step.String()
		if part := step.Part; part >= 0 && step.Skip == build.Needed && p.Reason(n) != "" {
			line += ": " + p.Reason(n)
		}
		s.say("%s", line)
	}
	for _, part := range p.Parts {
		if len(part.Unmet) > 0 {
			s.say("leave out %s: it needs %s", part.Instance, strings.Join(part.Unmet, " ")+circular(part.Circle))
		}
	}
	for _, i := range excluded(p) {
		s.say("leave out %s: its BUILD_EXCLUSIVE directives do not match", i)
	}
	for _, f := range p.Hopeless {
		s.say("leave out %s: it has failed before, and nothing has changed since; see %s", f.Instance, or(f.Log, f.Message))
	}
	for _, w := range p.Waiting {
		s.say("%s", strings.Join(waiting(w), "\n"))
	}
	for _, m := range p.Broken {
		s.say("leave out %s: its source is missing", m)
	}
	for _, i := range p.Provided {
		s.say("satisfied: %s: the kernel has it in the same or a newer version", i)
	}
	for _, i := range p.Present {
		s.say("satisfied: %s: already installed", i)
	}
	return nil
}

// showSteps prints what a verb that is no request would do.
func (s *session) showSteps(steps []jsonStep) error {
	if s.json {
		return s.printJSON(jsonPlan{Goal: s.verb, Steps: append([]jsonStep{}, steps...)})
	}
	for _, step := range steps {
		words := []string{step.Action}
		if step.Module != "" {
			words = append(words, step.Module+"/"+step.Version)
		}
		if step.Kernel != "" {
			words = append(words, "for kernel "+step.Kernel)
		}
		if step.Arch != "" {
			words = append(words, "("+step.Arch+")")
		}
		s.say("%s", strings.Join(append(words, strings.Fields(step.What)...), " "))
	}
	return nil
}

// excluded lists what BUILD_EXCLUSIVE directives keep from being built.
func excluded(p *build.Plan) []dkms.Instance {
	var is []dkms.Instance
	for _, part := range p.Parts {
		if part.Excluded {
			is = append(is, part.Instance)
		}
	}
	return append(is, p.Excluded...)
}

// circular says that modules need each other.
func circular(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, " needs ") + ")"
}

// The JSON form of a plan. Indexes refer to steps.
type (
	jsonPlan struct {
		Goal    string        `json:"goal"`
		Steps   []jsonStep    `json:"steps"`
		LeftOut []jsonLeftOut `json:"left_out,omitempty"`
		Waiting []jsonWaiting `json:"waiting_for_headers,omitempty"`

		Satisfied []jsonLeftOut `json:"satisfied,omitempty"`
	}
	jsonStep struct {
		Action  string `json:"action"`
		Module  string `json:"module,omitempty"`
		Version string `json:"version,omitempty"`
		Kernel  string `json:"kernel,omitempty"`
		Arch    string `json:"arch,omitempty"`
		What    string `json:"what,omitempty"`   // of verbs that are no requests
		Skip    string `json:"skip,omitempty"`   // why there is nothing to do
		Reason  string `json:"reason,omitempty"` // why there is
		After   []int  `json:"after,omitempty"`
	}
	jsonLeftOut struct {
		Module  string   `json:"module"`
		Version string   `json:"version"`
		Kernel  string   `json:"kernel,omitempty"`
		Arch    string   `json:"arch,omitempty"`
		Reason  string   `json:"reason"` // "broken", "deferred", "unmet", "excluded" or "failed before"; "installed" or "in the kernel"
		Needs   []string `json:"needs,omitempty"`
		Circle  []string `json:"circle,omitempty"` // of modules that need each other, from this one to itself
		Log     string   `json:"log,omitempty"`
	}
	jsonWaiting struct {
		Kernel  string   `json:"kernel"`
		Arch    string   `json:"arch"`
		Modules []string `json:"modules"`
		Package string   `json:"package,omitempty"`
	}
)

func planJSON(p *build.Plan) jsonPlan {
	j := jsonPlan{Goal: p.Request.Goal.String(), Steps: []jsonStep{}}
	for n, s := range p.Steps {
		i := s.Instance
		j.Steps = append(j.Steps, jsonStep{
			Action: s.Action.String(), Module: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch,
			Skip: s.Skip.String(), Reason: p.Reason(n), After: s.After,
		})
		if s.Part >= 0 && p.Parts[s.Part].Excluded && s.Skip == build.Needed && s.Action != build.Index {
			j.Steps[n].Skip = "excluded by BUILD_EXCLUSIVE"
		}
	}
	leaveOut := func(i dkms.Instance, reason string, needs []string, log string) {
		j.LeftOut = append(j.LeftOut, jsonLeftOut{Module: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch, Reason: reason, Needs: needs, Log: log})
	}
	for _, part := range p.Parts {
		if len(part.Unmet) > 0 && part.Deferred {
			leaveOut(part.Instance, "deferred", part.Unmet, "")
		} else if len(part.Unmet) > 0 {
			leaveOut(part.Instance, "unmet", part.Unmet, "")
			j.LeftOut[len(j.LeftOut)-1].Circle = part.Circle
		}
	}
	for _, i := range excluded(p) {
		leaveOut(i, "excluded", nil, "")
	}
	for _, f := range p.Hopeless {
		leaveOut(f.Instance, "failed before", nil, f.Log)
	}
	for _, m := range p.Broken {
		leaveOut(dkms.Instance{Module: m}, "broken", nil, "")
	}
	for _, w := range p.Waiting {
		k := jsonWaiting{Kernel: w.Target.Kernel, Arch: w.Target.Arch, Package: w.Package}
		for _, m := range w.Modules {
			k.Modules = append(k.Modules, m.String())
		}
		j.Waiting = append(j.Waiting, k)
	}
	satisfied := func(is []dkms.Instance, reason string) {
		for _, i := range is {
			j.Satisfied = append(j.Satisfied, jsonLeftOut{Module: i.Name, Version: i.Version, Kernel: i.Kernel, Arch: i.Arch, Reason: reason})
		}
	}
	satisfied(p.Provided, "in the kernel")
	satisfied(p.Present, "installed")
	return j
}
