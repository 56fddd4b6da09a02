package render

import (
	htmltemplate "html/template"
	"slices"

	"golang.org/x/text/language"
)

// facts are a table at the top of a text: the service, when, the state, and when the next update comes, for its reader.
type facts struct {
	Rows      []fact
	Language  string // of the labels, BCP 47: English where the mail's has no words
	Direction string // ltr or rtl
	Start     string // the side that its lines begin at: left or right
	Text      string // the same for the text part, below the line that says the state
}

// fact is a row of facts.
type fact struct {
	Label  string
	Values []string // more than one are windows
}

// mostWindows is how many windows facts name: more stand in the text alone.
const mostWindows = 5

// layoutWords are the names of the words of a layout: the labels of facts, the button, the columns of accounts, and the
// heading of earlier notices.
var layoutWords = []string{"service", "when", "state", "next", "status", "account", earlierWord}

// layoutWordsFor returns the words of a layout in a language, or in English, and their language.
func (l languages) layoutWordsFor(key string) (map[string]string, language.Tag) {
	for _, key := range []string{key, english} {
		for c, tag := range l.parents(key) {
			if c.words != nil && len(c.words.layout) > 0 {
				return c.words.layout, tag
			}
		}
	}
	return nil, language.Und
}

// hasLayoutWords reports whether a language has words of a layout, its own or those without its region.
func (l languages) hasLayoutWords(key string) bool {
	_, tag := l.layoutWordsFor(key)
	for c, parent := range l.parents(key) {
		if c.words != nil && parent == tag {
			return true
		}
	}
	return false
}

// facts returns the facts of a reader's text; nil where there is nothing to say but the state.
func (p *Program) facts(reader *reader, i int) *facts {
	t := reader.texts[i]
	labels, tag := p.languages.layoutWordsFor(t.key)
	if labels == nil {
		return nil
	}
	f := &facts{Language: tag.String(), Direction: direction(tag), Start: "left"}
	if f.Direction == "rtl" {
		f.Start = "right"
	}
	add := func(label string, values ...string) {
		values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		if len(values) > 0 {
			f.Rows = append(f.Rows, fact{labels[label], values})
		}
	}
	add("service", inMarks(clean(t.parameters["component"]), t.dir == "rtl"))
	add("when", p.whenFor(&reader.locales[i])...)
	next := p.nextFor(reader, i)
	if len(f.Rows) == 0 && next == "" {
		return nil
	}
	add("next", next)
	f.Text = f.plain()
	if w, _ := p.languages.wordsFor(tag.String()); w != nil {
		f.Rows = slices.Insert(f.Rows, len(f.Rows)-boolean(next != "").i, fact{labels["state"], []string{w.phases[reader.fixed.notice.Phase]}})
	}
	return f
}

// whenFor returns the windows as a reader writes them. Those of a cancelled maintenance must not look like times that hold.
func (p *Program) whenFor(l *locale) (times []string) {
	if p.notice.Phase == "cancelled" || len(p.windows) > mostWindows || !p.timed() {
		return nil
	}
	for _, w := range p.windows {
		times = append(times, l.interval(w.start, w.end))
	}
	return times
}

// ended are the phases after which no update is to come.
var ended = []string{"resolved", "completed", "cancelled", "postmortem"}

// nextFor returns when the next update comes, as a reader writes it; "" where the notice does not say.
func (p *Program) nextFor(reader *reader, i int) string {
	given := reader.texts[i].parameters["next_update"]
	if given == "" || slices.Contains(ended, p.notice.Phase) {
		return ""
	}
	e := env{locale: &reader.locales[i], fixed: reader.fixed, text: reader.texts[i]}
	s, err := e.date(value{kind: kindText, s: clean(given)}, &site{})
	if err != nil {
		return "" // of another kind than a time: the text explains it
	}
	return s
}

// timed reports whether a mail of the notice says a time, whatever its text is.
func (p *Program) timed() bool {
	if len(p.windows) > 0 || len(p.earlier) > 0 {
		return true
	}
	for _, t := range p.texts {
		if t.parameters["next_update"] != "" {
			return true
		}
	}
	return false
}

// plain returns the facts as lines of text.
func (f *facts) plain() string {
	out := writer{plain: true}
	for _, row := range f.Rows {
		for n, v := range row.Values {
			l := line{Prefix: "  ", Pieces: []piece{{Text: row.Label + ": " + v}}}
			if n > 0 {
				l = line{First: "  ", Prefix: "    ", Pieces: []piece{{Text: v}}}
			}
			out.line(&l, nil)
		}
	}
	return string(out.buf)
}

// inMarks returns a value that would mix with the text around it between marks of direction.
func inMarks(s string, rtl bool) string {
	if !mixes(s, rtl) {
		return s
	}
	return "\u2068" + s + "\u2069"
}

// button is a link to the status page.
type button struct {
	URL                       htmltemplate.URL
	Text, Language, Direction string
}

// button returns the button of a text, nil where the notice has no status page in its parameters.
func (p *Program) button(t *text) *button {
	address := clean(t.parameters["status_page"])
	labels, tag := p.languages.layoutWordsFor(t.key)
	if address == "" || astray(address) != "" || labels == nil {
		return nil
	}
	return &button{htmltemplate.URL(address), labels["status"], tag.String(), direction(language.Make(t.key))}
}

// colour returns the colour of a notice's state, on which white is read well: contrast 4.5 at least (WCAG 2.2, 1.4.3).
func colour(n noticeFields) htmltemplate.CSS {
	switch {
	case n.Phase == "resolved", n.Phase == "completed":
		return "#1e7b4a"
	case n.Phase == "cancelled", n.Phase == "postmortem":
		return "#5b6670"
	}
	return map[string]htmltemplate.CSS{"": "#5b6670", "minor": "#856404", "major": "#b34f00", "critical": "#b3261e"}[n.Severity]
}
