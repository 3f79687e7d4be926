package hooks

// For the tests, which compare them with dpkg and ls.
var (
	CompareDebian  = compareDebian
	CompareNatural = compareNatural
)
