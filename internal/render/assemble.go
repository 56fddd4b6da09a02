package render

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"

	"tocsin/internal/notice"
)

// values collects the values of a mail that is being compiled, each once.
type values struct {
	mail    *Mail
	index   map[string]int
	locale  int
	section int
}

// add returns the number of a value, and 1 more.
func (v *values) add(x *expr, at *site) int {
	where := *at
	encoded, _ := json.Marshal(x)
	key := strconv.Itoa(v.locale) + " " + strconv.Itoa(v.section) + string(encoded)
	n, ok := v.index[key]
	if !ok {
		v.mail.Values = append(v.mail.Values, printed{Expr: x, At: &where, Locale: v.locale, Section: v.section})
		n = len(v.mail.Values)
		v.index[key] = n
	}
	return n
}

// compile makes the mail for a recipient, and for all others with data that take the same decisions. It has sections
// for customers by number, or none.
func (p *Program) compile(reader *reader, to notice.Recipient, sections [][]int) (*Mail, error) {
	m, blocks, err := p.blocksFor(reader, to, sections)
	if err != nil {
		return nil, err
	}
	data := p.layoutData(reader)
	page, plain, err := p.layouts.around(data)
	if err != nil {
		return nil, err
	}
	var html, text [][]piece
	var languages []string
	for i, b := range blocks {
		html, text, languages = append(html, b.html), append(text, b.text), append(languages, reader.texts[i].key)
	}
	m.Pieces = p.head(languages)
	var number byte
	shown := textPart("text/html", slots(page, m.title(fieldTitle), html))
	if data.Brand.Logo != nil && strings.Contains(page, data.Brand.Logo.ID) {
		shown = p.branding.Logo.beside(shown)
	}
	content := part{kind: "multipart/alternative", parts: []part{textPart("text/plain", slots(plain, m.title(fieldTextTitle), text)), shown}}
	// A newcomer who reads a correction got the windows of the text that it corrects.
	told := reader.fixed == &p.fixed || p.corrects
	if p.calendar != nil && (told || len(p.windows) > 0) {
		c := *p.calendar
		c.Language, c.Zone = languages[0], zone{reader.zone}
		if !told {
			c.Dropped = nil
		}
		m.Calendar = &c
		content = part{kind: "multipart/mixed", parts: []part{content, m.calendarPart()}}
	}
	m.Pieces = content.append(m.Pieces, &number)
	m.trim()
	m.encodeConstants()
	return m, nil
}

// title is the subject in a part of the mail: text where it is the same for all recipients.
func (m *Mail) title(which field) piece {
	subject := m.oneSubject()
	if subject == nil {
		return piece{Field: which}
	}
	w := writer{plain: true}
	w.field(which, "", subject, &Stamp{})
	return piece{Text: string(w.buf)}
}

// oneSubject returns the subject where it is the same for all recipients, else nil.
func (m *Mail) oneSubject() []byte {
	for _, pieces := range m.Subjects {
		if slices.ContainsFunc(pieces, func(p piece) bool { return !p.constant() }) {
			return nil
		}
	}
	var f filling
	if m.fillSubject(&f) != nil {
		return nil // the error is that of each recipient
	}
	return f.subject
}

// blocksFor compiles the texts for a reader, and returns a mail that has their values and subjects and no pieces yet.
func (p *Program) blocksFor(reader *reader, to notice.Recipient, sections [][]int) (*Mail, []*block, error) {
	m := &Mail{Version: mailVersion, Locales: append([]locale(nil), reader.locales...), Sections: sections}
	v := &values{mail: m, index: map[string]int{}}
	parts := parts(to, sections)
	var blocks []*block
	for i, t := range reader.texts {
		v.locale = i
		var own []*block
		for n, part := range parts {
			v.section = n
			x, err := p.expand(t, v, p.env(reader, i, part))
			if err != nil {
				return nil, nil, err
			}
			b, err := p.block(x)
			if err != nil {
				return nil, nil, err
			}
			own = append(own, b)
		}
		b := own[0]
		if sections != nil {
			b = joined(own, parts)
		}
		m.Subjects, m.SubjectAt = append(m.Subjects, b.subject), append(m.SubjectAt, t.subject.label)
		blocks = append(blocks, b)
	}
	return m, blocks, nil
}

// layoutData returns the data of the layouts for a reader, without the subject and the bodies.
func (p *Program) layoutData(reader *reader) layoutData {
	data := layoutData{Language: reader.texts[0].key, Direction: reader.texts[0].dir, Sender: cmp.Or(p.branding.Name, p.sender()), Key: p.notice.Key,
		Kind: p.notice.Kind, Phase: reader.fixed.notice.Phase, Severity: p.notice.Severity, Unsubscribe: p.unsubscribe(reader.texts[0]),
		Brand: p.branding.brand(), Footer: p.branding.footer(reader.texts[0])}
	for i, t := range reader.texts {
		data.Blocks = append(data.Blocks, layoutBlock{Standing: p.standing(t, reader.fixed.notice), Facts: p.facts(reader, i), Button: p.button(t), Earlier: reader.earlier[i], Language: t.key, Direction: t.dir})
	}
	return data
}

