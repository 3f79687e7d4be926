package kbuild

import (
	"context"
	"fmt"
	"path"
)

// Tree is a build directory in which make has run and left all products.
type Tree struct {
	job Job
	env []string // of scripts, make and the tools run on products
	log *makeLog
}

// Product is the module file built for one record of dkms.conf.
type Product struct {
	Record int    // index into the records of the conf.Module
	Path   string // inside the root, spelled as upstream's messages do
}

// Log is the path of make.log.
func (t *Tree) Log() string { return t.log.abs }

// Products lists the module files in the order of their records.
func (t *Tree) Products() []Product {
	products := make([]Product, 0, len(t.job.Records))
	for _, record := range t.job.Records {
		products = append(products, Product{Record: record, Path: t.job.BuildDir + "/" + t.builtFile(record)})
	}
	return products
}

// Symvers is the path of the Module.symvers that make left at the top of the
// build directory; "" when there is none.
func (t *Tree) Symvers() string {
	abs := path.Join(t.job.BuildDir, "Module.symvers")
	if info, err := t.job.Root.Stat(abs); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return abs
}

// PostBuild runs the module's POST_BUILD script; its output goes to make.log.
// The error is a *ScriptError when the script fails.
func (t *Tree) PostBuild(ctx context.Context) error {
	if err := t.script(ctx, "post_build", t.job.Conf.PostBuild); err != nil {
		return t.cancelled(ctx, err)
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
		if _, err := t.job.Root.Stat(path.Join(t.job.BuildDir, file)); err != nil {
			return &MissingProductError{Name: file, Log: t.log.abs}
		}
	}
	return nil
}
