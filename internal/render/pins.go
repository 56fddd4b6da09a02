package render

import "tocsin/internal/notice"

// The most that a plan keeps of compiled mails. A notice has one for each language, zone and branch that its texts print.
const (
	maxPins   = 4096
	maxPinned = 8 << 20 // bytes, encoded
)

// Pins numbers the compiled mails of a plan. Each row of the plan names its mail by number. So the mail is the same
// from any version of the program. A Pins is not safe for concurrent use.
type Pins struct {
	plain, correction numbered // correction.program is nil where there is no correction
	encoded           [][]byte
	size              int
}

// numbered are the mails of a program that have numbers.
type numbered struct {
	program *Program
	numbers map[mailKey]int
}

// NewPins returns pins for the mails of a program, and of an amendment for those of its correction; nil: it is none.
func NewPins(p, correction *Program) *Pins {
	return &Pins{plain: numbered{p, map[mailKey]int{}}, correction: numbered{correction, map[mailKey]int{}}}
}

// Number returns the number, from 1, of the mail to a recipient; text is the language that Match gave. It is 0 past the
// bounds, and where there is no mail: the worker compiles it then, or says why it can't.
func (s *Pins) Number(r notice.Recipient, text string) int { return s.number(s.plain, r, text) }

// Correction is Number for the mail with the correction; 0 where the notice is no amendment.
func (s *Pins) Correction(r notice.Recipient, text string) int {
	if s.correction.program == nil {
		return 0
	}
	return s.number(s.correction, r, text)
}

func (s *Pins) number(of numbered, r notice.Recipient, text string) int {
	reader, sections, err := of.program.readerOf(r, text)
	if err != nil {
		return 0
	}
	key, err := of.program.key(reader, r, sections)
	if err != nil {
		return 0
	}
	n, known := of.numbers[key]
	if !known && len(s.plain.numbers)+len(s.correction.numbers) < maxPins && s.size < maxPinned {
		if m, err := of.program.kept(key, reader, r, sections); err == nil {
			encoded := m.Encode()
			s.encoded, s.size = append(s.encoded, encoded), s.size+len(encoded)
			n = len(s.encoded)
		}
		of.numbers[key] = n
	}
	return n
}

// Encoded returns the encodings of the mails that have numbers, the first of number 1.
func (s *Pins) Encoded() [][]byte { return s.encoded }
