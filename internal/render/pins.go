package render

import "tocsin/internal/notice"

// The most that a plan keeps of compiled mails. A notice has one for each language, zone and branch that its texts print.
const (
	maxPins   = 4096
	maxPinned = 8 << 20 // bytes, encoded
)

// Pins numbers the compiled mails of a plan. Each row of the plan names its mail by number, so that the mail is the same
// whichever version of the program sends it. A Pins is not safe for concurrent use.
type Pins struct {
	program *Program
	numbers map[mailKey]int
	encoded [][]byte
	size    int
}

// NewPins returns pins for the mails of a program.
func NewPins(p *Program) *Pins { return &Pins{program: p, numbers: map[mailKey]int{}} }

// Number returns the number, from 1, of the mail to a recipient; text is the language that Match gave. It is 0 past the
// bounds, and where there is no mail: the worker compiles it then, or says why it can't.
func (s *Pins) Number(r notice.Recipient, text string) int {
	reader, sections, err := s.program.readerOf(r, text)
	if err != nil {
		return 0
	}
	key, err := s.program.key(reader, r, sections)
	if err != nil {
		return 0
	}
	n, known := s.numbers[key]
	if !known && len(s.numbers) < maxPins && s.size < maxPinned {
		if m, err := s.program.kept(key, reader, r, sections); err == nil {
			encoded := m.Encode()
			s.encoded, s.size = append(s.encoded, encoded), s.size+len(encoded)
			n = len(s.encoded)
		}
		s.numbers[key] = n
	}
	return n
}

// Encoded returns the encodings of the mails that have numbers, the first of number 1.
func (s *Pins) Encoded() [][]byte { return s.encoded }
