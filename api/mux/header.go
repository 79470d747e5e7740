package mux

import (
	"encoding/binary"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"
)

// field is one header as the wire has it: lower-case name, one value.
type field struct{ name, value string }

// fieldsOf is h in the order of the wire. A header that the wire cannot carry
// is the caller's mistake and named in the error; its value is not, since it
// may be a secret.
func fieldsOf(h *connect.Header) ([]field, error) {
	if h.Len() == 0 {
		return nil, nil
	}
	fields := make([]field, 0, h.Len())
	size := 2
	for name, values := range h.All() {
		name = strings.ToLower(name)
		for _, v := range values {
			size += 3 + len(name) + len(v)
			if !validName(name) || !validValue(v) || size > MaxHeaderBytes || len(fields) == MaxHeaders {
				return nil, connect.Errorf(connect.CodeInvalidArgument, "header cannot be sent: %q", name)
			}
			fields = append(fields, field{name, v})
		}
	}
	// Stable: the values of one name keep their order.
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return fields, nil
}

func appendFields(b []byte, fields []field) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
	for _, f := range fields {
		b = append(b, byte(len(f.name)))
		b = append(b, f.name...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(f.value)))
		b = append(b, f.value...)
	}
	return b
}

// fields reads a block of headers.
func (c *cursor) fields() []field {
	before := len(c.b)
	n := c.u16()
	if c.bad || n > MaxHeaders {
		c.bad = true
		return nil
	}
	if n == 0 {
		return nil
	}
	fields := make([]field, 0, n)
	last := ""
	for range n {
		name := string(c.take(c.u8()))
		value := string(c.take(c.u16()))
		if c.bad || !validName(name) || name < last || !validValue(value) {
			c.bad = true
			return nil
		}
		last = name
		fields = append(fields, field{name, value})
	}
	if before-len(c.b) > MaxHeaderBytes {
		c.bad = true
		return nil
	}
	return fields
}

// setFields makes each name's values in h those of fields, leaving others.
func setFields(h *connect.Header, fields []field) {
	for i, f := range fields {
		if i > 0 && fields[i-1].name == f.name {
			h.Add(f.name, f.value)
		} else {
			h.Set(f.name, f.value)
		}
	}
}

func validName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// validValue admits printable ASCII only: nothing that could break a log line
// or a header of a protocol that the value is passed on to.
func validValue(s string) bool {
	if len(s) > MaxHeaderBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
