package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"

	"tocsin/internal/notice"
)

// interned keeps strings that many customers share, such as the names of attributes, each once.
type interned map[string]string

// mostInterned bounds the memory of strings that turn out to be shared by nobody.
const mostInterned = 10_000

func (known interned) text(b []byte) string {
	s, ok := known[string(b)]
	if !ok {
		if s = string(b); len(known) < mostInterned {
			known[s] = s
		}
	}
	return s
}

// frozen reads the customers of a recipient. Postgres prints jsonb in one form, so that the rows of freeze can be read
// piece by piece, without reflection; a string with an escape is left to encoding/json.
func (known interned) frozen(text []byte) ([]notice.Frozen, error) {
	s := scanner{rest: text, known: known}
	all := []notice.Frozen{}
	s.skip('[')
	for !s.ended(']') {
		all = append(all, s.customer())
	}
	if s.failed || len(s.rest) > 0 {
		return nil, fmt.Errorf("the customers of a recipient are not as a release writes them")
	}
	return all, nil
}

// scanner takes JSON apart from its beginning.
type scanner struct {
	rest   []byte
	known  interned
	failed bool
}

// skip takes that byte, after spaces.
func (s *scanner) skip(b byte) {
	s.rest = bytes.TrimLeft(s.rest, " ")
	if len(s.rest) == 0 || s.rest[0] != b {
		s.failed = true
		return
	}
	s.rest = s.rest[1:]
}

// ended reports whether a list or object ends here, and takes its end, or the comma before its next part.
func (s *scanner) ended(end byte) bool {
	s.rest = bytes.TrimLeft(s.rest, " ")
	switch {
	case s.failed || len(s.rest) == 0:
		s.failed = true
		return true
	case s.rest[0] == end:
		s.rest = s.rest[1:]
		return true
	case s.rest[0] == ',':
		s.rest = s.rest[1:]
	}
	return false
}

// text reads a string. Without escapes it returns a part of the input.
func (s *scanner) text() (text []byte) {
	s.rest = bytes.TrimLeft(s.rest, " ")
	for i := 1; i < len(s.rest) && s.rest[0] == '"'; i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			quoted := s.rest[:i+1]
			s.rest = s.rest[i+1:]
			if bytes.IndexByte(quoted, '\\') < 0 {
				return quoted[1:i]
			}
			var plain string
			s.failed = json.Unmarshal(quoted, &plain) != nil || s.failed
			return []byte(plain)
		}
	}
	s.failed = true
	return nil
}

func (s *scanner) customer() (c notice.Frozen) {
	s.skip('{')
	for !s.ended('}') {
		name := s.text()
		s.skip(':')
		switch string(name) {
		case "id":
			c.ID = string(s.text())
		case "name":
			c.Name = string(s.text())
		case "attributes":
			c.Attributes = map[string]string{}
			s.skip('{')
			for !s.ended('}') {
				key := s.known.text(s.text())
				s.skip(':')
				c.Attributes[key] = s.known.text(s.text())
			}
		default:
			s.failed = true
		}
	}
	return c
}
