package kmod

import (
	"fmt"
	"strings"
)

// Info is what modinfo lists of a module, in its order and with its texts: the
// fields of .modinfo without parameters, the build id, the signature, and then
// the parameters, last one first. The name of the file, which modinfo puts at
// the head, is the caller's to add. kmod up to version 34 does not list build ids.
func (o *Object) Info() []Field {
	out := make([]Field, 0, len(o.modinfo)+6)
	for _, f := range o.modinfo {
		if f.Key != "parm" && f.Key != "parmtype" {
			out = append(out, f)
		}
	}
	if o.buildID != nil {
		out = append(out, Field{"build-id", hexLines(o.buildID)})
	}
	if s := o.signature; s != nil {
		out = append(out,
			Field{"sig_id", s.Type},
			Field{"signer", s.Signer},
			Field{"sig_key", hexLines(s.KeyID)},
			Field{"sig_hashalgo", s.HashAlgo},
			Field{"signature", hexLines(s.Value)})
	}
	params := o.Params()
	for i := len(params) - 1; i >= 0; i-- {
		out = append(out, Field{"parm", params[i].text()})
	}
	return out
}

func (p Param) text() string {
	switch {
	case !p.described:
		return p.Name + ":" + p.Type
	case p.Type != "":
		return fmt.Sprintf("%s:%s (%s)", p.Name, p.Description, p.Type)
	default:
		return p.Name + ":" + p.Description
	}
}

// hexLines writes bytes as 01:DE:AD, twenty in a line, the further lines
// indented by two tabs (kmod_module_hex_to_str in kmod's libkmod-module.c).
func hexLines(b []byte) string {
	var s strings.Builder
	for i, c := range b {
		switch {
		case i == 0:
		case i%20 == 0:
			s.WriteString(":\n\t\t")
		default:
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02X", c)
	}
	return s.String()
}
