package render

import (
	"cmp"
	"maps"
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
	reader map[string]string // by readerWords; none in a file of before there were any
}

// readerWords are the names of the words for the choices of a reader: of the link in a mail, and of the page behind it.
var readerWords = []string{leaveWord, "title", "advisory", "postmortem", "on", "off", "barred", "stop", "resume", "saved", "kept", "gone", "later"}

// leaveWord is the name of the words of that link.
const leaveWord = "leave"

// standing is the line at the top of a mail: what it is about and how that stands, for readers who see no colours.
type standing struct {
	Text      string
	Language  string // of Text, BCP 47: English where the mail's has no words
	Direction string // ltr or rtl
}

// readWords reads the words of one language, all of them.
func readWords(v yaml.Value) (w words, err error) {
	severities := append([]string{noSeverity}, notice.Severities...)
	w.kinds, w.phases, w.reader = map[string]map[string]string{}, map[string]string{}, map[string]string{}
	known := yaml.Fields{"phases": wordsOf(w.phases, anyPhase()), "reader": wordsOf(w.reader, readerWords)}
	for _, kind := range notice.Kinds {
		of := map[string]string{}
		w.kinds[string(kind)] = of
		known[string(kind)] = wordsOf(of, severities)
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
	return w, nil
}

// wordsOf returns a reader of words for names, all of which it wants.
func wordsOf(to map[string]string, names []string) func(yaml.Value) error {
	return func(v yaml.Value) error {
		fields := yaml.Fields{}
		for _, name := range names {
			fields[name] = func(v yaml.Value) error {
				text, err := v.Text()
				to[name] = clean(text)
				return err
			}
		}
		if err := v.Fields("word", "words by their names: "+strings.Join(names, ", "), fields); err != nil {
			return err
		}
		for _, name := range names {
			if to[name] == "" {
				return v.Wrong("%s: there is no word for %s", v.Name(), name)
			}
		}
		return nil
	}
}

// wordsIn returns the language of the words for a text: its own, without its region where need be; else English, and false.
func wordsIn(all map[string]words, key string) (tag language.Tag, ok bool) {
	for tag = language.Make(key); tag != language.Und; tag = tag.Parent() {
		if _, ok := all[tag.String()]; ok {
			return tag, true
		}
	}
	return language.English, false
}

// standing returns the line at the top of a text, in English where its language has no words; nil where there are none at all.
func (p *Program) standing(of *text) *standing {
	tag, _ := wordsIn(p.words, of.key)
	w, ok := p.words[tag.String()]
	if !ok {
		return nil
	}
	line := w.kinds[p.notice.Kind][cmp.Or(p.notice.Severity, noSeverity)] + " · " + w.phases[p.notice.Phase]
	return &standing{Text: line, Language: tag.String(), Direction: direction(tag)}
}

// ReaderWords are the words of one language for the choices of a reader.
type ReaderWords struct {
	Language  string // BCP 47
	Direction string // ltr or rtl
	Words     map[string]string
}

// ReaderWords returns the words in the first of a reader's languages (BCP 47) that has them, as a text is found for it, or else in
// English. There are none where the templates have none in English.
func (s *Set) ReaderWords(languages ...string) ReaderWords {
	return readerWordsIn(s.words, languages...)
}

func readerWordsIn(all map[string]words, languages ...string) ReaderWords {
	tags := map[string]language.Tag{}
	for key, w := range all {
		if len(w.reader) > 0 {
			tags[key] = language.Make(key)
		}
	}
	m, found := newMatcher(tags, language.English.String()), language.English.String()
	for _, l := range languages {
		if tag, err := language.Parse(l); err == nil && !undetermined(tag) {
			if key, exact := m.match(tag); exact {
				found = key
				break
			}
		}
	}
	return ReaderWords{Language: found, Direction: direction(language.Make(found)), Words: all[found].reader}
}