// expanded is the text of one language without its controls: Markdown with tokens for values.
type expanded struct {
	text                      *text
	values                    *values
	rtl                       bool
	subject, body             string
	subjectPrints, bodyPrints []print
	trace, own                []byte // the decisions taken: of all kinds, and of the customer's own
	steps                     int
}

// expand runs the text of one language.
func (p *Program) expand(t *text, v *values, e env) (*expanded, error) {
	run := runner{env: e, out: &expander{tokens: t.tokens, values: v}}
	x := &expanded{text: t, values: v, rtl: e.RTL}
	run.begin(&t.subject)
	if err := run.run(t.subject.all); err != nil {
		return nil, err
	}
	x.subject, x.subjectPrints = run.out.text.String(), run.out.prints
	run.begin(&t.body)
	if err := run.run(t.body.all); err != nil {
		return nil, err
	}
	x.body, x.bodyPrints, x.trace = run.out.text.String(), run.out.prints, run.trace
	x.own, x.steps = run.own, run.steps
	return x, bounded(x.body, func(int) string { return t.body.label })
}

// block makes HTML and text of the expanded text of one language.
func (p *Program) block(x *expanded) (*block, error) {
	b := &block{label: x.text.body.label, tokens: x.text.tokens, rtl: x.rtl, values: x.values, prints: x.subjectPrints}
	b.subject = b.expand(nil, x.subject, 0)
	b.prints = x.bodyPrints
	doc, page, md, err := p.converter.convert(x.body)
	if err != nil {
		return nil, notice.Invalid(x.text.body.label, "%v", err)
	}
	b.write(doc, md)
	if len(b.text) == 0 {
		return nil, notice.Invalid(x.text.body.label, "is empty for this recipient")
	}
	b.cut(page)
	return b, b.look(doc, md)
}

// write makes the text part of a Markdown tree.
func (b *block) write(doc ast.Node, md []byte) {
	w := plainWriter{block: b, source: md}
	w.blocks(doc, true)
}

// head returns the headers that come before those of the parts.
func (p *Program) head(languages []string) (head []piece) {
	line := func(name, value string) piece { return piece{Text: string(appendHeader(nil, name, value))} }
	head = add(head, line("From", nameAddr(p.from)), piece{Field: fieldTo})
	if p.replyTo != nil {
		head = add(head, line("Reply-To", nameAddr(p.replyTo)))
	}
	head = add(head, piece{Field: fieldDate}, piece{Field: fieldSubject}, piece{Field: fieldMessageID}, piece{Field: fieldReplies},
		line("Content-Language", strings.Join(languages, ", ")), line("Auto-Submitted", "auto-generated"),
		line("X-Auto-Response-Suppress", "OOF, AutoReply"), // as Exchange wants it said
		piece{Field: fieldNotice}, line("List-Id", "<"+listID(p.from)+">"))
	head = add(head, p.choices.header()...)
	return add(head, line("Feedback-ID", p.feedbackID()), line("MIME-Version", "1.0"))
}

// sender is the name that mails come from.
func (p *Program) sender() string {
	if p.from.Name != "" {
		return p.from.Name
	}
	return p.from.Address
}

// trim empties the parts of a mail's locales that its values do not need, so that mails that are the same are equal.
func (m *Mail) trim() {
	uses := make([]writes, len(m.Locales))
	for _, v := range m.Values {
		uses[v.Locale].add(v.Expr, kindText)
	}
	for i, u := range uses {
		m.Locales[i] = m.Locales[i].part(u)
	}
}

// writes says which parts of a reader's locale values are written with.
type writes struct{ format, zone, lists, durations, money, plurals bool }

// add notes the needs of an expression of a kind; of a condition only those of functions in it.
func (w *writes) add(x *expr, k kind) {
	switch {
	case x.Op == opCall && functions[x.Name].reader:
		w.call(x.Name)
	case k == kindMoment || k == kindWindow:
		w.call("date")
	case k == kindNumber, k != kindBool && (x.Op == opNumber || x.Op == opCall && x.Name == "len"):
		w.format = true
	}
	if k != kindBool {
		k = kindText
	}
	for _, a := range x.Args {
		w.add(a, k)
	}
}

// call notes the needs of a function that formats.
func (w *writes) call(function string) {
	w.format = true
	switch function {
	case "date":
		w.zone = true
	case "list":
		w.lists = true
	case "duration":
		w.durations, w.lists, w.plurals = true, true, true
	case "money":
		w.money = true
	case "plural":
		w.plurals = true
	}
}

// addAll notes the needs of the values that actions print, set or decide upon.
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
		n += 100 + len(p.Text) + 100*len(p.Base64) + 5*textLength(p.Base64)
		if p.Line != nil {
			for _, p := range p.Line.Pieces {
				n += 100 + len(p.Text)
			}
		}
		if p.Table != nil {
			n += 200 * len(p.Table.Rows) * len(p.Table.Right)
		}
	}
	return n
}
