package render

import (
	"cmp"
	htmltemplate "html/template"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// earlierWord is the name of the words above earlier notices.
const earlierWord = "earlier"

// maxSummary is how long a summary of an earlier notice may be, in bytes: of a longer one the mail has the subject alone.
const maxSummary = 2000

// earlierNotice is an earlier notice of the incident.
type earlierNotice struct {
	at      time.Time
	phase   string
	program *Program // of its summaries; nil where they don't work any more
}

// earlierBlock is the earlier notices of the incident, below a text.
type earlierBlock struct {
	Heading   string
	Updates   []earlierUpdate
	Language  string // of the heading, BCP 47
	Direction string // ltr or rtl
	Text      string // for the text part: a heading for each
}

// earlierUpdate is one of them: when it was sent, as its reader writes that, the state then, and its summary.
type earlierUpdate struct {
	When, State string
	HTML        htmltemplate.HTML // may be empty
}

// Summaries returns a summary of a notice per language of its texts, for the mails of later notices. A summary has its
// subject, and the phrases and the paragraph that a notice with a ready text gave. There is none in a language in which
// the text prints data of customers.
func (s *Set) Summaries(b notice.Body, texts map[string]notice.Text) map[string]notice.Text {
	all := map[string]notice.Text{}
	for key, t := range texts {
		subject := notice.Text{Subject: t.Subject, Body: "**" + literally(t.Subject) + "**"}
		whole := subject
		if _, own := b.Texts[key]; b.Template != "" && !own {
			whole.Body += s.given(b, key)
		}
		for _, summary := range []notice.Text{whole, subject} {
			if len(summary.Body) <= maxSummary && s.impersonal(b, key, summary) {
				all[key] = summary
				break
			}
		}
	}
	return all
}

// given returns the phrases and the paragraph of a notice in a language, as paragraphs of Markdown.
func (s *Set) given(b notice.Body, key string) string {
	w := writing{Set: s, language: key, notice: b, own: details(b.Details, language.Make(key), b.DefaultLanguage), file: &textFile{}}
	for _, sort := range []string{"cause", "effect", "work", "estimate"} {
		w.add("", "")
		if w.phrases(sort, "") != nil {
			return ""
		}
	}
	w.add("", "")
	if w.details("") != nil {
		return ""
	}
	return "\n" + strings.Join(w.lines, "\n")
}

// impersonal reports whether a summary can be made, and is the same for all readers of a language.
func (s *Set) impersonal(b notice.Body, key string, summary notice.Text) bool {
	body := b.Shown()
	body.DefaultLanguage = key
	p, err := s.Compile(Source{Body: body, Texts: map[string]notice.Text{key: summary}, From: "summary@tocsin.invalid"})
	if err != nil {
		return false
	}
	html, err := p.summary(readerKey{text: key, language: key})
	return err == nil && html != ""
}

var (
	punctuation = regexp.MustCompile("[\\\\`*_{}\\[\\]<>()#+.!|~&-]")
	actions     = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
)

// literally returns Markdown that shows a subject as it is; its actions stay.
func literally(subject string) string {
	var b strings.Builder
	at := 0
	for _, m := range append(actions.FindAllStringIndex(subject, -1), []int{len(subject), len(subject)}) {
		b.WriteString(punctuation.ReplaceAllString(subject[at:m[0]], `\$0`) + subject[m[0]:m[1]])
		at = m[1]
	}
	return b.String()
}

// compileEarlier compiles the summaries of a source's earlier notices.
func (s *Set) compileEarlier(src Source) (all []earlierNotice, err error) {
	for _, e := range src.Earlier {
		n := earlierNotice{at: e.At, phase: e.Body.Phase}
		if len(e.Texts) > 0 {
			if _, ok := e.Texts[e.Body.DefaultLanguage]; !ok {
				e.Body.DefaultLanguage = slices.Min(slices.Collect(maps.Keys(e.Texts)))
			}
			own := Source{Body: e.Body, Texts: e.Texts, From: src.From}
			own.Body.Zone = cmp.Or(own.Body.Zone, src.Body.Zone)
			n.program, _ = s.Compile(own) // without a summary its time and state are shown
		}
		all = append(all, n)
	}
	return all, nil
}

// summary returns the HTML of an earlier notice's summary for a reader, "" where it depends on the customer.
func (p *Program) summary(key readerKey) (htmltemplate.HTML, error) {
	reader, err := p.reader(key)
	if err != nil {
		return "", err
	}
	to := notice.Recipient{Customers: []notice.Frozen{{ID: "-"}}}
	m, blocks, err := p.blocksFor(reader, to, nil)
	if err != nil || len(m.Values) > 0 || reader.texts[0].body.decisions != nil {
		return "", err
	}
	var html strings.Builder
	for _, piece := range blocks[0].html {
		html.WriteString(piece.Text)
	}
	return htmltemplate.HTML(html.String()), nil
}

// earlierFor returns the earlier notices below a text for a reader. It returns nil where there are none, or no words
// for them, or the reader is new to the incident.
func (p *Program) earlierFor(t *text, key readerKey, l *locale) *earlierBlock {
	labels, tag := p.languages.layoutWordsFor(t.key)
	phases, _ := p.languages.wordsFor(tag.String())
	if len(p.earlier) == 0 || key.newcomer || labels[earlierWord] == "" || phases == nil {
		return nil
	}
	e := &earlierBlock{Heading: labels[earlierWord], Language: tag.String(), Direction: direction(tag)}
	out := writer{plain: true}
	out.line(&line{Underline: "-", Pieces: []piece{{Text: e.Heading}}}, nil)
	out.newline()
	for _, n := range p.earlier {
		u := earlierUpdate{When: l.moment(n.at), State: phases.phases[n.phase]}
		if n.program != nil {
			if text, exact := n.program.Match(t.key); exact {
				u.HTML, _ = n.program.summary(readerKey{text: text, language: key.language, zone: key.zone})
			}
		}
		e.Updates = append(e.Updates, u)
		out.line(&line{First: "- ", Prefix: "  ", Pieces: []piece{{Text: u.When + " · " + u.State}}}, nil)
	}
	e.Text = string(out.buf)
	return e
}
