package render

import (
	"cmp"
	htmltemplate "html/template"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// noSeverity is the name of the words of a notice without a severity.
const noSeverity = "none"

// words are those of one language for the line at the top of a mail, and for its readers' own choices.
type words struct {
	kinds  map[string]map[string]string // by kind and severity
	phases map[string]string
	reader map[string]string   // by readerWords; none in a file of before there were any
	layout map[string]string   // by layoutWords; likewise
	said   map[string]sentence // all of them, by keys such as words.phases.resolved
}

// readerWords are the names of the words for the choices of a reader: of the link in a mail, and of the page behind it.
var readerWords = []string{leaveWord, "title", "advisory", "postmortem", "on", "off", "barred", "stop", "resume", "saved", "kept", "gone", "later"}

// leaveWord is the name of the words of that link.
const leaveWord = "leave"

// standing is the line at the top of a mail, for readers who see no colours. It names the kind of notice by its
// severity, and its phase.
type standing struct {
	Text      string
	Language  string // of Text, BCP 47: English where the mail's has no words
	Direction string // ltr or rtl
	Colour    htmltemplate.CSS
}

// readWords reads the words of one language, all of them.
func readWords(v yaml.Value) (w words, err error) {
	severities := append([]string{noSeverity}, notice.Severities...)
	w.kinds, w.phases, w.reader, w.layout, w.said = map[string]map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}, map[string]sentence{}
	known := yaml.Fields{"phases": w.wordsOf(w.phases, anyPhase(), notice.PhaseRescheduled), "reader": w.wordsOf(w.reader, readerWords),
		"layout": w.wordsOf(w.layout, layoutWords, earlierWord)}
	for _, kind := range notice.Kinds {
		of := map[string]string{}
		w.kinds[string(kind)] = of
		known[string(kind)] = w.wordsOf(of, severities)
	}
	if err := v.Fields("field of words", "words such as “outage: {none: Outage, minor: Minor outage, …}”", known); err != nil {
		return w, err
	}
	for name, of := range maps.All(w.kinds) {
		if len(of) == 0 {
			return w, v.Wrong("lacks the words for %s", name)
		}
	}
	if len(w.phases) == 0 {
		return w, v.Wrong("lacks the words for phases")
	}
	if w.phases[notice.PhaseRescheduled] == "" { // a file of before there was the phase
		w.phases[notice.PhaseRescheduled] = w.phases[notice.PhaseScheduled]
	}
	return w, nil
}

// wordsOf returns a reader of words for names, all of which it wants but for the optional ones.
func (w *words) wordsOf(to map[string]string, names []string, optional ...string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		fields, section := yaml.Fields{}, v.Name()
		for _, name := range names {
			fields[name] = func(v yaml.Value) error {
				text, err := v.Text()
				to[name] = clean(text)
				w.said["words."+section+"."+name] = sentence{to[name], v.Place()}
				return err
			}
		}
		if err := v.Fields("word", "words by their names: "+strings.Join(names, ", "), fields); err != nil {
			return err
		}
		for _, name := range names {
			if to[name] == "" && !slices.Contains(optional, name) {
				return v.Wrong("%s: there is no word for %s", v.Name(), name)
			}
		}
		return nil
	}
}

// wordsFor returns the words of a language, its own or those without its region, and their language; nil if it has none.
func (l languages) wordsFor(key string) (*words, language.Tag) {
	for c, tag := range l.parents(key) {
		if c.words != nil {
			return c.words, tag
		}
	}
	return nil, language.Und
}

// haveWords reports whether any language has words.
func (l languages) haveWords() bool {
	for _, c := range l.all {
		if _ = c.read(); c.words != nil {
			return true
		}
	}
	return false
}

// standing returns the line at the top of a text, in English where its language has no words; nil where there are none
// at all.
func (p *Program) standing(of *text, n noticeFields) *standing {
	w, tag := p.languages.wordsFor(of.key)
	if w == nil {
		w, tag = p.languages.wordsFor(english)
	}
	if w == nil {
		return nil
	}
	line := w.kinds[n.Kind][cmp.Or(n.Severity, noSeverity)] + " · " + w.phases[n.Phase]
	return &standing{Text: line, Language: tag.String(), Direction: direction(tag), Colour: colour(n)}
}

// ReaderWords are the words of one language for the choices of a reader.
type ReaderWords struct {
	Language  string // BCP 47
	Direction string // ltr or rtl
	Words     map[string]string
}

// ReaderWords returns the words in the first of a reader's languages (BCP 47) that has them, as a text is found for it.
// Else it returns them in English, and none where the templates have none in English.
func (s *Set) ReaderWords(languages ...string) ReaderWords {
	return s.languages.readerWords(languages...)
}

func (l languages) readerWords(wanted ...string) ReaderWords {
	for _, want := range append(slices.Clone(wanted), english) {
		tag, err := language.Parse(want)
		if err != nil || undetermined(tag) {
			continue
		}
		key, exact := l.matcher().match(tag)
		if !exact {
			continue
		}
		for c, tag := range l.parents(key) {
			if c.words != nil && len(c.words.reader) > 0 {
				return ReaderWords{Language: tag.String(), Direction: direction(tag), Words: c.words.reader}
			}
		}
	}
	return ReaderWords{Language: english, Direction: direction(language.English)}
}

func (l languages) newMatcher() *matcher {
	tags := map[string]language.Tag{}
	for key := range l.all {
		tags[key] = language.Make(key)
	}
	return newMatcher(tags, english)
}

// PhaseWord returns the word for a phase in the language of a text, "" where its language has none.
func (s *Set) PhaseWord(key, phase string) string {
	if w, _ := s.languages.wordsFor(key); w != nil {
		return w.phases[phase]
	}
	return ""
}
