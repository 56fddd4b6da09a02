package render

import (
	"net/mail"
	"time"

	"golang.org/x/text/language"

	"tocsin/internal/cldr"
	"tocsin/internal/notice"
)

// Program is a notice that is ready to be rendered for any recipient. It is safe for concurrent use.
type Program struct {
	fixed
	announced fixed // the same for newcomers: without old windows, in the phase in which windows are announced first
	corrects  bool  // the texts are the corrections of an amendment
	converter *converter
	layouts   layouts
	languages languages
	branding  Branding
	stacked   notice.Stacking
	zone      *time.Location
	from      *mail.Address
	replyTo   *mail.Address // nil = none
	choices   choices       // where the reader of a mail stops others like it
	calendar  *calendar     // nil = its mails have none
	earlier   []earlierNotice
	texts     map[string]*text
	english   string // the key of the English text, "" if there is none
	matcher   *matcher
	cache     cache

	drafts  []string          // languages of ready texts that nobody has signed
	foreign map[string]string // by the language of a text: that of the notice's own paragraph, where it is another

	doubts     []*notice.Error
	conditions []Condition
	branches   []Branch

	placeholders []notice.Placeholder
}

// text is the text of a notice in one language.
type text struct {
	key, dir      string
	source        notice.Text
	parameters    map[string]string // in its language
	locale        *cldr.Locale
	subject, body nodes
	tokens        *tokens
	writes        writes
	individual    bool // it may differ for customers of one mailbox in more than name and id
}

// nodes is the subject or the body of a text.
type nodes struct {
	label     string // for errors
	all       []node
	decisions []node // the part of all that decides which nodes a recipient gets
	slots     int    // variables
}

// Match returns the language of the text for a reader of the languages want, a list with commas: the first of them with
// a text. It also reports whether that is a text in one of the reader's own languages. It is if base language and
// script are the same, whatever the region: de serves de-CH, zh-Hant never a reader of zh-Hans, nl never one of fy.
// Without such a text it is the default language.
func (p *Program) Match(want string) (text string, exact bool) {
	_, text, exact = p.choose(want)
	return text, exact
}

// choose is Match, and returns the language of the list that was matched.
func (p *Program) choose(want string) (chosen language.Tag, text string, exact bool) {
	for _, w := range notice.Languages(want) {
		tag, err := language.Parse(w)
		if err != nil || undetermined(tag) {
			continue
		}
		if text, exact = p.matcher.match(tag); exact {
			return tag, text, true
		}
	}
	return language.Und, p.matcher.fallback, false
}

// Drafts returns the languages of ready texts that no native speaker has signed.
func (p *Program) Drafts() []string { return p.drafts }

// Foreign returns in which language the notice's own paragraph stands, per language of a text where that is another.
func (p *Program) Foreign() map[string]string { return p.foreign }

// Check returns an *notice.Error if the mail to this recipient would have a hole in it: something printed empty, or a
// number or a date that is none. It names the file and line. text is the language that Match gave.
func (p *Program) Check(r notice.Recipient, text string) error {
	// Most recipients are looked at by the fields that the text needs, without a mail.
	if reader, err := p.reader(keyOf(r, text)); err == nil && len(r.Customers) == 1 {
		if fields, exact := reader.needs[clean(r.Customers[0].Name) != ""](); exact && complete(r.Customers[0], fields) {
			return nil
		}
	}
	return p.check(r, text)
}

// check is Check by the mail.
func (p *Program) check(r notice.Recipient, text string) error {
	m, err := p.Compiled(r, text)
	if err != nil {
		return err
	}
	return m.Check(r)
}

// Render appends the message to a recipient to buf. text is the language that Match gave, now or when it was frozen.
// The same arguments give the same bytes. Its error is an *notice.Error where the mail would have a hole in it.
func (p *Program) Render(buf []byte, r notice.Recipient, text string, st Stamp) ([]byte, error) {
	m, err := p.Compiled(r, text)
	if err == nil {
		if buf, err = m.Append(buf, r, st); err == nil {
			return buf, nil
		}
	}
	// A notice that was released before mails had sections was checked without them.
	if reader, readerErr := p.reader(keyOf(r, text)); readerErr == nil && len(r.Customers) > 1 {
		if m, wholeErr := p.compiled(reader, r, nil); wholeErr == nil {
			return m.Append(buf, r, st)
		}
	}
	return buf, err
}

// blocks returns the texts that a recipient's mail is made of, one or two.
func (p *Program) blocks(want, key string) ([]*text, error) {
	first := p.texts[key]
	if first == nil {
		return nil, notice.Invalid("text", "the notice has no text in %q", key)
	}
	second := ""
	switch p.stacked {
	case notice.StackAlways:
		second = p.matcher.fallback
	case notice.StackUnmatched:
		if _, exact := p.Match(want); !exact {
			second = p.english
		}
	}
	if second == "" || second == key {
		return []*text{first}, nil
	}
	return []*text{first, p.texts[second]}, nil
}

// writing returns how dates and numbers are written in the text t for a reader of the language want. They follow want
// where t is a text in that language (a de text for de-CH), else the text's own language.
func (p *Program) writing(want string, t *text) *cldr.Locale {
	if tag, key, exact := p.choose(want); exact && key == t.key {
		return cldr.Find(tag)
	}
	return t.locale
}

// location returns the reader's zone, or the notice's where that is unknown.
func (p *Program) location(name string) *time.Location {
	if loc, err := notice.LoadZone(name); name != "" && err == nil {
		return loc
	}
	return p.zone
}
