package render

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// The most that a program keeps. A program with recipients that differ in more than that starts anew. The mails in
// between are compiled for one recipient each, at about the cost of rendering them plainly.
const (
	maxReaders = 4096
	maxCached  = 8 << 20 // bytes of mails
)

// cache keeps compiled mails.
type cache struct {
	mu      sync.RWMutex
	readers map[readerKey]*reader
	mails   map[mailKey]cached
	size    int
}

// readerKey has the parts of a recipient that a mail depends on, apart from the decisions of its texts.
type readerKey struct {
	text, language, zone string
	newcomer             bool // the text has no old windows
}

// keyOf returns the key of a recipient with a text in that language.
func keyOf(r notice.Recipient, text string) readerKey {
	return readerKey{text, r.Language, r.TimeZone, r.Newcomer}
}

// mailKey names readers who share their mails: the languages of the texts and how each writes values.
type mailKey struct{ reader, trace string }

// cached is a mail, or why there is none.
type cached struct {
	mail *Mail
	err  error
}

// reader is a language and a zone that mails are compiled for.
type reader struct {
	key     string // the same for readers who get the same mails
	fixed   *fixed // for newcomers as if the notice had announced its windows first
	texts   []*text
	locales []locale
	earlier []*earlierBlock                               // by number of the text; nil = it has none
	zone    *time.Location                                // of the calendar; nil = there is none
	needs   map[bool]func() (fields []string, exact bool) // of mailboxes of one customer, by whether they have a name
}

// Compiled returns the compiled mail that a recipient's message is made with; text is the language that Match gave. Its
// error is the *notice.Error of a hole that all recipients of that mail have.
func (p *Program) Compiled(r notice.Recipient, text string) (*Mail, error) {
	reader, sections, err := p.readerOf(r, text)
	if err != nil {
		return nil, err
	}
	return p.compiled(reader, r, sections)
}

// readerOf returns the reader that a recipient is, and the sections of the mail.
func (p *Program) readerOf(r notice.Recipient, text string) (*reader, [][]int, error) {
	if len(r.Customers) == 0 {
		return nil, nil, errors.New("render for a recipient without customers")
	}
	reader, err := p.reader(keyOf(r, text))
	if err != nil {
		return nil, nil, err
	}
	sections, err := p.sections(reader, r)
	return reader, sections, err
}

// compiled returns the mail to a recipient with sections for customers by number, or with none.
func (p *Program) compiled(reader *reader, r notice.Recipient, sections [][]int) (*Mail, error) {
	key, err := p.key(reader, r, sections)
	if err != nil {
		return nil, err
	}
	return p.kept(key, reader, r, sections)
}

// key returns the key that the mail to a recipient is kept under.
func (p *Program) key(reader *reader, r notice.Recipient, sections [][]int) (mailKey, error) {
	var space [64]byte
	trace, err := p.trace(space[:0], reader, r, nil)
	for i := 0; err == nil && i < len(sections); i++ {
		if i == 0 {
			trace = append(trace[:0], sectionKey(sections, r)...)
		}
		trace, err = p.trace(trace, reader, section(r, sections[i]), nil)
	}
	return mailKey{reader.key, string(trace)}, err
}

// kept returns the mail of a key, compiled the first time.
func (p *Program) kept(key mailKey, reader *reader, r notice.Recipient, sections [][]int) (*Mail, error) {
	p.cache.mu.RLock()
	c, ok := p.cache.mails[key]
	p.cache.mu.RUnlock()
	if !ok {
		c.mail, c.err = p.compile(reader, r, sections)
		p.cache.keep(key, c)
	}
	return c.mail, c.err
}

func (c *cache) keep(key mailKey, m cached) {
	n := len(key.trace) + 200
	if m.mail != nil {
		n += m.mail.size()
	}
	if n > maxCached/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mails == nil || c.size+n > maxCached {
		c.mails, c.size = map[mailKey]cached{}, 0
	}
	c.mails[key] = m
	c.size += n
}

// reader returns the common part of the mails to readers of a language in a zone.
func (p *Program) reader(key readerKey) (*reader, error) {
	p.cache.mu.RLock()
	r := p.cache.readers[key]
	p.cache.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	r, err := p.newReader(key)
	if err != nil {
		return nil, err
	}
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	if p.cache.readers == nil || len(p.cache.readers) >= maxReaders {
		p.cache.readers = map[readerKey]*reader{}
	}
	p.cache.readers[key] = r
	return r, nil
}

// newReader works out the texts and locales of a reader's language and zone.
func (p *Program) newReader(key readerKey) (*reader, error) {
	texts, err := p.blocks(key.language, key.text)
	if err != nil {
		return nil, err
	}
	r := &reader{texts: texts, fixed: &p.fixed}
	if key.newcomer {
		r.fixed, r.key = &p.announced, "newcomer "
	}
	r.needs = map[bool]func() ([]string, bool){}
	for _, named := range []bool{false, true} {
		r.needs[named] = sync.OnceValues(func() ([]string, bool) { return p.needs(r, named) })
	}
	for _, t := range texts {
		c, at := p.writing(key.language, t), p.location(key.zone)
		l := (&locale{RTL: t.dir == "rtl", Format: c.Format, Zone: zone{at}, Notice: zone{p.zone}, ZoneNames: c.ZoneNames(at), Lists: c.Lists,
			Durations: c.Durations, Money: c.Money, Plurals: c.Plurals, ranges: c.Ranges}).part(t.writes)
		r.locales = append(r.locales, l)
		r.earlier = append(r.earlier, p.earlierFor(t, key, &l))
		r.key += fmt.Sprintf("%s %p %s %v %p %p %p %p %p\n", t.key, l.Format, l.Zone, l.ZoneNames, l.ranges, l.Lists, l.Durations, l.Money, l.Plurals)
	}
	if p.calendar != nil {
		r.zone = p.location(key.zone)
		r.key += r.zone.String()
	}
	return r, nil
}

// trace appends the decisions that a recipient's data takes in the texts, and sets the branches in taken unless it is nil.
func (p *Program) trace(buf []byte, reader *reader, to notice.Recipient, taken []bool) ([]byte, error) {
	for i, t := range reader.texts {
		run := runner{env: p.env(reader, i, to), trace: buf, taken: taken}
		for _, n := range []*nodes{&t.subject, &t.body} {
			if n.decisions == nil {
				continue
			}
			run.begin(n)
			if err := run.run(n.decisions); err != nil {
				return nil, err
			}
		}
		buf = run.trace
	}
	return buf, nil
}

// env returns the surroundings in which the texts of one of a reader's languages run.
func (p *Program) env(reader *reader, i int, to notice.Recipient) env {
	return env{locale: &reader.locales[i], fixed: reader.fixed, text: reader.texts[i], customers: to.Customers}
}
