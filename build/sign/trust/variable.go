package trust

import (
	"errors"
	"fmt"
	"io/fs"

	"dkms-go/conf/sysroot"
)

// The owners of variables: the firmware, its lists, and shim.
const (
	global = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
	lists  = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
	shim   = "605dab50-e046-4300-abb6-3dd810dd8b23"
)

// Where the kernel shows variables, and where it keeps copies of shim's lists,
// which may be too long for a variable (drivers/firmware/efi/mokvar-table.c).
const (
	efiDir  = "/sys/firmware/efi"
	varDir  = efiDir + "/efivars"
	copyDir = efiDir + "/mok-variables"
)

// variable returns the value of a variable; nil when there is none.
func variable(root *sysroot.Root, name, owner string) ([]byte, error) {
	const attributes = 4
	data, err := root.ReadFile(varDir + "/" + name + "-" + owner)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case len(data) < attributes:
		return nil, fmt.Errorf("%s has no attributes", name)
	}
	return data[attributes:], nil
}

// isSet reports whether a variable of one byte is 1.
func isSet(root *sysroot.Root, name, owner string) bool {
	v, err := variable(root, name, owner)
	return err == nil && len(v) == 1 && v[0] == 1
}

// list reads a list of certificates. shim's may be split: MokListRT, MokListRT1
// and so on.
func list(root *sysroot.Root, name, owner string) (List, error) {
	var all List
	for n := 0; ; n++ {
		part := name
		if n > 0 {
			part = fmt.Sprint(name, n)
		}
		v, err := variable(root, part, owner)
		if err == nil && v == nil && owner == shim {
			v, err = root.ReadFile(copyDir + "/" + part)
			if errors.Is(err, fs.ErrNotExist) {
				v, err = nil, nil
			}
		}
		if err != nil || v == nil {
			return all, err
		}
		l, err := ParseList(v)
		if err != nil {
			return List{}, fmt.Errorf("%s: %w", part, err)
		}
		all = all.join(l)
	}
}
