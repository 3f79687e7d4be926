package kbuild

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"
	"time"
)

// Tree is a build directory in which make has run and left all products.
type Tree struct {
	job   Job
	dir   string   // where the directory lies; commands see it at job.BuildDir
	point *os.File // the directory that it is laid over, locked; nil unless the build is private
	env   []string // of scripts, make and the tools run on products
	log   *makeLog
	spent time.Duration // by commands
}

func newTree(j Job) *Tree {
	t := &Tree{job: j, dir: j.BuildDir}
	if j.Private {
		t.dir = PrivateDir(j.BuildDir, j.Kernel.Release, j.Kernel.Arch)
	}
	t.log = &makeLog{root: j.Root, abs: path.Join(t.dir, "make.log")}
	return t
}

// Product is the module file built for one record of dkms.conf.
type Product struct {
	Record int    // index into the records of the conf.Module
	Path   string // as commands of the build see it, and upstream's messages spell it; see Tree.Outside
}

// Log is the path of make.log, where it lies now; of a private build that has
// failed, the one that nobody else replaces.
func (t *Tree) Log() string { return t.log.abs }

// logPath is where make.log is to be found after a failure.
func (t *Tree) logPath() string { return path.Join(t.job.BuildDir, path.Base(t.log.abs)) }

// Outside returns where a file lies that commands of the build see at abs, for
// everybody else. Only paths in a private build directory differ.
func (t *Tree) Outside(abs string) string {
	rest, ok := strings.CutPrefix(abs, t.job.BuildDir+"/")
	if !ok {
		return abs
	}
	return t.dir + "/" + rest
}

// Products lists the module files in the order of their records.
func (t *Tree) Products() []Product {
	products := make([]Product, 0, len(t.job.Records))
	for _, record := range t.job.Records {
		products = append(products, Product{Record: record, Path: t.job.BuildDir + "/" + t.builtFile(record)})
	}
	return products
}

// Symvers is the path of the Module.symvers that make left at the top of the
// build directory, where it lies now; "" when there is none.
func (t *Tree) Symvers() string {
	abs := path.Join(t.dir, "Module.symvers")
	if info, err := t.job.Root.Stat(abs); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return abs
}

// PostBuild runs the module's POST_BUILD script; its output goes to make.log.
// The error is a *ScriptError when the script fails. Errors leave the build
// directory as those of Build do.
func (t *Tree) PostBuild(ctx context.Context) error {
	if err := t.script(ctx, "post_build", t.job.Conf.PostBuild); err != nil {
		return t.failed(ctx, err)
	}
	return nil
}

// builtFile is the product of a record, relative to the build directory.
func (t *Tree) builtFile(record int) string {
	r := t.job.Conf.Records[record]
	return r.BuiltLocation + r.BuiltName + ".ko"
}

func (t *Tree) checkProducts() error {
	for _, record := range t.job.Records {
		if record < 0 || record >= len(t.job.Conf.Records) {
			return fmt.Errorf("module %s/%s has no record %d", t.job.Name, t.job.Version, record)
		}
		file := t.builtFile(record)
		if _, err := t.job.Root.Stat(path.Join(t.dir, file)); err != nil {
			return &MissingProductError{Name: file, Log: t.logPath()}
		}
	}
	return nil
}
