package kmod

import (
	"strings"
)

// Field is one string of the .modinfo section, cut at its first equals sign.
// A string without one is a key with an empty value.
type Field struct {
	Key, Value string
}

// parseModinfo cuts the section into its strings, in order. Runs of NUL, which
// linkers leave as padding, are skipped.
func parseModinfo(section []byte) []Field {
	text := string(section)
	fields := make([]Field, 0, strings.Count(text, "\x00")+1)
	for s := range strings.SplitSeq(text, "\x00") {
		if s == "" {
			continue
		}
		key, value, _ := strings.Cut(s, "=")
		fields = append(fields, Field{key, value})
	}
	return fields
}

// Modinfo is the content of .modinfo in file order, keys repeated as they are
// there. The caller must not change it.
func (o *Object) Modinfo() []Field { return o.modinfo }

// Get is the value of the first field with the key, "" when there is none.
func (o *Object) Get(key string) string {
	for _, f := range o.modinfo {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// All is the values of every field with the key, in file order.
func (o *Object) All(key string) []string {
	var values []string
	for _, f := range o.modinfo {
		if f.Key == key {
			values = append(values, f.Value)
		}
	}
	return values
}

// Aliases is the patterns of devices, file systems and the like for which the
// kernel asks for this module (MODULE_ALIAS, MODULE_DEVICE_TABLE).
func (o *Object) Aliases() []string { return o.All("alias") }

// Softdeps is the MODULE_SOFTDEP texts as written, such as "pre: a b post: c".
func (o *Object) Softdeps() []string { return o.All("softdep") }

// Weakdeps is the MODULE_WEAKDEP texts: modules this one may ask for by itself.
func (o *Object) Weakdeps() []string { return o.All("weakdep") }

// Depends is the names of the modules whose symbols this one needs, as modpost
// knew them when the module was built.
func (o *Object) Depends() []string {
	var names []string
	for _, list := range o.All("depends") {
		for name := range strings.SplitSeq(list, ",") {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// VermagicRelease is the kernel release the module was built for: the first word
// of vermagic.
func (o *Object) VermagicRelease() string {
	release, _, _ := strings.Cut(o.Get("vermagic"), " ")
	return release
}

// Param is one parameter that a module takes.
type Param struct {
	Name        string
	Type        string // "int", "charp", "array of uint", …; "" when only described
	Description string // MODULE_PARM_DESC; "" when there is none
	described   bool
}

// Params is the parameters in the order in which .modinfo first mentions them.
// A text without a colon, from which no name can be told, is left out.
func (o *Object) Params() []Param {
	var params []Param
	index := map[string]int{}
	for _, f := range o.modinfo {
		if f.Key != "parm" && f.Key != "parmtype" {
			continue
		}
		name, text, ok := strings.Cut(f.Value, ":")
		if !ok {
			continue
		}
		i, seen := index[name]
		if !seen {
			i = len(params)
			index[name] = i
			params = append(params, Param{Name: name})
		}
		if f.Key == "parm" {
			params[i].Description, params[i].described = text, true
		} else {
			params[i].Type = text
		}
	}
	return params
}
