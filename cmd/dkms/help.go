package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// usage prints the help of the whole program.
func usage(w io.Writer) {
	fmt.Fprintf(w, "Usage: dkms VERB [MODULE/VERSION] [OPTION]...\n\nKeeps kernel modules built, signed and installed for every kernel.\n\nverbs:\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range table() {
		fmt.Fprintf(tw, "  %s\t%s\n", v.name, v.about)
	}
	fmt.Fprintf(tw, "  depmod\twrite a kernel's module indexes, as depmod(8) does\n")
	_ = tw.Flush()
	fmt.Fprintf(w, "\n\"dkms VERB --help\" lists the options of a verb; dkms(8) and dkms.conf(5) explain everything.\n")
}

// commonOptions mean something to every verb.
func commonOptions() []string {
	return []string{"dkmstree", "sourcetree", "installtree", "root", "verbose", "quiet", "debug"}
}

// verbUsage prints the help of a verb: the options that mean something to it.
func verbUsage(w io.Writer, name string) {
	n := slices.IndexFunc(table(), func(v verb) bool { return v.name == name })
	if n < 0 {
		usage(w)
		return
	}
	v := table()[n]
	if v.bare {
		fmt.Fprintf(w, "Usage: dkms %s\n\n%s%s.\n", v.usage, strings.ToUpper(v.about[:1]), v.about[1:])
		return
	}
	fmt.Fprintf(w, "Usage: dkms %s\n\n%s%s.\n\noptions:\n", v.usage, strings.ToUpper(v.about[:1]), v.about[1:])
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range options() {
		if slices.Contains(v.options, o.name) || slices.Contains(commonOptions(), o.name) {
			fmt.Fprintf(tw, "  %s\t%s\n", o.spelling(), o.what)
		}
	}
	_ = tw.Flush()
}

// spelling returns how an option is written, with what its value stands for.
func (o option) spelling() string {
	text := o.stem
	if text == "" {
		text = o.short
	} else if o.short != "" {
		text = o.short + ", " + o.stem
	}
	if o.value {
		text += " " + o.argument
	}
	if o.repeat {
		text += "..."
	}
	return text
}
