package render

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"

	"tocsin/internal/notice"
)

// The forms in which a value is printed, which are added up.
const (
	formIsolated = 1 << iota // with marks of direction, where the value would mix with the text around it
	formURL                  // characters that would end an address are escaped
	formQuery                // as a part of a query: characters with a meaning in it are escaped as well
	formHTML                 // as text or attribute of HTML
)

// piece is a run of text that all mails of a kind have in common, or a place where they differ. A place is for a value,
// a line to be wrapped, or a field of a header. It is encoded as a part of a Mail.
type piece struct {
	Text  string `json:"text,omitempty"`
	Col   int    `json:"col,omitempty"`   // in which column the line stands after Text, once it is quoted-printable
	Value int    `json:"value,omitempty"` // number of a value, and 1 more
	Form  int    `json:"form,omitempty"`
	Line  *line  `json:"line,omitempty"`
	Table *table `json:"table,omitempty"`
	Field field  `json:"field,omitempty"`

	Base64 []piece `json:"base64,omitempty"` // a part in base64; its text is not encoded

	encoded *[3]string       // Text within Base64, as whole lines: without the first bytes, by their number; nil = it is short
	grown   *strings.Builder // add has made Text in it; it may have grown further since
}

// add appends pieces to others; text that follows text becomes one piece with it.
func add(pieces []piece, more ...piece) []piece {
	for _, p := range more {
		last := len(pieces) - 1
		switch {
		case p.empty():
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

func (p piece) constant() bool {
	return p.Value == 0 && p.Line == nil && p.Table == nil && p.Field == 0 && p.Base64 == nil
}

func (p piece) empty() bool { return p.constant() && p.Text == "" && p.Col == 0 }

// block is the text of one language in a mail that is being compiled.
type block struct {
	label   string // of the text, for errors
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
		at := b.tokens.find(s)
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
func (b *block) cut(html string) {
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
			return
		}
		at = m[1]
		if html[m[4]:m[5]] == "code" {
			inCode = m[2] == m[3]
		}
		b.tag(html[m[0]:m[1]])
	}
}

// tag adds the pieces of a tag.
func (b *block) tag(tag string) {
	for b.tokens.find(tag) != nil {
		m := attribute.FindStringSubmatchIndex(tag)
		if m == nil {
			break
		}
		b.html = add(b.html, piece{Text: tag[:m[4]]})
		if name, content := tag[m[2]:m[3]], tag[m[4]:m[5]]; b.tokens.find(content) != nil && (name == "href" || name == "src") {
			b.html = b.address(b.html, content, formHTML)
		} else {
			b.html = b.expand(b.html, content, formHTML)
		}
		tag = tag[m[5]:]
	}
	b.html = add(b.html, piece{Text: tag})
}

// look looks at the addresses of a text's links. One that holds values of the recipient is kept, unless it leads to one
// host whatever they are.
func (b *block) look(doc ast.Node, md []byte) error {
	var bad error
	destinations(doc, md, func(_ ast.Node, address []byte) {
		token := b.tokens.form.FindString(string(address))
		at := &site{Where: b.label}
		if token != "" {
			at = b.prints[b.tokens.number(token)].at
		}
		pieces := b.address(nil, string(util.URLEscape(address, true)), 0)
		switch {
		case len(pieces) > 0 && settled(pieces[0].Text):
		case len(pieces) > 1 || len(pieces) == 1 && !pieces[0].constant():
			b.values.mail.Links = append(b.values.mail.Links, link{pieces, at})
		case token != "" && len(pieces) == 1 && barred(pieces[0].Text):
			bad = cmp.Or(bad, at.leadsNowhere())
		case b.values.mail.doubt == nil:
			fixed := ""
			if len(pieces) == 1 {
				fixed = pieces[0].Text
			}
			if why := astray(fixed); why != "" {
				b.values.mail.doubt = notice.Invalid(at.Where, "the address %q of a link %s: %s", fixed, why, linkAdvice)
			}
		}
	})
	return bad
}
