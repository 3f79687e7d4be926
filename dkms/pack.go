package dkms

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// ArchiveName returns the name that mktarball gives to an archive of m with the build results for ts, or with none.
// Names that would become long do not list the kernels.
func ArchiveName(m Module, ts []Target, sourceOnly bool) string {
	const tooLong = 200
	var kernels []string
	for _, t := range ts {
		kernels = append(kernels, "kernel"+t.Kernel+"-"+t.Arch)
	}
	list := strings.Join(kernels, "-")
	switch {
	case sourceOnly:
		list = "source-only"
	case len(list) >= tooLong:
		list = "manykernels"
	}
	return m.Name + "-" + m.Version + "-" + list + ".dkms.tar.gz"
}

// Contents says what goes into an archive.
type Contents struct {
	Module Module
	Builds []Target
	Source bool   // the sources; otherwise only the file Conf, and the name of the module
	Conf   string // inside the root
}

// Pack writes an archive as a tar stream. The same files always give the same bytes: members are sorted and belong to root,
// and directories that only the archive has are as old as its newest file. Nothing is written that Load would not take; a
// link that leads out of the sources to a file is replaced by that file.
func (t *Tree) Pack(ctx context.Context, w io.Writer, c Contents) error {
	p := &packing{Tree: t}
	if err := p.collect(c); err != nil {
		return err
	}
	slices.SortFunc(p.list, func(a, b packed) int { return strings.Compare(a.header.Name, b.header.Name) })
	if err := p.check(c); err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	for _, m := range p.list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.write(tw, m); err != nil {
			return fmt.Errorf("pack %s: %w", strings.TrimPrefix(m.header.Name, "./"), err)
		}
	}
	return tw.Close()
}

// packing is the state of one Pack.
type packing struct {
	*Tree
	list []packed
}

// packed is a member to be written, from a file of the root or from memory.
type packed struct {
	header tar.Header
	file   string
	data   []byte
}

// collect lists the members, in any order.
func (p *packing) collect(c Contents) error {
	for _, target := range c.Builds {
		base := p.BaseDir(Instance{c.Module, target.Kernel, target.Arch})
		if err := p.walk(base, base, target.dir()); err != nil {
			return err
		}
		note := "./" + target.dir() + "/" + inputsFile // it is about files of this machine
		p.list = slices.DeleteFunc(p.list, func(m packed) bool { return m.header.Name == note })
		p.dir(path.Dir(target.dir()), 0o755)
	}
	p.dir(mainTree, 0o755)
	p.dir(".", 0o700)
	if c.Source {
		top, err := p.root.Follow(p.SourceLink(c.Module))
		if err != nil {
			return err
		}
		if err := p.walk(top, top, sourceTree); err != nil {
			return err
		}
	} else if err := p.stub(c); err != nil {
		return err
	}
	newest := time.Unix(0, 0)
	for _, m := range p.list {
		if m.header.ModTime.After(newest) {
			newest = m.header.ModTime
		}
	}
	for n := range p.list {
		if p.list[n].header.ModTime.IsZero() {
			p.list[n].header.ModTime = newest
		}
	}
	return nil
}

// dir adds a directory that only the archive has, unless it is there.
func (p *packing) dir(name string, mode int64) {
	full := "./"
	if name != "." {
		full += name + "/"
	}
	if !slices.ContainsFunc(p.list, func(m packed) bool { return m.header.Name == full }) {
		p.list = append(p.list, packed{header: tar.Header{Typeflag: tar.TypeDir, Name: full, Mode: mode}})
	}
}

// stub adds what stands for the sources of a module without any.
func (p *packing) stub(c Contents) error {
	p.dir(binariesOnly, 0o755)
	conf, err := p.root.ReadFile(c.Conf)
	if err != nil {
		return err
	}
	fi, err := p.root.Stat(c.Conf)
	if err != nil {
		return err
	}
	p.text("PACKAGE_NAME", []byte(c.Module.Name+"\n"), time.Time{})
	p.text("PACKAGE_VERSION", []byte(c.Module.Version+"\n"), time.Time{})
	p.text(confName, conf, fi.ModTime().Truncate(time.Second))
	return nil
}

func (p *packing) text(name string, data []byte, mtime time.Time) {
	p.list = append(p.list, packed{data: data, header: tar.Header{
		Typeflag: tar.TypeReg, Name: "./" + path.Join(binariesOnly, name), Mode: 0o644, Size: int64(len(data)), ModTime: mtime,
	}})
}

// walk adds a file or directory of the tree top, with what is in it, as the member name.
func (p *packing) walk(top, abs, name string) error {
	fi, err := p.root.Lstat(abs)
	if err != nil {
		return err
	}
	m := packed{file: abs, header: tar.Header{Name: "./" + name, ModTime: fi.ModTime().Truncate(time.Second)}}
	mode := fi.Mode()
	if mode&fs.ModeSymlink != 0 {
		if target := p.outside(top, abs); target != nil {
			fi, mode = target, target.Mode()
		}
	}
	switch {
	case mode.IsDir():
		m.header.Typeflag, m.header.Name = tar.TypeDir, m.header.Name+"/"
	case mode.IsRegular():
		m.header.Typeflag, m.header.Size = tar.TypeReg, fi.Size()
	case mode&fs.ModeSymlink != 0:
		m.header.Typeflag = tar.TypeSymlink
		if m.header.Linkname, err = p.root.Readlink(abs); err != nil {
			return err
		}
	default:
		return &MemberError{Name: name, Why: "it is no file, directory or link"}
	}
	m.header.Mode = int64(mode.Perm())
	p.list = append(p.list, m)
	if !mode.IsDir() {
		return nil
	}
	ents, err := p.root.ReadDir(abs)
	if err != nil {
		return err
	}
	for _, e := range ents {
		if err := p.walk(top, path.Join(abs, e.Name()), path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// outside returns what the link at abs leads to if that is a regular file outside of top.
func (p *packing) outside(top, abs string) fs.FileInfo {
	target, err := p.root.Readlink(abs)
	if err != nil {
		return nil
	}
	resolved, err := p.root.Follow(abs)
	if err != nil || within(resolved, top) && !path.IsAbs(target) {
		return nil
	}
	if fi, err := p.root.Stat(abs); err == nil && fi.Mode().IsRegular() {
		return fi
	}
	return nil
}

// check sees to it that what is written can be loaded.
func (p *packing) check(c Contents) error {
	var all contents
	for n := range p.list {
		if err := all.add(&p.list[n].header); err != nil {
			return err
		}
	}
	a := &Archive{members: all.list}
	if err := a.recognise(&all); err != nil {
		var e *Error
		if errors.As(err, &e) && e.Kind == ArchiveInvalid {
			return &Error{Kind: ConfMissing, Instance: Instance{Module: c.Module}, Subject: p.ConfFile(c.Module)}
		}
		return err
	}
	return all.check(a.scope)
}

func (p *packing) write(tw *tar.Writer, m packed) error {
	m.header.Format = tar.FormatGNU // what GNU tar writes too: long names, and times in seconds
	m.header.Uname, m.header.Gname = "root", "root"
	if err := tw.WriteHeader(&m.header); err != nil {
		return err
	}
	if m.header.Typeflag != tar.TypeReg {
		return nil
	}
	if m.data != nil || m.header.Size == 0 {
		_, err := io.Copy(tw, bytes.NewReader(m.data))
		return err
	}
	f, err := p.root.Open(m.file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}
