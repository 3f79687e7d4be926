package conf

import (
	"slices"
	"strings"
)

// recordLimit bounds the records of one module. An index above it is a mistake in the file; upstream would work through
// every hole below it.
const recordLimit = 10000

// Module is what a dkms.conf says after all its override files and --directives. It may say nonsense: see Check.
type Module struct {
	Path  string   // of the dkms.conf
	Files []string // every file that was read, Path first

	Name, Version string // PACKAGE_NAME, PACKAGE_VERSION

	Records []Record
	Make    []MakeRule
	Patches []PatchRule

	// Scripts with their arguments, relative to the source directory.
	PreBuild, PostBuild, PreInstall, PostInstall, PostAdd, PostRemove string

	Autoinstall         bool
	NoWeakModules       bool
	BuildDependsRebuild bool
	BuildDepends        []string // every element as written; upstream splits them at blanks in autoinstall only
	ObsoleteBy          string

	Deprecated []Deprecation

	values  variables
	sources []source
	loader  *Loader
	tooMany bool // an index above recordLimit was left out
}

// Record describes one kernel object of a module.
type Record struct {
	BuiltName     string // without .ko
	BuiltLocation string // below the build directory; "" or with a slash at its end
	DestName      string // without .ko
	DestLocation  string // below the kernel's module directory, as written: distributions override it
	Strip         bool
}

// MakeRule is MAKE[Index] and MAKE_MATCH[Index]. Which of them counts is MakeCommand's business.
type MakeRule struct {
	Index          int
	Command, Match string
}

// PatchRule is PATCH[Index] and PATCH_MATCH[Index]. Which of them count is PatchesFor's business.
type PatchRule struct {
	Index       int
	File, Match string
}

// Deprecation is a directive that is set and has no meaning any more, or should be replaced. Upstream reports the ones
// that are set after each file that was read.
type Deprecation struct {
	Name string
	File string
	Line int    // of the assignment, or 1
	Hint string // what to write instead, in upstream's words; often empty
}

func (l *Loader) newModule(src Source, files []source, states []variables) *Module {
	v := states[len(states)-1].clone()
	l.applyDirectives(v)
	m := &Module{
		Path:                src.Path,
		Name:                v.first("PACKAGE_NAME"),
		Version:             v.first("PACKAGE_VERSION"),
		PreBuild:            v.first("PRE_BUILD"),
		PostBuild:           v.first("POST_BUILD"),
		PreInstall:          v.first("PRE_INSTALL"),
		PostInstall:         v.first("POST_INSTALL"),
		PostAdd:             v.first("POST_ADD"),
		PostRemove:          v.first("POST_REMOVE"),
		Autoinstall:         switchedOn(v.first("AUTOINSTALL")),
		NoWeakModules:       switchedOn(v.first("NO_WEAK_MODULES")),
		BuildDependsRebuild: switchedOn(v.first("BUILD_DEPENDS_REBUILD")),
		ObsoleteBy:          v.first("OBSOLETE_BY"),
		values:              v,
		sources:             files,
		loader:              l,
	}
	for _, f := range files {
		m.Files = append(m.Files, f.path)
	}
	m.Records, m.tooMany = newRecords(v)
	m.Make = makeRules(v)
	m.Patches = patchRules(v)
	for _, i := range v.indexes("BUILD_DEPENDS") {
		if d := v.at("BUILD_DEPENDS", i); d != "" {
			m.BuildDepends = append(m.BuildDepends, d)
		}
	}
	for i, f := range files {
		m.Deprecated = append(m.Deprecated, deprecations(states[i], f)...)
	}
	return m
}

// switchedOn reads AUTOINSTALL and its like: empty and "no" are off. Check complains about all else but "yes".
func switchedOn(value string) bool { return value != "" && !strings.EqualFold(value, "no") }

// newRecords makes the records from 0 to the highest index of the four arrays that describe them.
func newRecords(v variables) (records []Record, tooMany bool) {
	count := 0
	for _, name := range []string{"BUILT_MODULE_NAME", "BUILT_MODULE_LOCATION", "DEST_MODULE_NAME", "DEST_MODULE_LOCATION"} {
		for i := range v[name] {
			if i >= recordLimit {
				tooMany = true
				continue
			}
			count = max(count, i+1)
		}
	}
	strip := make([]string, count)
	for i := range count {
		r := Record{
			BuiltName:     v.at("BUILT_MODULE_NAME", i),
			BuiltLocation: v.at("BUILT_MODULE_LOCATION", i),
			DestName:      v.at("DEST_MODULE_NAME", i),
			DestLocation:  v.at("DEST_MODULE_LOCATION", i),
		}
		if r.BuiltName == "" && count == 1 {
			r.BuiltName = v.first("PACKAGE_NAME")
		}
		if r.DestName == "" {
			r.DestName = r.BuiltName
		}
		if r.BuiltLocation != "" && !strings.HasSuffix(r.BuiltLocation, "/") {
			r.BuiltLocation += "/"
		}
		strip[i] = stripSetting(v, i, strip)
		r.Strip = strip[i] != "no"
		records = append(records, r)
	}
	return records, tooMany
}

// stripSetting is what upstream has in strip[i]: STRIP[i] by its first letter; when it is empty what the first record has,
// or yes; any other text changes nothing.
func stripSetting(v variables, i int, before []string) string {
	switch s := v.at("STRIP", i); {
	case s == "":
		first := v.at("strip", 0)
		if i > 0 {
			first = before[0]
		}
		if first == "" {
			return "yes"
		}
		return first
	case s[0] == 'n' || s[0] == 'N':
		return "no"
	case s[0] == 'y' || s[0] == 'Y':
		return "yes"
	}
	return v.at("strip", i)
}

// makeRules lists the elements of MAKE that upstream looks at: those with an index below the number of elements. So a
// sparse array loses its tail.
func makeRules(v variables) []MakeRule {
	var rules []MakeRule
	for _, i := range v.indexes("MAKE") {
		if i < len(v["MAKE"]) {
			rules = append(rules, MakeRule{Index: i, Command: v.at("MAKE", i), Match: v.at("MAKE_MATCH", i)})
		}
	}
	return rules
}

// patchRules lists the elements of PATCH that upstream looks at, see makeRules.
func patchRules(v variables) []PatchRule {
	var rules []PatchRule
	for _, i := range v.indexes("PATCH") {
		if i < len(v["PATCH"]) {
			rules = append(rules, PatchRule{Index: i, File: v.at("PATCH", i), Match: v.at("PATCH_MATCH", i)})
		}
	}
	return rules
}

// deprecations lists the deprecated directives that are set after a file has been read, by whichever file. A CLEAN that
// does nothing is all right.
func deprecations(v variables, f source) []Deprecation {
	var found []Deprecation
	for _, name := range deprecatedNames() {
		if len(v[name]) == 0 {
			continue
		}
		if name == "CLEAN" && slices.Contains([]string{"true", "/bin/true", "/usr/bin/true"}, v.first(name)) {
			continue
		}
		d := Deprecation{Name: name, File: f.path, Line: 1}
		if n := assignmentLine(f.data, name, v.indexes(name)[0]); n > 0 {
			d.Line = n
		}
		if name == "OBSOLETE_BY" {
			d.Hint = "use BUILD_EXCLUSIVE_KERNEL_MAX instead"
		}
		found = append(found, d)
	}
	return found
}
