package depmod

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// File is one file of an Index.
type File struct {
	Name string // modules.dep
	// WriteTo writes the content of the file. It may be called several times.
	WriteTo func(w io.Writer) error
}

func newFile(name string, content []byte) File {
	return File{Name: name, WriteTo: func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}}
}

// output computes one file. What there is to say is kept until the files before
// it have had their say.
type output struct {
	*computed
	messages []Message
}

func (o *output) tell(level Level, format string, args ...any) {
	o.messages = append(o.messages, Message{level, fmt.Sprintf(format, args...)})
}

// computed is what the files are made of.
type computed struct {
	opt     *Options
	list    []*module
	deps    [][]int // of each module, see closures
	symbols []namedExport

	builtin, builtinModinfo         []byte
	haveBuiltin, haveBuiltinModinfo bool
}

type namedExport struct {
	name  string
	owner *module
}

// kind is one kind of file.
type kind struct {
	name   string
	binary bool
	since  KmodVersion
	make   func(*output) ([]byte, error)
}

func kinds() []kind {
	return []kind{
		{"modules.dep", false, 0, (*output).dep},
		{"modules.dep.bin", true, 0, (*output).depBin},
		{"modules.alias", false, 0, (*output).alias},
		{"modules.alias.bin", true, 0, (*output).aliasBin},
		{"modules.softdep", false, 0, (*output).softdep},
		{"modules.weakdep", false, 33, (*output).weakdep},
		{"modules.symbols", false, 0, (*output).symbolAliases},
		{"modules.symbols.bin", true, 0, (*output).symbolAliasesBin},
		{"modules.builtin.bin", true, 0, (*output).builtinBin},
		{"modules.builtin.alias.bin", true, 0, (*output).builtinAliasBin},
		{"modules.devname", false, 0, (*output).devname},
	}
}

