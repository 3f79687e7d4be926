package initramfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"

	"dkms-go/dkms/kmod"
)

// FormatError says that an image cannot be read: it is damaged, or packed in a way that is not known here.
type FormatError struct{ Text string }

func (e *FormatError) Error() string { return "not readable as a boot image: " + e.Text }

const (
	headerSize = 110
	nameLimit  = 4096 // PATH_MAX: the kernel refuses longer ones
	trailer    = "TRAILER!!!"
)

// names calls visit with the name of every file in an image.
func names(image io.ReaderAt, size int64, visit func(name string)) error {
	found := false
	for at := int64(0); ; {
		section := io.NewSectionReader(image, at, size-at)
		c := &counter{r: bufio.NewReaderSize(section, 64<<10)}
		start, err := c.next()
		switch {
		case errors.Is(err, io.EOF) && found:
			return nil
		case err != nil:
			return &FormatError{"it holds nothing"}
		case !isArchive(start):
			return packed(image, at+c.n, size, visit)
		}
		if err := archive(c, visit); err != nil {
			return err
		}
		at += c.n
		found = true
	}
}

// packed reads what is compressed from an offset of the image on: again archives, one behind the other.
func packed(image io.ReaderAt, at, size int64, visit func(string)) error {
	r, err := kmod.NewReader(io.NewSectionReader(image, at, size-at))
	if err != nil {
		return &FormatError{err.Error()}
	}
	defer r.Close()
	c := &counter{r: bufio.NewReaderSize(r, 64<<10)}
	for found := false; ; found = true {
		start, err := c.next()
		switch {
		case found && err != nil: // what follows the last archive is nobody's business
			return nil
		case err != nil:
			return &FormatError{err.Error()}
		case found && !isArchive(start):
			return nil
		case !isArchive(start):
			return &FormatError{"its compression is not known"}
		}
		if err := archive(c, visit); err != nil {
			return err
		}
	}
}

func isArchive(start []byte) bool {
	return string(start) == "070701" || string(start) == "070702"
}

// archive reads one archive to its end.
func archive(c *counter, visit func(string)) error {
	begin := c.n
	for {
		var header [headerSize]byte
		if err := c.full(header[:]); err != nil {
			return err
		}
		if !isArchive(header[:6]) {
			return &FormatError{"an archive in it is damaged"}
		}
		fileSize, err := field(header[:], 6)
		if err != nil {
			return err
		}
		nameSize, err := field(header[:], 11)
		if err != nil {
			return err
		}
		if nameSize == 0 || nameSize > nameLimit {
			return &FormatError{"a name in it has an impossible length"}
		}
		name := make([]byte, nameSize)
		if err := c.full(name); err != nil {
			return err
		}
		if err := c.align(begin); err != nil {
			return err
		}
		text := string(name[:nameSize-1]) // without the NUL
		if text == trailer {
			return nil
		}
		visit(text)
		if err := c.skip(fileSize); err != nil {
			return err
		}
		if err := c.align(begin); err != nil {
			return err
		}
	}
}

// field reads the n-th number behind the magic.
func field(header []byte, n int) (int64, error) {
	v, err := strconv.ParseUint(string(header[6+8*n:14+8*n]), 16, 32)
	if err != nil {
		return 0, &FormatError{"an archive in it is damaged"}
	}
	return int64(v), nil //nolint:gosec // has 32 bits
}

// counter is a reader that knows how far it has come.
type counter struct {
	r *bufio.Reader
	n int64
}

// next passes over zeros and returns the six bytes that follow, without taking them.
func (c *counter) next() ([]byte, error) {
	for {
		b, err := c.r.Peek(1)
		if err != nil {
			return nil, err
		}
		if b[0] != 0 {
			break
		}
		_, _ = c.r.Discard(1) // it is there
		c.n++
	}
	start, err := c.r.Peek(6)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return start, err
}

func (c *counter) full(b []byte) error {
	n, err := io.ReadFull(c.r, b)
	c.n += int64(n)
	return cut(err)
}

func (c *counter) skip(size int64) error {
	n, err := io.CopyN(io.Discard, c.r, size)
	c.n += n
	return cut(err)
}

// align goes on to the next multiple of four from the beginning of the archive.
func (c *counter) align(begin int64) error { return c.skip(-(c.n - begin) & 3) }

// cut says that an image ends too early, or why it cannot be read.
func cut(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FormatError{"it is cut off"}
	}
	return &FormatError{fmt.Sprint(err)}
}
