package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/language"

	"tocsin/internal/cldr"
	"tocsin/internal/notice"
)

// The most that a text may be, in bytes: far more than anybody reads.
const (
	maxSubject = 1000
	maxBody    = 256 << 10
)

// Source holds all that a Program is compiled from.
type Source struct {
	Body        notice.Body
	Texts       map[string]notice.Text // per language, as Set.Texts returned them, then or now
	From        string                 // the sender, as in "Name <addr>"
	ReplyTo     string                 // where answers go if the body does not say; empty = to the sender
	IncidentKey string
	Earlier     []notice.Earlier // of the incident, the last one first
	Correction  bool             // the texts are the body's corrections: errors name them so
	PublicURL   string           // below which readers stop mails, with no slash at its end; empty = they can't
}

// Settings are those of a process that its mails depend on.
type Settings struct {
	From      string // as of Source
	ReplyTo   string // as of Source
	Zone      string // IANA, where a notice has none; empty = UTC
	PublicURL string // as of Source
}

// SourceOf is the source of a notice. Its reply address and zone are those of the settings, unless it has its own.
func SourceOf(b notice.Body, texts map[string]notice.Text, earlier []notice.Earlier, s Settings) Source {
	if b.Zone == "" {
		b.Zone = s.Zone
	}
	return Source{Body: b, Texts: texts, Earlier: earlier, From: s.From, ReplyTo: s.ReplyTo, IncidentKey: b.Incident, PublicURL: s.PublicURL}
}

// Compile checks and parses a notice's texts, each once. Every error is an *notice.Error, and its Field names the file
// or the text and the line.
func (s *Set) Compile(src Source) (*Program, error) {
	if s.layoutErr != nil {
		return nil, s.layoutErr
	}
	p, err := newProgram(src)
	if err != nil {
		return nil, err
	}
	p.layouts, p.languages, p.branding, p.converter = s.layouts, s.languages, s.branding, s.converter
	texts, err := canonicalKeys("texts", src.Texts)
	if err != nil {
		return nil, err
	}
	def, err := defaultLanguage(src.Body.DefaultLanguage, texts)
	if err != nil {
		return nil, err
	}
	// A template that has changed or gone since the texts were frozen costs its line numbers, and its list of
	// parameters. Then any parameter may be absent, and a hole is found when a mail is written.
	files, ready := map[string]textFile{}, src.Body.Template != ""
	var optional map[string]string
	own, err := canonicalKeys("texts", src.Body.Texts)
	if err != nil {
		return nil, err
	}
	if ready {
		if t, err := s.template(src.Body.Template, src.Body.Phase); err == nil {
			files, _ = s.texts(t, src.Body, func(key string) bool { _, ok := texts[key]; return ok })
			optional = t.Optional
		}
	}
	section := textsSection
	if src.Correction {
		section = correctionsSection
	}
	tags := map[string]language.Tag{}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if _, tags[key], err = canonical(key); err != nil {
			return nil, err
		}
		subject := source{label: section + "." + key + ".subject", text: texts[key].Subject}
		body := source{label: section + "." + key + ".body", body: true, text: texts[key].Body}
		f, ok := files[key]
		if ok = ok && f.text == texts[key]; ok {
			subject.label, body.label, body.places = f.subject, f.name, f.places
			p.readied(key, f)
		}
		_, its := own[key]
		t := &text{key: key, source: texts[key], dir: direction(tags[key]), locale: cldr.Find(tags[key]),
			parameters: inLanguage(src.Body.Parameters, tags[key], def)}
		v := vetter{parameters: t.parameters, optional: optional, anyParameter: ready && !ok && !its, zone: p.zone, plurals: t.locale.Plurals}
		if err := p.compileText(t, v, subject, body); err != nil {
			return nil, err
		}
		p.texts[key] = t
	}
	if p.earlier, err = s.compileEarlier(src); err != nil {
		return nil, err
	}
	if p.timed() {
		for _, t := range p.texts {
			t.writes.call("date")
		}
	}
	p.matcher = newMatcher(tags, def)
	if key, exact := p.Match("en"); exact {
		p.english = key
	}
	return p, nil
}

// readied notes that a text is a ready one.
func (p *Program) readied(key string, f textFile) {
	if f.draft {
		p.drafts = append(p.drafts, key)
	}
	if f.foreign != "" {
		p.foreign[key] = f.foreign
	}
}

