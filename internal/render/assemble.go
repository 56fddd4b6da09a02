package render

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"

	"tocsin/internal/notice"
)

// values collects the values of a mail that is being compiled, each once.
type values struct {
	mail   *Mail
	index  map[string]int
	locale int
}

// add returns the number of a value, and 1 more.
func (v *values) add(x *expr, at *site) int {
	where := *at
	encoded, _ := json.Marshal(x)
	key := strconv.Itoa(v.locale) + string(encoded)
	n, ok := v.index[key]
	if !ok {
		v.mail.Values = append(v.mail.Values, printed{Expr: x, At: &where, Locale: v.locale})
		n = len(v.mail.Values)
		v.index[key] = n
	}
	return n
}

// compile makes the mail for a recipient, and all others whose data takes the same decisions.
func (p *Program) compile(reader *reader, to notice.Recipient) (*Mail, error) {
	m := &Mail{Version: mailVersion, Locales: append([]locale(nil), reader.locales...)}
	v := &values{mail: m, index: map[string]int{}}
	data := layoutData{Language: reader.texts[0].key, Direction: reader.texts[0].dir, Sender: p.sender(), Key: p.notice.Key,
		Kind: p.notice.Kind, Phase: p.notice.Phase, Severity: p.notice.Severity}
	var html, text [][]piece
	var languages []string
	for i, t := range reader.texts {
		v.locale = i
		b, err := p.block(t, v, p.env(reader, i, to))
		if err != nil {
			return nil, err
		}
		data.Blocks = append(data.Blocks, layoutBlock{Language: t.key, Direction: t.dir})
		m.Subjects, m.SubjectAt = append(m.Subjects, b.subject), append(m.SubjectAt, t.subject.label)
		html, text, languages = append(html, b.html), append(text, b.text), append(languages, t.key)
	}
	page, plain, err := p.layouts.around(data)
	if err != nil {
		return nil, err
	}
	m.Pieces = p.head(languages)
	var number byte
	m.Pieces = part{kind: "multipart/alternative", parts: []part{
		textPart("text/plain", slots(plain, fieldTextTitle, text)),
		textPart("text/html", slots(page, fieldTitle, html)),
	}}.append(m.Pieces, &number)
	m.trim()
	return m, nil
}

// block compiles the text of one language.
func (p *Program) block(t *text, v *values, e env) (*block, error) {
	run := runner{env: e, out: &expander{tokens: t.tokens, values: v}}
	b := &block{tokens: t.tokens, rtl: e.RTL, values: v}
	run.begin(&t.subject)
	if err := run.run(t.subject.all); err != nil {
		return nil, err
	}
	b.prints = run.out.prints
	b.subject = b.expand(nil, run.out.text.String(), 0)
	run.begin(&t.body)
	if err := run.run(t.body.all); err != nil {
		return nil, err
	}
	b.prints = run.out.prints
	if err := bounded(run.out.text.String(), func(int) string { return t.body.label }); err != nil {
		return nil, err
	}
	doc, page, md, err := p.converter.convert(run.out.text.String())
	if err != nil {
		return nil, notice.Invalid(t.body.label, "%v", err)
	}
	b.write(doc, md)
	if len(b.text) == 0 {
		return nil, notice.Invalid(t.body.label, "is empty for this recipient")
	}
	return b, b.cut(page)
}

// write makes the text part of a Markdown tree.
func (b *block) write(doc ast.Node, md []byte) {
	w := plainWriter{block: b, source: md}
	w.blocks(doc, true)
}

// head returns the headers that come before those of the parts.
func (p *Program) head(languages []string) (head []piece) {
	line := func(name, value string) piece { return piece{Text: string(appendHeader(nil, name, value))} }
	head = add(head, line("From", p.from.String()), piece{Field: fieldTo})
	if p.replyTo != nil {
		head = add(head, line("Reply-To", p.replyTo.String()))
	}
	return add(head, piece{Field: fieldDate}, piece{Field: fieldSubject}, piece{Field: fieldMessageID}, piece{Field: fieldReplies},
		line("Content-Language", strings.Join(languages, ", ")), line("Auto-Submitted", "auto-generated"),
		piece{Field: fieldNotice}, piece{Field: fieldListID}, line("MIME-Version", "1.0"))
}

// sender is the name that mails come from.
func (p *Program) sender() string {
	if p.from.Name != "" {
		return p.from.Name
	}
	return p.from.Address
}

// trim leaves out of a mail's locales what its values do not need, so that mails that are the same are equal.
func (m *Mail) trim() {
	uses := make([]writes, len(m.Locales))
	for _, v := range m.Values {
		uses[v.Locale].add(v.Expr, kindText)
	}
	for i, u := range uses {
		if !u.locale {
			m.Locales[i].Format = nil
		}
		if !u.zone {
			m.Locales[i].Zone, m.Locales[i].Notice = zone{}, zone{}
		}
	}
}

// writes is what of a reader's locale values are written with.
type writes struct{ locale, zone bool }

// add notes what an expression of a kind needs; of a condition only what functions in it write.
func (w *writes) add(x *expr, k kind) {
	switch {
	case k == kindMoment || k == kindWindow || x.Op == opCall && x.Name == "date":
		w.locale, w.zone = true, true
	case x.Op == opCall && x.Name == "number",
		k == kindNumber, k != kindBool && (x.Op == opNumber || x.Op == opCall && x.Name == "len"):
		w.locale = true
	}
	if k != kindBool {
		k = kindText
	}
	for _, a := range x.Args {
		w.add(a, k)
	}
}

// addAll notes what the values need that actions print, set or decide upon.
func (w *writes) addAll(flat []node) {
	for _, n := range flat {
		switch a := n.action; {
		case a == nil || a.expr == nil:
		case a.keyword == "" || a.keyword == "set":
			w.add(a.expr, a.kind)
		default:
			w.add(a.expr, kindBool)
		}
	}
}

// size is about how much memory a mail takes, in bytes.
func (m *Mail) size() int {
	n := 1000 + 300*len(m.Values)
	for _, p := range m.Pieces {
		n += 100 + len(p.Text)
		if p.Line != nil {
			for _, w := range p.Line.Words {
				n += 80 + len(w.Text) + 100*len(w.Pieces)
			}
		}
	}
	return n
}
