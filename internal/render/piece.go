package render

import (
	"regexp"
	"strings"
)

// The forms in which a value is printed, which are added up.
const (
	formIsolated = 1 << iota // with marks of direction, where the value would mix with the text around it
	formURL                  // what would end an address is escaped
	formQuery                // as a part of a query: what has a meaning in it is escaped as well
	formHTML                 // as text or attribute of HTML
)

// piece is a run of text that all mails of a kind have in common, or a place where they differ: a value, a line to be
// wrapped, or a field of a header. It is encoded as a part of a Mail.
type piece struct {
	Text  string `json:"text,omitempty"`
	Col   int    `json:"col,omitempty"`   // in which column the line stands after Text, once it is quoted-printable
	Value int    `json:"value,omitempty"` // number of a value, and 1 more
	Form  int    `json:"form,omitempty"`
	Line  *line  `json:"line,omitempty"`
	Field field  `json:"field,omitempty"`

	grown *strings.Builder // what add has made Text in; may have grown further since
}

// add appends pieces to others; text that follows text becomes one piece with it.
func add(pieces []piece, more ...piece) []piece {
	for _, p := range more {
		last := len(pieces) - 1
		switch {
		case p == piece{}:
		case last >= 0 && p.constant() && pieces[last].constant():
			pieces[last].extend(p)
		default:
			pieces = append(pieces, p)
		}
	}
	return pieces
}

func (p *piece) extend(by piece) {
	if p.grown == nil || p.grown.Len() != len(p.Text) {
		p.grown = &strings.Builder{}
		p.grown.WriteString(p.Text)
	}
	p.grown.WriteString(by.Text)
	p.Text, p.Col = p.grown.String(), by.Col
}

func (p piece) constant() bool { return p.Value == 0 && p.Line == nil && p.Field == 0 }

// block is the text of one language in a mail that is being compiled.
type block struct {
	tokens  *tokens
	prints  []print
	rtl     bool
	values  *values
	subject []piece
	html    []piece
	text    []piece
}

// printed returns the piece for a token.
func (b *block) printed(token string, form int) piece {
	p := b.prints[b.tokens.number(token)]
	if p.value > 0 {
		return piece{Value: p.value, Form: form}
	}
	w := writer{plain: true}
	w.value(result{p.s, p.text, b.rtl}, form)
	return piece{Text: string(w.buf)}
}

// expand returns text with a piece for each token.
func (b *block) expand(pieces []piece, s string, form int) []piece {
	for {
		at := b.tokens.form.FindStringIndex(s)
		if at == nil {
			return add(pieces, piece{Text: s})
		}
		pieces = add(pieces, piece{Text: s[:at[0]]}, b.printed(s[at[0]:at[1]], form))
		s = s[at[1]:]
	}
}

// address returns an address with a piece for each token.
func (b *block) address(pieces []piece, s string, form int) []piece {
	path, query := s, ""
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		path, query = s[:i], s[i:]
	}
	return b.expand(b.expand(pieces, path, form|formURL), query, form|formQuery)
}

var (
	markup    = regexp.MustCompile(`<(/?)([a-z0-9]+)[^>]*>`)
	attribute = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// cut returns the pieces of HTML with tokens.
func (b *block) cut(html string) error {
	at, inCode := 0, false
	for _, m := range append(markup.FindAllStringSubmatchIndex(html, -1), nil) {
		end := len(html)
		if m != nil {
			end = m[0]
		}
		form := formHTML | formIsolated
		if inCode {
			form = formHTML
		}
		b.html = b.expand(b.html, html[at:end], form)
		if m == nil {
			return nil
		}
		at = m[1]
		if html[m[4]:m[5]] == "code" {
			inCode = m[2] == m[3]
		}
		if err := b.tag(html[m[0]:m[1]]); err != nil {
			return err
		}
	}
	return nil
}

// tag adds the pieces of a tag.
func (b *block) tag(tag string) error {
	for b.tokens.form.MatchString(tag) {
		m := attribute.FindStringSubmatchIndex(tag)
		if m == nil {
			break
		}
		b.html = add(b.html, piece{Text: tag[:m[4]]})
		if name, content := tag[m[2]:m[3]], tag[m[4]:m[5]]; b.tokens.form.MatchString(content) && (name == "href" || name == "src") {
			if err := b.link(content); err != nil {
				return err
			}
			b.html = b.address(b.html, content, formHTML)
		} else {
			b.html = b.expand(b.html, content, formHTML)
		}
		tag = tag[m[5]:]
	}
	b.html = add(b.html, piece{Text: tag})
	return nil
}

// link looks at an address that holds tokens: it must lead where a reader can go, whatever the values are.
func (b *block) link(content string) error {
	first := b.prints[b.tokens.number(b.tokens.form.FindString(content))]
	pieces := b.address(nil, content, 0)
	switch {
	case leads(pieces[0].Text):
		return nil
	case len(pieces) > 1 || !pieces[0].constant():
		b.values.mail.Links = append(b.values.mail.Links, link{pieces, first.at})
	case !relative(pieces[0].Text):
		return first.at.leadsNowhere()
	}
	return nil
}