// newProgram checks all of a source but its texts.
func newProgram(src Source) (*Program, error) {
	b := src.Body
	p := &Program{
		stacked: b.Stacked, corrects: src.Correction,
		fixed:   fixed{incident: src.IncidentKey, notice: noticeFields{b.Key, b.Phase, b.Severity, string(b.Kind)}},
		texts:   map[string]*text{},
		foreign: map[string]string{},
	}
	var err error
	if p.zone, err = notice.LoadZone(b.Zone); err != nil {
		return nil, err
	}
	for i, w := range b.Windows {
		start, end, err := w.Span(b.Zone)
		if err != nil {
			return nil, windowError(i, err)
		}
		p.windows = append(p.windows, window{start, end})
	}
	for _, w := range b.Was {
		start, end, err := w.Span(b.Zone)
		if err != nil {
			return nil, notice.Invalid("was", "%v", err)
		}
		p.was = append(p.was, window{start, end})
	}
	if p.from, err = parseMailbox(src.From); err != nil {
		return nil, notice.Invalid("from", "%q is not a sender such as Example Status <status@example.net>", src.From)
	}
	p.announced = p.fixed
	if p.announced.was = nil; b.Phase == notice.PhaseRescheduled {
		p.announced.notice.Phase = notice.PhaseScheduled
	}
	p.calendar = p.calendarOf(b)
	if p.choices, err = choicesOf(src); err != nil {
		return nil, err
	}
	replyTo := b.ReplyTo
	if replyTo == "" {
		replyTo = src.ReplyTo
	}
	if replyTo != "" {
		if p.replyTo, err = parseMailbox(replyTo); err != nil {
			return nil, notice.Invalid("reply_to", "%q is not an address", replyTo)
		}
		if strings.ContainsFunc(p.replyTo.Address, func(r rune) bool { return r > unicode.MaxASCII }) {
			// Such a header needs a relay with SMTPUTF8 (RFC 6532), for mailboxes too that need none.
			p.doubts = append(p.doubts, notice.Invalid("reply_to", "holds letters beyond ASCII before the @, which many mail servers refuse: name another mailbox"))
		}
	}
	return p, nil
}

func defaultLanguage(name string, texts map[string]notice.Text) (string, error) {
	have := slices.Sorted(maps.Keys(texts))
	switch {
	case len(have) == 0:
		return "", notice.Invalid("texts", "the notice has no texts")
	case name == "" && len(have) == 1:
		return have[0], nil
	case name == "" && slices.Contains(have, "en"):
		return "en", nil
	case name == "":
		return "", notice.Invalid("default_language", "say which of %s it is", strings.Join(have, ", "))
	}
	key, _, err := canonical(name)
	if err != nil {
		return "", notice.Invalid("default_language", "%v", err)
	}
	if !slices.Contains(have, key) {
		return "", notice.Invalid("default_language", "there is no text in %s, only in %s", key, strings.Join(have, ", "))
	}
	return key, nil
}

// compileText vets the text of one language and prepares it to be run.
func (p *Program) compileText(t *text, v vetter, subject, body source) error {
	switch {
	case strings.TrimSpace(subject.text) == "":
		return notice.Invalid(subject.label, "is empty")
	case strings.ContainsAny(subject.text, "\r\n"):
		return notice.Invalid(subject.label, "must be one line")
	case len(subject.text) > maxSubject:
		return notice.Invalid(subject.label, "is longer than %d bytes", maxSubject)
	case strings.TrimSpace(body.text) == "":
		return notice.Invalid(body.label, "is empty")
	case len(body.text) > maxBody:
		return notice.Invalid(body.label, "is longer than %d bytes", maxBody)
	}
	body.text = strings.ReplaceAll(body.text, "\r\n", "\n")
	sv, bv := v, v
	sv.source, bv.source = subject, body
	for _, v := range []*vetter{&sv, &bv} {
		if err := v.run(); err != nil {
			return err
		}
		t.writes.addAll(v.nodes)
		t.individual = t.individual || slices.ContainsFunc(v.nodes, func(n node) bool { return n.action != nil && n.action.expr != nil && n.action.expr.mayDiffer() })
		p.doubts, p.conditions = append(p.doubts, v.doubts...), append(p.conditions, v.conditions...)
	}
	t.tokens = newTokens(bv.nodes, sv.nodes)
	t.subject = nodes{label: subject.label, all: build(sv.nodes), slots: sv.slots}
	var literal strings.Builder
	for _, n := range sv.nodes {
		literal.WriteString(n.literal)
		if n.action != nil {
			literal.WriteByte(1)
		}
	}
	p.seek(subject, t, literal.String())
	all, err := p.prepare(body, t)
	if err != nil {
		return err
	}
	t.body = nodes{label: body.label, all: all, slots: bv.slots}
	for _, n := range []*nodes{&t.subject, &t.body} {
		p.number(t.key, n.all)
		if decides(n.all) {
			n.decisions = decisions(n.all)
		}
	}
	return nil
}

func windowError(i int, err error) error {
	field := "zone"
	message := err.Error()
	if e, ok := errors.AsType[*notice.Error](err); ok {
		field, message = e.Field, e.Message
	}
	return notice.Invalid(fmt.Sprintf("windows[%d].%s", i, field), "%s", message)
}
