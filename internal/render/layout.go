package render

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	"text/template"

	"tocsin/internal/notice"
)

// layouts is what the bodies of a mail are put into.
type layouts struct {
	html *htmltemplate.Template
	text *template.Template
}

// layoutData is what a layout can use.
type layoutData struct {
	Subject   string
	Language  string // of the first block, BCP 47
	Direction string // of the first block: ltr or rtl
	Sender    string // the name that the mail comes from
	Key       string // the notice's key
	Kind      string
	Phase     string
	Severity  string // may be empty
	Blocks    []block
}

// block is the body of a mail in one language.
type block struct {
	Language  string
	Direction string
	HTML      htmltemplate.HTML // what html/template has escaped already
	Text      string
}

// parseLayouts parses both layouts and runs them once, so that what they get wrong shows before the first notice.
func (s *Set) parseLayouts() (l layouts, err error) {
	page, err := s.file("layout.html")
	if err != nil {
		return l, fmt.Errorf("read layout: %w", err)
	}
	plain, err := s.file("layout.txt")
	if err != nil {
		return l, fmt.Errorf("read layout: %w", err)
	}
	if l.html, err = htmltemplate.New("layout.html").Parse(string(page)); err != nil {
		return l, layoutError("layout.html", err)
	}
	if l.text, err = template.New("layout.txt").Parse(string(plain)); err != nil {
		return l, layoutError("layout.txt", err)
	}
	sample := layoutData{Subject: "s", Language: "en", Direction: "ltr", Sender: "s", Key: "k", Kind: "outage",
		Phase: "resolved", Severity: "minor", Blocks: []block{{"en", "ltr", "<p>a</p>", "a"}, {"nl", "ltr", "<p>b</p>", "b"}}}
	if err := l.html.Execute(io.Discard, sample); err != nil {
		return l, layoutError("layout.html", err)
	}
	if err := l.text.Execute(io.Discard, sample); err != nil {
		return l, layoutError("layout.txt", err)
	}
	return l, nil
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

func (l layouts) page(d layoutData) (string, error) {
	var b bytes.Buffer
	if err := l.html.Execute(&b, d); err != nil {
		return "", fmt.Errorf("execute layout: %w", err)
	}
	return b.String(), nil
}

func (l layouts) plain(d layoutData) (string, error) {
	var b bytes.Buffer
	if err := l.text.Execute(&b, d); err != nil {
		return "", fmt.Errorf("execute layout: %w", err)
	}
	if strings.TrimSpace(b.String()) == "" {
		return "", errors.New("the layout of the text part left nothing of it")
	}
	return strings.TrimSpace(b.String()) + "\n", nil
}
