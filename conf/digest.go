package conf

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
)

// Digest identifies everything that the files say for the target they were evaluated for: two Modules with the same Digest
// ask for the same build. It is a text of 64 hexadecimal digits.
func (m *Module) Digest() string {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(m.values)) {
		for _, i := range m.values.indexes(name) {
			b = appendList(b, name, strconv.Itoa(i), m.values.at(name, i))
		}
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
