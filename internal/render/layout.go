package render

import (
	"cmp"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"net/url"
	"strings"
	"text/template"

	"tocsin/internal/notice"
)

// layouts are put around the bodies of a mail.
type layouts struct {
	html *htmltemplate.Template
	text *template.Template
}

// layoutData has the fields that a layout can use.
type layoutData struct {
	Subject   string
	Language  string // of the first block, BCP 47
	Direction string // of the first block: ltr or rtl
	Sender    string // the name that the mail comes from
	Key       string // the notice's key
	Kind      string
	Phase     string
	Severity  string // may be empty
	Blocks    []layoutBlock

	Brand       brand
	Footer      *footer     // may be nil
	Unsubscribe unsubscribe // from mails like this one; empty where its readers can't
}

// layoutBlock is the body of a mail in one language.
type layoutBlock struct {
	Standing  *standing     // severity and state, in words; may be nil
	Facts     *facts        // may be nil
	Button    *button       // may be nil
	Earlier   *earlierBlock // may be nil
	Language  string
	Direction string
	HTML      htmltemplate.HTML
	Text      string
}

// parseLayouts parses both layouts and runs them once, so that their mistakes show before the first notice.
func (s *Set) parseLayouts() (l layouts, err error) {
	page, err := s.file("layout.html")
	if err != nil {
		return l, fmt.Errorf("read layout: %w", err)
	}
	plain, err := s.file("layout.txt")
	if err != nil {
		return l, fmt.Errorf("read layout: %w", err)
	}
	if l.html, err = htmltemplate.New("layout.html").Funcs(htmltemplate.FuncMap{"outlook": outlook}).Parse(strings.ReplaceAll(string(page), slotMark, "")); err != nil {
		return l, layoutError("layout.html", err)
	}
	if l.text, err = template.New("layout.txt").Parse(strings.ReplaceAll(string(plain), slotMark, "")); err != nil {
		return l, layoutError("layout.txt", err)
	}
	sample := layoutData{Subject: "s", Language: "en", Direction: "ltr", Sender: "s", Key: "k", Kind: "outage",
		Phase: "resolved", Severity: "minor", Brand: Branding{}.brand(), Footer: &footer{Lines: []string{"f"}, Language: "en", Direction: "ltr"},
		Blocks: []layoutBlock{{Standing: &standing{"s", "en", "ltr", "#000000"}, Facts: &facts{Rows: []fact{{"l", []string{"v"}}}, Language: "en", Direction: "ltr", Start: "left", Text: "l: v"},
			Button:  &button{"https://example.net", "b", "en", "ltr"},
			Earlier: &earlierBlock{Heading: "h", Updates: []earlierUpdate{{"w", "s", "<p>e</p>"}}, Language: "en", Direction: "ltr", Text: "h"}, Language: "en", Direction: "ltr", HTML: "<p>a</p>", Text: "a"}, {Language: "nl", Direction: "ltr", HTML: "<p>b</p>", Text: "b"}},
		Unsubscribe: unsubscribe{URL: "https://example.net" + readerPath + readerSlot, Text: "u", Language: "en", Direction: "ltr"}}
	// A subject is put in as text once the mail is compiled: it has to come out the same wherever a layout has it.
	awkward := "<a\"b c'&d>"
	sample.Subject = subjectSlot
	slotted, err := l.page(sample)
	if err != nil {
		return l, layoutError("layout.html", err)
	}
	sample.Subject = awkward
	if plain, err := l.page(sample); err != nil || plain != strings.ReplaceAll(slotted, subjectSlot, htmltemplate.HTMLEscapeString(awkward)) {
		return l, cmp.Or(err, error(notice.Invalid("layout.html", "has .Subject in a place that is neither text nor a quoted attribute")))
	}
	if _, err := l.plain(sample); err != nil {
		return l, layoutError("layout.txt", err)
	}
	return l, nil
}

// outlook returns HTML that Outlook's Word engine alone reads: it knows no max-width. html/template takes comments out
// of a layout.
func outlook(html string) htmltemplate.HTML {
	return htmltemplate.HTML("<!--[if mso]>" + html + "<![endif]-->")
}

func layoutError(name string, err error) error {
	message := strings.TrimPrefix(err.Error(), "template: ")
	message = strings.TrimPrefix(strings.TrimPrefix(message, "html/template:"), name+":")
	line, rest, ok := strings.Cut(message, ":")
	if ok && line != "" && strings.Trim(line, "0123456789") == "" {
		return notice.Invalid(name+":"+line, "%s", strings.TrimSpace(rest))
	}
	return notice.Invalid(name, "%s", strings.TrimSpace(message))
}

func (l layouts) page(d layoutData) (string, error)  { return execute(l.html, d) }
func (l layouts) plain(d layoutData) (string, error) { return execute(l.text, d) }

func execute(t interface{ Execute(io.Writer, any) error }, d layoutData) (string, error) {
	var b strings.Builder
	err := t.Execute(&b, d)
	return b.String(), err
}

// In a layout that was executed, a slot stands for the subject, for the token of the reader's page, and for the body of
// each language. A slot is noncharacters around a letter.
const (
	slotMark    = "\uFDD1"
	subjectSlot = slotMark + "s" + slotMark
	readerSlot  = slotMark + "r" + slotMark
)

// escapedSlot is a slot as html/template writes it in the address of a link.
var escapedSlot = strings.ToLower(url.QueryEscape(readerSlot))

func bodySlot(i int) string { return slotMark + string(rune('a'+i)) + slotMark }

// around returns both layouts around the bodies of blocks.
func (l layouts) around(d layoutData) (page, plain string, err error) {
	d.Subject = subjectSlot
	for i := range d.Blocks {
		d.Blocks[i].HTML, d.Blocks[i].Text = htmltemplate.HTML(bodySlot(i)), bodySlot(i)
	}
	if page, err = l.page(d); err == nil {
		page = strings.ReplaceAll(page, escapedSlot, readerSlot)
		plain, err = l.plain(d)
	}
	if err != nil {
		return "", "", fmt.Errorf("execute layout: %w", err)
	}
	if plain = strings.TrimSpace(plain); plain == "" {
		return "", "", errors.New("the layout of the text part left nothing of it")
	}
	return page, plain + "\n", nil
}

// slots puts pieces into the slots of an executed layout.
func slots(layout string, subject piece, bodies [][]piece) (pieces []piece) {
	for i, s := range strings.Split(layout, slotMark) {
		switch {
		case i%2 == 0:
			pieces = add(pieces, piece{Text: s})
		case s == "s":
			pieces = add(pieces, subject)
		case s == "r":
			pieces = add(pieces, piece{Field: fieldReader})
		default:
			pieces = add(pieces, bodies[s[0]-'a']...)
		}
	}
	return pieces
}
