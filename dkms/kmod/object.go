package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Object is what one module says about itself. It is complete once read: it
// holds neither the file nor more of its bytes than it shows, and may be used by
// several goroutines at once.
type Object struct {
	name      string
	modinfo   []Field
	buildID   []byte
	exports   []Symbol
	needs     []Symbol
	signature *Signature
	sigErr    error
}

// FormatError says that a file is no module, or a damaged one. Errors of the
// file system are not FormatErrors.
type FormatError struct {
	Part string // the compression, section or structure that is wrong
	Err  error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("not a kernel module: %s: %v", e.Part, e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

func malformed(part, format string, args ...any) error {
	return &FormatError{Part: part, Err: fmt.Errorf(format, args...)}
}

// guard turns a panic into an error. debug/elf and the decompressors are careful
// with hostile input, but they promise no more than that.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = malformed("content", "%v", p)
	}
}

// Open reads the module in a file, compressed or not. Of a plain module only the
// sections that matter are read, which leaves out nearly all of it. Symbolic
// links are followed; anything but a regular file is an error.
func Open(path string) (*Object, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o, err := openObject(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("module %q: %w", path, err)
	}
	return o, nil
}

func openObject(f *os.File, size int64) (*Object, error) {
	start := make([]byte, magicSize)
	n, err := f.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if Detect(start[:n]) == None {
		return load(source{r: f, size: size})
	}
	file, err := readAll(f, size)
	if err != nil {
		return nil, err
	}
	return Parse(file)
}

// Parse reads a module from a file's bytes, compressed or not. The error is a
// *[FormatError]; there is either an Object or an error. The Object keeps
// nothing of data.
func Parse(data []byte) (*Object, error) {
	module, err := Decompress(data)
	if err != nil {
		return nil, err
	}
	return load(source{r: bytes.NewReader(module), data: module, size: int64(len(module))})
}

// ReadFile is the whole content of a module file, decompressed, signature
// included: what is signed, stripped and compared.
func ReadFile(path string) ([]byte, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := readAll(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("module %q: %w", path, err)
	}
	module, err := Decompress(file)
	if err != nil {
		return nil, fmt.Errorf("module %q: %w", path, err)
	}
	return module, nil
}

// openRegular opens without blocking, so that a FIFO or a device with a module's
// name is refused and not waited for.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:forbidigo // read only, and not to hang on a pipe
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("module %q: %w", path, malformed("file", "not a regular file"))
	}
	if err == nil && info.Size() > maxSize {
		err = fmt.Errorf("module %q: %w", path, &FormatError{Part: "file", Err: ErrTooLarge})
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func readAll(f *os.File, size int64) ([]byte, error) {
	data := make([]byte, size)
	n, err := io.ReadFull(io.NewSectionReader(f, 0, size), data)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil // the file became shorter: what is left will tell
	}
	return data[:n], err
}

// load takes from a module all that an Object shows.
func load(src source) (_ *Object, err error) {
	defer guard(&err)
	e := &elfObject{}
	if err := e.read(src); err != nil {
		return nil, err
	}
	o := &Object{}
	if err := o.index(e); err != nil {
		return nil, err
	}
	if o.buildID, err = e.buildID(); err != nil {
		return nil, err
	}
	o.signature, err = readSignature(src)
	if errors.Is(err, ErrSignature) {
		o.sigErr, err = err, nil // the module can be read all the same
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// index takes from a module what indexes are made of.
func (o *Object) index(e *elfObject) error {
	info, err := e.section(secModinfo)
	if err != nil {
		return err
	}
	if info == nil {
		return malformed(".modinfo", "no such section")
	}
	o.modinfo = parseModinfo(info)
	if o.name, err = e.thisModule(); err != nil {
		return err
	}
	if o.name == "" {
		o.name = o.Get("name")
	}
	o.exports, o.needs, err = e.symbols()
	return err
}

// Name is the name under which the kernel will know the module: the one in
// struct module, else the field "name". It is "" when the file has neither;
// [ModuleName] tells what tools take it for.
func (o *Object) Name() string { return o.name }

// BuildID is the linker's GNU build id, nil when there is none.
func (o *Object) BuildID() []byte { return o.buildID }
