package conf

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

// Problem is something wrong with a dkms.conf.
type Problem struct {
	File string // where to mend it
	Line int    // of the assignment; of the first line when a directive is missing
	// Lines are upstream's words. Upstream prints "dkms.conf: Error! ", or "dkms.conf: Warning! ", before the first.
	Lines   []string
	Warning bool
	Hint    string // what to write instead
}

// Check validates the file as upstream's read_conf does, and with strict as read_conf_strict does, which looks further
// only at a file that has passed so far. Problems come in the order in which upstream prints them. A file is valid if they
// are all warnings.
func (m *Module) Check(strict bool) []Problem {
	c := checker{m: m}
	c.names()
	for i := range m.Records {
		c.record(i)
	}
	c.lengths()
	for _, name := range []string{"AUTOINSTALL", "BUILD_DEPENDS_REBUILD", "NO_WEAK_MODULES"} {
		c.yesOrNo(name)
	}
	if strict && len(c.problems) == 0 {
		c.strict()
	}
	return c.problems
}

type checker struct {
	m        *Module
	problems []Problem
}

// add notes a problem with the assignment of an element, wherever it is.
func (c *checker) add(name string, index int, hint string, lines ...string) {
	file, line := c.m.where(name, index)
	c.problems = append(c.problems, Problem{File: file, Line: line, Lines: lines, Hint: hint})
}

func (c *checker) names() {
	if c.m.Name == "" {
		c.add("PACKAGE_NAME", 0, `add a line such as PACKAGE_NAME="example"`, "No 'PACKAGE_NAME' directive specified.")
	}
	if c.m.Version == "" {
		c.add("PACKAGE_VERSION", 0, `add a line such as PACKAGE_VERSION="1.0"`, "No 'PACKAGE_VERSION' directive specified.")
	}
}

func (c *checker) record(i int) {
	r := c.m.Records[i]
	at := func(format string) string { return fmt.Sprintf(format, i) }
	if r.BuiltName == "" {
		c.add("BUILT_MODULE_NAME", i, at(`add BUILT_MODULE_NAME[%d]="name", or number the records without a gap, from 0`),
			at("No 'BUILT_MODULE_NAME' directive specified for record #%d."))
	}
	if isObjectName(r.BuiltName) {
		c.add("BUILT_MODULE_NAME", i, at("write BUILT_MODULE_NAME[%d]=")+quoteBare(r.BuiltName),
			at("'BUILT_MODULE_NAME' directive ends in '.o' or '.ko' in record #%d."))
	}
	name := "DEST_MODULE_NAME"
	if c.m.values.at(name, i) == "" {
		name = "BUILT_MODULE_NAME"
	}
	if isObjectName(r.DestName) {
		c.add(name, i, fmt.Sprintf("write %s[%d]=%s", name, i, quoteBare(r.DestName)),
			at("'DEST_MODULE_NAME' directive ends in '.o' or '.ko' in record #%d."))
	}
	c.paths(i)
	switch {
	case r.DestLocation == "":
		c.add("DEST_MODULE_LOCATION", i, at(`add DEST_MODULE_LOCATION[%d]="/updates/dkms"`),
			at("No 'DEST_MODULE_LOCATION' directive specified for record #%d."))
	case !hasAnyPrefix(r.DestLocation, "/kernel", "/updates", "/extra") || !hasAnyPrefix(path.Clean(r.DestLocation), "/kernel", "/updates", "/extra"):
		c.add("DEST_MODULE_LOCATION", i, at(`write DEST_MODULE_LOCATION[%d]="/updates/dkms"`),
			"Directive 'DEST_MODULE_LOCATION' does not begin with", at("'/kernel', '/updates', or '/extra' in record #%d."))
	}
}

// paths checks what becomes part of a path.
func (c *checker) paths(i int) {
	r := c.m.Records[i]
	name, index := "DEST_MODULE_NAME", i
	if c.m.values.at(name, i) == "" {
		name = "BUILT_MODULE_NAME"
		if c.m.values.at(name, i) == "" {
			name, index = "PACKAGE_NAME", 0
		}
	}
	if r.DestName != "" && !isFileName(r.DestName) {
		c.add(name, index, fmt.Sprintf(`add DEST_MODULE_NAME[%d]="name", of letters, digits, - and _`, i),
			fmt.Sprintf("'%s' directive is no name of a file in record #%d.", name, i))
		return
	}
	if !filepath.IsLocal("./" + r.BuiltLocation + r.BuiltName) {
		c.add("BUILT_MODULE_LOCATION", i, "name a directory of the source, without ..",
			fmt.Sprintf("'BUILT_MODULE_LOCATION' directive leads out of the source in record #%d.", i))
	}
}

// lengths checks upstream's own arrays, which a file may have set to more elements than there are records.
func (c *checker) lengths() {
	for _, name := range []string{"built_module_name", "built_module_location", "dest_module_name", "dest_module_location"} {
		for _, i := range c.m.values.indexes(name) {
			if i >= len(c.m.Records) {
				c.add(name, i, "remove "+name+": write its name in capital letters", "Module name/location array length mismatch.")
				break
			}
		}
	}
	if c.m.tooMany {
		c.add("BUILT_MODULE_NAME", recordLimit, fmt.Sprintf("number the records from 0; the highest index is %d", recordLimit-1),
			"Module name/location array length mismatch.")
	}
}

func (c *checker) yesOrNo(name string) {
	switch value := c.m.values.first(name); strings.ToLower(value) {
	case "", "yes", "no":
	default:
		c.add(name, 0, fmt.Sprintf("write %s=yes or %s=no", name, name), fmt.Sprintf("Unsupported %s value '%s'", name, value))
	}
}

func (c *checker) strict() {
	if len(c.m.Records) == 0 {
		file, line := c.m.where("BUILT_MODULE_NAME", 0)
		c.problems = append(c.problems, Problem{
			File: file, Line: line, Lines: []string{"Zero modules specified."}, Warning: true,
			Hint: "add BUILT_MODULE_NAME[0] and DEST_MODULE_LOCATION[0] for each kernel object that is built",
		})
	}
	c.duplicates("BUILT_MODULE_NAME", func(r Record) string { return r.BuiltLocation + r.BuiltName })
	c.duplicates("DEST_MODULE_NAME", func(r Record) string { return r.DestName })
}

// duplicates looks for each name in the list of the names before it, in the way upstream does.
func (c *checker) duplicates(directive string, name func(Record) string) {
	seen := " "
	for i, r := range c.m.Records {
		n := name(r)
		if strings.Contains(seen, " "+n+" ") {
			c.add(directive, i, fmt.Sprintf("give record %d another name, or remove it", i),
				fmt.Sprintf("Duplicate module '%s' in '%s[%d]'.", n, directive, i))
		}
		seen += n + " "
	}
}

func isObjectName(name string) bool {
	return strings.HasSuffix(name, ".o") || strings.HasSuffix(name, ".ko")
}

// isFileName reports whether name may become the name of a file, as dkms.CheckName does for modules: DEST_MODULE_NAME is
// one, wherever it comes from.
func isFileName(name string) bool {
	return name[0] != '.' && name[0] != '-' && !strings.ContainsFunc(name, func(c rune) bool {
		return unicode.IsControl(c) || unicode.IsSpace(c) || strings.ContainsRune(`/\*?[]`, c)
	})
}

func quoteBare(name string) string {
	return `"` + strings.TrimSuffix(strings.TrimSuffix(name, ".ko"), ".o") + `"`
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
