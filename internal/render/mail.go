package render

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// Mail is a compiled mail. It has the text that all recipients of one language, zone and branch of the texts have in
// common, already encoded. Between it are places for the values of each recipient. It is safe for concurrent use. Its
// exported fields are its encoding.
type Mail struct {
	Version   int       `json:"version"`
	Locales   []locale  `json:"locales"` // one for each language
	Values    []printed `json:"values"`
	Subjects  [][]piece `json:"subjects"` // one for each language; equal ones are named once
	SubjectAt []string  `json:"subject_at"`
	Links     []link    `json:"links,omitempty"`
	Pieces    []piece   `json:"pieces"`
	Calendar  *calendar `json:"calendar,omitempty"` // nil = it has no file of events
	Sections  [][]int   `json:"sections,omitempty"` // the customers that each is for, by number; none = one text is for all of them

	subject, subjectLine []byte // and its header without a mark, where it is the same for all recipients; else nil

	varied bool  // recipients with as many customers, with and without a name, may have other mails
	doubt  error // why the dry run refuses a value that is the same for all recipients: a link that leads nowhere, an hour that comes twice
}

// printed is a value that depends on the recipient, and how it is worked out.
type printed struct {
	Expr   *expr `json:"expr"`
	At     *site `json:"at"`
	Locale int   `json:"locale"`

	Section int `json:"section,omitempty"`
}

// link is an address that may lead nowhere for some recipients.
type link struct {
	Pieces []piece `json:"pieces"`
	At     *site   `json:"at"`
}

// Stamp holds the values that make a message the one of its delivery.
type Stamp struct {
	MessageID string    // with angle brackets; one per delivery, for ever
	Thread    []string  // Message-IDs of the incident's earlier mails to this mailbox, with angle brackets, the oldest first; empty = none
	NoticeKey string    // X-Notice
	Reader    string    // the token of the reader's page, where mails have one; empty = it is no delivery
	Mark      string    // before the subject in the header, such as "[Test] "; empty = none
	Date      time.Time // Date, in the zone that it is to be written in
	Revision  int       // SEQUENCE of calendars; 0 = the seconds of the date since 2026
}

// result is a value as it is printed for one recipient.
type result struct {
	s    string
	text bool // its direction is its own
	rtl  bool // within a text that is written from right to left
}

// filling is the work of filling in one mail.
type filling struct {
	values  []result
	subject []byte
	writer  writer
	inner   writer // of a part in base64, before it is encoded
}

var fillings = sync.Pool{New: func() any { return new(filling) }}

// Append appends the message to a recipient to buf and returns it: RFC 5322 with CRLF. Dot-stuffing leaves it as it
// is, because no line of it begins with a dot. It depends on the arguments alone. Its error is an *notice.Error where
// the mail would have a hole in it; buf is returned as it was then.
func (m *Mail) Append(buf []byte, r notice.Recipient, st Stamp) ([]byte, error) {
	f := fillings.Get().(*filling)
	defer fillings.Put(f)
	if err := m.fill(f, r, nil); err != nil {
		return buf, err
	}
	to, err := mailbox(r.Address)
	if err != nil {
		return buf, err
	}
	sum := sha256.Sum256([]byte(st.MessageID))
	var boundary [40]byte
	hex.Encode(boundary[:], sum[:len(boundary)/2])
	w := &f.writer
	w.buf, w.col = buf, 0
	field := func(w *writer, which field) { w.field(which, to, f.subject, &st) }
	for i := range m.Pieces {
		p := &m.Pieces[i]
		switch {
		case w.filled(p, f.values):
		case p.Field == fieldCalendar:
			w.string(m.Calendar.text(r, st.Mark+string(f.subject), &st))
		case p.Field == fieldBoundary:
			w.buf = append(w.buf, boundary[:]...)
		case p.Field == fieldSubject && m.subjectLine != nil && st.Mark == "":
			w.buf = append(w.buf, m.subjectLine...)
		case p.Field != 0:
			field(w, p.Field)
		case p.Base64 != nil:
			w.base64(&f.inner, p.Base64, f.values, field)
		default:
			w.buf, w.col = append(w.buf, p.Text...), p.Col
		}
	}
	buf, w.buf = w.buf, nil
	return buf, nil
}

// Subject returns the subject of the message to a recipient, without a mark. Where the recipient has no customers any
// more, … stands for their values.
func (m *Mail) Subject(r notice.Recipient) (string, error) {
	f := fillings.Get().(*filling)
	defer fillings.Put(f)
	if len(r.Customers) > 0 {
		err := m.fill(f, r, nil)
		return string(f.subject), err
	}
	f.values = slices.Repeat([]result{{s: "…"}}, len(m.Values))
	err := m.fillSubject(f)
	return string(f.subject), err
}

// Check returns the *notice.Error of Append, other than for an address. It also returns one for a link that leads nowhere,
// or for an ambiguous time.
func (m *Mail) Check(r notice.Recipient) error {
	f := fillings.Get().(*filling)
	defer fillings.Put(f)
	doubt := m.doubt
	if err := m.fill(f, r, &doubt); err != nil {
		return err
	}
	for _, l := range m.Links {
		if address := string(f.plain(l.Pieces)); astray(address) != "" {
			return notice.Invalid(l.At.Where, "the address of a link %s for this recipient: %s", astray(address), linkAdvice)
		}
	}
	if doubt != nil {
		return doubt
	}
	return m.checkSections(r)
}

// fill works out the values and the subject for a recipient. doubt, where there is one, is told of a value that can be
// printed and would mislead.
func (m *Mail) fill(f *filling, r notice.Recipient, doubt *error) error {
	f.values = f.values[:0]
	parts := parts(r, m.Sections)
	for i := range m.Values {
		p := &m.Values[i]
		e := env{locale: &m.Locales[p.Locale], customers: parts[p.Section].Customers, doubt: doubt}
		v, err := e.eval(p.Expr)
		if err != nil {
			return err
		}
		s, err := e.print(v, p.At)
		if err != nil {
			return err
		}
		f.values = append(f.values, result{s, v.kind == kindText, e.RTL})
	}
	for _, l := range m.Links {
		if barred(string(f.plain(l.Pieces))) {
			return l.At.leadsNowhere()
		}
	}
	return m.fillSubject(f)
}

// fillSubject makes the subject of the values that were worked out.
func (m *Mail) fillSubject(f *filling) error {
	if f.subject = append(f.subject[:0], m.subject...); m.subject != nil {
		return nil
	}
	for i, pieces := range m.Subjects {
		if err := f.addSubject(pieces, m.SubjectAt[i]); err != nil {
			return err
		}
	}
	return nil
}

// addSubject adds the subject of one language, unless it is there already; space in it becomes one space.
func (f *filling) addSubject(pieces []piece, at string) error {
	before := len(f.subject)
	if before > 0 {
		f.subject = append(f.subject, " / "...)
	}
	begin := len(f.subject)
	for word := range bytes.FieldsSeq(f.plain(pieces)) {
		if len(f.subject) > begin {
			f.subject = append(f.subject, ' ')
		}
		f.subject = append(f.subject, word...)
	}
	switch {
	case len(f.subject) == begin:
		return notice.Invalid(at, "is empty for this recipient")
	case bytes.Equal(f.subject[begin:], f.subject[:before]):
		f.subject = f.subject[:before]
	}
	return nil
}

// plain returns the text of pieces with their values.
func (f *filling) plain(pieces []piece) []byte {
	w := writer{buf: f.writer.scratch[:0], plain: true}
	w.pieces(pieces, f.values)
	f.writer.scratch = w.buf
	return w.buf
}
