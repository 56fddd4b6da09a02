package render

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// Program is a notice that is ready to be rendered for any recipient. It is safe for concurrent use.
type Program struct {
	layouts    layouts
	stacked    notice.Stacking
	parameters map[string]string
	notice     noticeFields
	incident   incidentFields
	windows    []window
	zone       *time.Location
	from       *mail.Address
	sender     string
	replyTo    *mail.Address // nil = none
	texts      map[string]*compiled
	english    string // the key of the English text, "" if there is none
	matcher    *matcher

	zones   sync.Map // IANA name → *time.Location, the notice's zone where there is no such
	formats sync.Map // language → *format
}

// Match returns the language of the text for a reader of the language want, and whether that is a text in the
// reader's own language. It is if the base language and the script are the same, whatever the region: de serves
// de-CH, zh-Hant never a reader of zh-Hans, nl never one of fy. Without such a text it is the default language.
func (p *Program) Match(want string) (text string, exact bool) {
	tag, err := language.Parse(want)
	if want == "" || err != nil || undetermined(tag) {
		return p.matcher.fallback, false
	}
	return p.matcher.match(tag)
}

// Check returns an *notice.Error if the mail to this recipient would have a hole in it: something printed empty, or a
// number or a date that is none. It names the file and line. text is the language that Match gave.
func (p *Program) Check(r notice.Recipient, text string) error {
	_, err := p.content(r, text, true)
	return err
}

// Preview renders a message without its Raw.
func (p *Program) Preview(r notice.Recipient, text string) (Message, error) {
	c, err := p.content(r, text, false)
	if err != nil {
		return Message{}, err
	}
	return c.message, nil
}

// content is a rendered message and the languages that it is in.
type content struct {
	message   Message
	languages []string
}

// content executes the templates of a mail; with check it leaves out what cannot have a hole: the layouts.
func (p *Program) content(r notice.Recipient, text string, check bool) (content, error) {
	blocks, err := p.blocks(r, text)
	if err != nil {
		return content{}, err
	}
	loc := p.location(r.TimeZone)
	data := layoutData{Language: blocks[0].key, Direction: blocks[0].dir, Sender: p.sender, Key: p.notice.Key,
		Kind: p.notice.Kind, Phase: p.notice.Phase, Severity: p.notice.Severity}
	var out content
	var subjects []string
	for _, c := range blocks {
		data.Blocks = append(data.Blocks, block{Language: c.key, Direction: c.dir})
		subject, err := c.execute(p.reader(r, c, p.format(r.Language, c), loc), &data.Blocks[len(data.Blocks)-1], check)
		if err != nil {
			return content{}, err
		}
		if !slices.Contains(subjects, subject) {
			subjects = append(subjects, subject)
		}
		out.languages = append(out.languages, c.key)
	}
	if check {
		return content{}, nil
	}
	data.Subject = strings.Join(subjects, " / ")
	out.message.Subject = data.Subject
	if out.message.HTML, err = p.layouts.page(data); err != nil {
		return content{}, err
	}
	if out.message.Text, err = p.layouts.plain(data); err != nil {
		return content{}, err
	}
	return out, nil
}

// blocks returns the texts that a recipient's mail is made of, one or two.
func (p *Program) blocks(r notice.Recipient, text string) ([]*compiled, error) {
	first := p.texts[text]
	if first == nil {
		return nil, notice.Invalid("text", "the notice has no text in %q", text)
	}
	if len(r.Customers) == 0 {
		return nil, errors.New("render for a recipient without customers")
	}
	second := ""
	switch p.stacked {
	case notice.StackAlways:
		second = p.matcher.fallback
	case notice.StackUnmatched:
		if _, exact := p.Match(r.Language); !exact {
			second = p.english
		}
	}
	if second == "" || second == text {
		return []*compiled{first}, nil
	}
	return []*compiled{first, p.texts[second]}, nil
}