// files computes all files at once, and then tells what came up.
func (s *scan) files(ctx context.Context, c *computed) ([]File, error) {
	var want []kind
	for _, k := range kinds() {
		if !(k.binary && s.opt.TextOnly) && !s.opt.Kmod.before(k.since) {
			want = append(want, k)
		}
	}
	files := make([]File, len(want))
	outputs := make([]output, len(want))
	errs := make([]error, len(want))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, k := range want {
		g.Go(func() error {
			outputs[i].computed = c
			var content []byte
			content, errs[i] = k.make(&outputs[i])
			files[i] = newFile(k.name, content)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i := range want {
		for _, m := range outputs[i].messages {
			s.tell(m.Level, "%s", m.Text)
		}
		if errs[i] != nil {
			return nil, fmt.Errorf("%s: %w", want[i].name, errs[i])
		}
	}
	return files, nil
}

func (o *output) trie(e *entries) ([]byte, error) {
	data, err := e.trie(o.opt.Kmod.before(34))
	if c, ok := err.(*CharacterError); ok { //nolint:errorlint // trie returns it as it is
		o.tell(Fatal, "Module index: bad character '%c'=%#x - only 7-bit ASCII is supported:\n%s", rune(c.Char), c.Char, c.Text)
	}
	return data, err
}

func (o *output) entries() *entries {
	if !o.opt.Duplicates {
		return &entries{}
	}
	return &entries{seen: map[[2]string]bool{}}
}

func (o *output) dependencies(b *strings.Builder, i int) {
	b.WriteString(o.list[i].shown())
	b.WriteByte(':')
	for _, n := range o.deps[i] {
		b.WriteByte(' ')
		b.WriteString(o.list[n].shown())
	}
}

func (o *output) dep() ([]byte, error) {
	var b strings.Builder
	for i := range o.list {
		o.dependencies(&b, i)
		b.WriteByte('\n')
	}
	return []byte(b.String()), nil
}

func (o *output) depBin() ([]byte, error) {
	e := o.entries()
	for i, m := range o.list {
		var b strings.Builder
		o.dependencies(&b, i)
		if e.add(m.name, b.String(), m.index) {
			o.tell(Warning, "duplicate module deps:\n%s", b.String())
		}
	}
	return o.trie(e)
}

func (o *output) alias() ([]byte, error) {
	b := []byte("# Aliases extracted from modules themselves.\n")
	for _, m := range o.list {
		for _, alias := range m.Aliases {
			b = line(b, "alias", alias, m.name)
		}
	}
	return b, nil
}

func line(b []byte, key, first, second string) []byte {
	b = append(append(b, key...), ' ')
	b = append(append(b, first...), ' ')
	return append(append(b, second...), '\n')
}

func (o *output) aliasBin() ([]byte, error) {
	e := o.entries()
	for _, m := range o.list {
		for _, text := range m.Aliases {
			alias, ok := normalizeAlias(text)
			if !ok {
				o.tell(Warning, "Unmatched bracket in %s", text)
				continue
			}
			if e.add(alias, m.name, m.index) {
				o.tell(Warning, "duplicate module alias:\n%s %s", alias, m.name)
			}
		}
	}
	return o.trie(e)
}

func (o *output) softdep() ([]byte, error) {
	b := []byte("# Soft dependencies extracted from modules themselves.\n")
	for _, m := range o.list {
		for _, text := range m.Softdeps {
			b = line(b, "softdep", m.name, text)
		}
	}
	return b, nil
}

func (o *output) weakdep() ([]byte, error) {
	b := []byte("# Weak dependencies extracted from modules themselves.\n")
	for _, m := range o.list {
		for _, text := range m.Weakdeps {
			b = line(b, "weakdep", m.name, text)
		}
	}
	return b, nil
}

func (o *output) symbolAliases() ([]byte, error) {
	b := []byte("# Aliases for symbols, used by symbol_request().\n")
	for _, x := range o.symbols {
		b = append(append(b, "alias symbol:"...), x.name...)
		b = append(append(append(b, ' '), x.owner.name...), '\n')
	}
	return b, nil
}

func (o *output) symbolAliasesBin() ([]byte, error) {
	e := o.entries()
	for _, x := range o.symbols {
		if e.add("symbol:"+x.name, x.owner.name, x.owner.index) {
			o.tell(Warning, "duplicate module syms:\nsymbol:%s %s", x.name, x.owner.name)
		}
	}
	return o.trie(e)
}

// builtinBin is empty where the kernel has no list of what is built in.
func (o *output) builtinBin() ([]byte, error) {
	if !o.haveBuiltin {
		return nil, nil
	}
	return o.trie(o.builtinNames(o.builtin))
}

func (o *output) builtinAliasBin() ([]byte, error) {
	if !o.haveBuiltinModinfo {
		return nil, nil
	}
	return o.trie(o.builtinAliases(o.builtinModinfo))
}

// devname lists the device nodes whose opening loads a module: those that have
// both a name and a number among the aliases.
func (o *output) devname() ([]byte, error) {
	var b []byte
	for _, m := range o.list {
		name, number, named := device(m.Aliases)
		if !named {
			continue
		}
		if number == "" {
			o.tell(Error, "Module '%s' has devname (%s) but lacks major and minor information. Ignoring.", m.name, name)
			continue
		}
		if b == nil {
			b = []byte("# Device nodes to trigger on-demand module loading.\n")
		}
		b = line(b, m.name, name, number)
	}
	return b, nil
}

// device is the name of a module's device node and its kind and numbers ("c10:200").
// The last ones count, up to where both are there.
func device(aliases []string) (name, number string, named bool) {
	for _, alias := range aliases {
		if rest, ok := strings.CutPrefix(alias, "devname:"); ok {
			name, named = rest, true
		} else if n, ok := deviceNumber(alias, "char-major-"); ok {
			number = "c" + n
		} else if n, ok := deviceNumber(alias, "block-major-"); ok {
			number = "b" + n
		}
		if named && number != "" {
			break
		}
	}
	return name, number, named
}

// deviceNumber reads "10-200" after a prefix.
func deviceNumber(alias, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(alias, prefix)
	if !ok {
		return "", false
	}
	major, rest, ok := scanUnsigned(rest)
	if !ok {
		return "", false
	}
	rest, ok = strings.CutPrefix(rest, "-")
	if !ok {
		return "", false
	}
	minor, _, ok := scanUnsigned(rest)
	return fmt.Sprintf("%d:%d", major, minor), ok
}

// scanUnsigned reads what scanf(3) reads for %u.
func scanUnsigned(text string) (n uint32, rest string, ok bool) {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	if digits == "" {
		return 0, "", false
	}
	wide, err := strconv.ParseUint(digits, 10, 64)
	if err == nil && negative {
		wide = -wide
	}
	return uint32(wide), text[len(digits):], true
}
