package main

import "encoding/json"

// printJSON prints a value for programs to read: indented, one value, a newline.
func (p *printer) printJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