// execute runs the templates of one language. Its error is the *notice.Error of the first hole.
func (c *compiled) execute(r *reader, b *block, check bool) (subject string, err error) {
	var buf bytes.Buffer
	if err := c.subject.Execute(&buf, r); err != nil {
		return "", hole(c.subject.Name(), err)
	}
	subject = strings.Join(strings.Fields(buf.String()), " ")
	if subject == "" {
		return "", notice.Invalid(c.subject.Name(), "is empty for this recipient")
	}
	buf.Reset()
	if err := c.text.Execute(&buf, r); err != nil {
		return "", hole(c.text.Name(), err)
	}
	if !hasWords(buf.Bytes()) {
		return "", notice.Invalid(c.text.Name(), "is empty for this recipient")
	}
	if !check {
		b.Text = reflow(buf.String())
	}
	buf.Reset()
	if err := c.html.Execute(&buf, r); err != nil {
		return "", hole(c.html.Name(), err)
	}
	if bytes.Contains(buf.Bytes(), []byte(`="#ZgotmplZ`)) {
		return "", notice.Invalid(c.html.Name(), "a link would lead to an address that is not http, https or mailto for this recipient")
	}
	if !check {
		b.HTML = htmltemplate.HTML(emptyLists.Replace(emptyBlocks.Replace(buf.String())))
	}
	return subject, nil
}

// What conditions have left empty is removed.
var (
	emptyBlocks = strings.NewReplacer("<p></p>\n", "", "<li></li>\n", "")
	emptyLists  = strings.NewReplacer("<ul>\n</ul>\n", "", "<ol>\n</ol>\n", "")
)

// hole returns the *notice.Error that stopped a template, or one that says what stopped it.
func hole(name string, err error) error {
	if e, ok := errors.AsType[*notice.Error](err); ok {
		return e
	}
	return notice.Invalid(name, "cannot be written for this recipient: %v", errors.Unwrap(err))
}

// reader returns the data that the templates of c are executed with for a recipient.
func (p *Program) reader(r notice.Recipient, c *compiled, f *format, loc *time.Location) *reader {
	d := &reader{
		Parameters: p.parameters, Windows: p.windows, Notice: p.notice, Incident: p.incident, Language: c.key,
		Customers: make([]customer, len(r.Customers)),
		sites:     c.sites, format: f, loc: loc, noticeIn: p.zone, rtl: c.dir == "rtl",
	}
	for i, from := range r.Customers {
		d.Customers[i] = customer{clean(from.ID), clean(from.Name), cleanAll(from.Attributes)}
	}
	d.Customer = d.Customers[0]
	return d
}

// format returns how dates and numbers are written in the text c for a reader of the language want: as want says
// where c is a text in that language (a de text for de-CH), else as the text's own language says.
func (p *Program) format(want string, c *compiled) *format {
	if f, ok := p.formats.Load(want + " " + c.key); ok {
		return f.(*format)
	}
	f := c.format
	if key, exact := p.Match(want); exact && key == c.key {
		f = loadCLDR().find(language.Make(want))
	}
	p.formats.Store(want+" "+c.key, f)
	return f
}

// location returns the reader's zone, or the notice's where that is unknown.
func (p *Program) location(name string) *time.Location {
	if name == "" {
		return p.zone
	}
	if loc, ok := p.zones.Load(name); ok {
		return loc.(*time.Location)
	}
	loc, err := notice.LoadZone(name)
	if err != nil {
		loc = p.zone
	}
	p.zones.Store(name, loc)
	return loc
}

// Render renders the message to a recipient. text is the language that Match gave, now or when it was frozen. The
// same arguments give the same bytes. Its error is an *notice.Error where the mail would have a hole in it.
func (p *Program) Render(r notice.Recipient, text string, st Stamp) (Message, error) {
	c, err := p.content(r, text, false)
	if err != nil {
		return Message{}, err
	}
	if c.message.Raw, err = p.raw(r, c, st); err != nil {
		return Message{}, fmt.Errorf("build message: %w", err)
	}
	return c.message, nil
}
