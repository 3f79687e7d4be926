package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"dkms-go/conf"
	"dkms-go/dkms"
	"dkms-go/dkms/kernel"
	"dkms-go/dkms/proc"
)

// inputs finds out what a build of i would be made from now. It reads all of it.
func (b *Builder) inputs(ctx context.Context, i dkms.Instance, c *conf.Module, k *kernel.Kernel) (dkms.Inputs, error) {
	in := dkms.Inputs{Stamp: b.stamp(i, k), Directives: c.Digest()}
	var err error
	if in.Source, err = b.contents(ctx, b.Tree.SourceLink(i.Module)); err != nil {
		return in, err
	}
	if in.Overrides, err = b.contents(ctx, overrides(i.Module)); err != nil {
		return in, err
	}
	if in.Symvers, err = b.kernelFile(ctx, path.Join(k.Headers, "Module.symvers")); err != nil {
		return in, err
	}
	if in.Config, err = b.kernelFile(ctx, k.Config); err != nil {
		return in, err
	}
	if program := b.compiler(k); program != "" { // what it says of its version is in it, too
		in.Compiler, err = b.kernelFile(ctx, program)
	}
	return in, errors.Join(err, ctx.Err())
}

// Stale returns what has changed since i was built, in the words that users see; nil when nothing has, or when it is not
// known what i was built from. Unless something looks touched it reads no file and starts no program.
func (b *Builder) Stale(ctx context.Context, i dkms.Instance) ([]string, error) {
	then, ok := b.Tree.Inputs(i)
	if !ok || b.Tree.BinariesOnly(i.Module) {
		return nil, nil
	}
	names, _, err := b.changed(ctx, i, then)
	return names, err
}

// changed compares what i would be made from now with what was noted.
func (b *Builder) changed(ctx context.Context, i dkms.Instance, then dkms.Inputs) ([]string, dkms.Inputs, error) {
	k, err := b.kernel(Target{i.Kernel, i.Arch})
	if err != nil {
		return nil, then, err
	}
	if k.CheckHeaders() != nil || b.stamp(i, k) == then.Stamp {
		return nil, then, nil //nolint:nilerr // without headers nothing could be built anew
	}
	c, err := b.load(ctx, i, b.Tree.ConfFile(i.Module), k)
	if err != nil {
		return nil, then, err
	}
	now, err := b.inputs(ctx, i, c, k)
	if err != nil {
		return nil, then, err
	}
	return then.Changed(now), now, nil
}

// contents digests a file, or a directory with everything below it: names, kinds, whether files can be executed, what links
// say, what files contain. What is not there has no digest.
func (b *Builder) contents(ctx context.Context, abs string) (string, error) {
	sum := sha256.New()
	err := b.walk(abs, func(name, host string, fi fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00%s\x00%v\x00", name, fi.Mode().Type(), fi.Mode()&0o111 != 0)
		switch {
		case fi.Mode().IsRegular():
			fmt.Fprintf(sum, "%d\x00", fi.Size())
			return digestFile(sum, host)
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(host)
			fmt.Fprintf(sum, "%s\x00", target)
			return err
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read %s: %w", abs, err)
	}
	return text(sum), nil
}

// kernelFile is contents for what all modules of a kernel have in common: it is read once.
func (b *Builder) kernelFile(ctx context.Context, abs string) (string, error) {
	key := abs + "\x00" + b.looks(abs)
	if s, ok := b.read.Load(key); ok {
		return s.(string), nil
	}
	s, err := b.contents(ctx, abs)
	if err == nil {
		b.read.Store(key, s)
	}
	return s, err
}

func digestFile(sum hash.Hash, host string) error {
	f, err := os.Open(host)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(sum, f)
	return err
}

func text(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// walk visits a file or a directory with everything below it. Links on the way to it are followed inside the root; below it
// nothing is, so that host paths are safe. What is not there is not visited.
func (b *Builder) walk(abs string, visit func(name, host string, fi fs.FileInfo) error) error {
	top, err := b.Root.Follow(abs)
	if err != nil {
		return nil //nolint:nilerr // not there
	}
	host := b.Root.Path(top)
	return filepath.WalkDir(host, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		return visit(strings.TrimPrefix(p, host), p, fi)
	})
}

// stamp digests the looks of everything that a build of i is made from: names, sizes, times and inode numbers. The time of
// the last change of the inode is among them, which nobody can set back.
func (b *Builder) stamp(i dkms.Instance, k *kernel.Kernel) string {
	sum := sha256.New()
	for _, s := range []string{
		b.looks(b.Tree.SourceLink(i.Module)), b.looks(overrides(i.Module)), b.overrideFiles(i.Module),
		b.looks(path.Join(k.Headers, "Module.symvers")), b.looks(k.Config), b.looks(b.compiler(k)),
		b.looks("/etc/dkms/framework.conf"), b.looks("/etc/dkms/framework.conf.d"), strings.Join(b.Conf.Directives, "\x00"),
	} {
		fmt.Fprintf(sum, "%d\x00%s", len(s), s)
	}
	return text(sum)
}

// looks digests the looks of a file or directory. Many instances have the same inputs, so each is looked at once.
func (b *Builder) looks(abs string) string {
	if s, ok := b.looked.Load(abs); ok {
		return s.(string)
	}
	sum := sha256.New()
	err := b.walk(abs, func(name, _ string, fi fs.FileInfo) error {
		fmt.Fprintf(sum, "%s\x00%v\x00", name, fi.Mode())
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && !fi.IsDir() {
			fmt.Fprintf(sum, "%d %d %d %d %d\x00", st.Size, st.Ino, st.Dev, st.Mtim.Nano(), st.Ctim.Nano())
		}
		return nil
	})
	s := text(sum)
	if err != nil {
		s = err.Error()
	}
	b.looked.Store(abs, s)
	return s
}

// overrideFiles digests the looks of the administrator's .conf files that may concern a module.
func (b *Builder) overrideFiles(m dkms.Module) string {
	key := m.Name + "*" // no path, for that begins with "/"
	if s, ok := b.looked.Load(key); ok {
		return s.(string)
	}
	files, err := b.Root.Glob("/etc/dkms/" + m.Name + "*.conf")
	if err != nil {
		return err.Error()
	}
	var s strings.Builder
	for _, f := range files {
		s.WriteString(f + b.looks(f))
	}
	b.looked.Store(key, s.String())
	return s.String()
}

// compiler returns the program that modules for a kernel are compiled with, as far as its configuration tells: the one that
// the kernel was compiled with if that is here, else the usual one.
func (b *Builder) compiler(k *kernel.Kernel) string {
	words, _ := k.ConfigValue("CONFIG_CC_VERSION_TEXT")
	name, _, _ := strings.Cut(strings.Trim(words, `"`), " ")
	for _, program := range []string{name, "gcc", "cc"} {
		if abs := b.program(program); abs != "" {
			return abs
		}
	}
	return ""
}

// program returns where a program is, "" if nowhere. It looks once for each.
func (b *Builder) program(name string) string {
	if name == "" {
		return ""
	}
	if abs, ok := b.found.Load(name); ok {
		return abs.(string)
	}
	abs, err := proc.LookPath(b.Root.Dir(), b.Env, name)
	if err != nil {
		abs = ""
	}
	b.found.Store(name, abs)
	return abs
}
