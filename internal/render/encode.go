package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// mailVersion is the version of the encoding of a Mail. It goes up with each change after which a program that knows
// the version before would make other bytes, or none. Decode has to read the versions before then too: their mails may
// still be owed.
const (
	mailVersion    = 8
	alignedVersion = 8 // long texts in base64 begin a line
	oldestVersion  = 3 // 4 brought the links by which readers stop mails, 5 the calendar, 6 more parts of a locale than its format, 7 base64
)

// Encode returns the encoding of a mail: JSON, the same bytes for equal mails.
func (m *Mail) Encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		panic(fmt.Sprintf("encode a compiled mail: %v", err)) // it holds nothing that JSON can't
	}
	return b.Bytes()
}

// Decode reads a mail that Encode wrote. Its error says that the bytes are no such mail, or of a version that this
// program does not know.
func Decode(encoded []byte) (*Mail, error) {
	var version struct{ Version int }
	if err := json.Unmarshal(encoded, &version); err != nil {
		return nil, fmt.Errorf("decode a compiled mail: %w", err)
	}
	if version.Version < oldestVersion || version.Version > mailVersion {
		return nil, fmt.Errorf("the compiled mail has version %d, this program knows %d to %d", version.Version, oldestVersion, mailVersion)
	}
	d := json.NewDecoder(bytes.NewReader(encoded))
	if version.Version == mailVersion {
		d.DisallowUnknownFields()
	}
	m := &Mail{}
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("decode a compiled mail: %w", err)
	}
	if err := m.valid(); err != nil {
		return nil, fmt.Errorf("decode a compiled mail: %w", err)
	}
	m.encodeConstants()
	return m, nil
}

// valid reports whether a decoded mail has all the parts that it refers to.
func (m *Mail) valid() error {
	if len(m.Subjects) == 0 || len(m.Subjects) != len(m.SubjectAt) || len(m.Subjects) != len(m.Locales) {
		return errors.New("its languages do not fit")
	}
	if m.Calendar != nil {
		if err := m.Calendar.valid(); err != nil {
			return err
		}
	}
	for i := range m.Locales {
		if f := m.Locales[i].Format; f != nil && !f.Complete() {
			return errors.New("a locale is incomplete")
		}
	}
	for _, v := range m.Values {
		if v.At == nil || v.Locale < 0 || v.Locale >= len(m.Locales) || !v.Expr.valid() || v.Section < 0 || v.Section >= max(1, len(m.Sections)) {
			return errors.New("a value is incomplete")
		}
	}
	for _, numbers := range m.Sections {
		if slices.ContainsFunc(numbers, func(n int) bool { return n < 0 }) {
			return errors.New("a section is for nobody")
		}
	}
	all := append([][]piece{m.Pieces}, m.Subjects...)
	for _, l := range m.Links {
		if l.At == nil {
			return errors.New("a link is incomplete")
		}
		all = append(all, l.Pieces)
	}
	for _, pieces := range all {
		if !m.has(pieces) {
			return errors.New("a piece refers to a value that is not there")
		}
	}
	return nil
}

// has reports whether the mail has the values of pieces.
func (m *Mail) has(pieces []piece) bool {
	for _, p := range pieces {
		if p.Value < 0 || p.Value > len(m.Values) || p.Field < 0 || p.Field > fieldLast || p.Field == fieldCalendar && m.Calendar == nil || p.Col < 0 {
			return false
		}
		if p.Line != nil && !m.has(p.Line.Pieces) ||
			p.Table != nil && !m.hasTable(p.Table) {
			return false
		}
		if slices.ContainsFunc(p.Base64, func(p piece) bool { return p.Base64 != nil }) || !m.has(p.Base64) {
			return false
		}
	}
	return true
}

// hasTable reports whether a table is one, and the mail has the values of it.
func (m *Mail) hasTable(t *table) bool {
	return len(t.Rows) > 0 && !slices.ContainsFunc(t.Rows, func(cells [][]piece) bool {
		return len(cells) > len(t.Right) || slices.ContainsFunc(cells, func(p []piece) bool { return !m.has(p) })
	})
}

// valid reports whether an expression is one of a mail: of the recipient and of constants alone.
func (x *expr) valid() bool {
	if x == nil {
		return false
	}
	switch x.Op {
	case opText, opNumber, opBool, opRoot:
		return len(x.Args) == 0
	case opCustomer:
		return x.N >= 0 && len(x.Args) == 0
	case opField:
		return len(x.Args) == 1 && x.Args[0].valid()
	case opCall:
		f, ok := functions[x.Name]
		for _, a := range x.Args {
			ok = ok && a.valid()
		}
		return ok && len(x.Args) >= f.least && len(x.Args) <= f.most && (!f.reader || x.At != nil)
	}
	return false
}
