package render

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// frameName is a text, or a part, for all languages that have sentences: {{say "outage.subject"}} stands for one.
const frameName = "frame.md"

var (
	// include is a line that a part stands for.
	include = regexp.MustCompile(`^\{\{ *template +"([a-z0-9-]+)" *\}\}[ \t]*$`)
	// These are lines too: the notice's phrases of a sort stand in the place of the lines between them.
	phrasesBegin = regexp.MustCompile(`^\{\{ *phrases +"([a-z]+)" *\}\}[ \t]*$`)
	phrasesEnd   = regexp.MustCompile(`^\{\{ *end +phrases *\}\}[ \t]*$`)

	phaseWord = regexp.MustCompile(`\{\{ *phase *\}\}`) // the word for the notice's phase
	saying    = regexp.MustCompile(`\{\{ *say +"([a-z0-9.-]+)" *\}\}`)
	slot      = regexp.MustCompile(`\{[a-z_]+\}`)
	wording   = regexp.MustCompile(`\{\{ *word +"([a-z]+)" *\}\}`) // a word of the layout
)

// slotActions are the actions that slots of texts stand for; any other slot is a parameter of its name.
var slotActions = map[string]string{
	"{name}":        "{{.Customer.Name}}",
	"{next_update}": "{{date .Parameters.next_update}}",
	"{reference}":   "`{{.Incident.Key}}`",
}

// fillSlots puts an action into the place of each slot.
func fillSlots(text string) string {
	return slot.ReplaceAllStringFunc(text, func(s string) string {
		if action, ok := slotActions[s]; ok {
			return action
		}
		return "{{.Parameters." + strings.Trim(s, "{}") + "}}"
	})
}

// writing is a text in one language on its way from a template's files.
type writing struct {
	*Set
	language string
	notice   notice.Body
	own      ownText
	file     *textFile
	lines    []string
	blank    bool // of the blank lines around nothing, those above are enough
	replaced bool // phrases stand in the place of the lines to come
}

// write writes the lines of a file. at says where each is.
func (w *writing) write(lines []string, at func(line int) string) error {
	for i, line := range lines {
		if err := w.line(line, at(i)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) line(line, at string) error {
	if phrasesEnd.MatchString(line) {
		w.replaced = false
		return nil
	}
	if w.replaced || w.blank && strings.TrimSpace(line) == "" {
		return nil
	}
	w.blank = false
	if m := phrasesBegin.FindStringSubmatch(line); m != nil {
		return w.phrases(m[1], at)
	}
	m := include.FindStringSubmatch(line)
	switch {
	case m == nil:
		line, at, err := w.say(line, at)
		w.add(line, at)
		return err
	case m[1] == detailsName:
		w.file.details = true
		return w.details(at)
	}
	part, lines, err := w.part(m[1], w.language, at)
	if err != nil {
		return err
	}
	return w.write(lines, func(i int) string { return part + ":" + strconv.Itoa(i+1) })
}

func (w *writing) add(line, at string) {
	w.lines, w.file.places = append(w.lines, line), append(w.file.places, at)
}

// say puts sentences into a line. A line of one sentence alone is where that is; one with actions around it names the
// language too.
func (w *writing) say(line, at string) (said, place string, err error) {
	place = at
	line = phaseWord.ReplaceAllLiteralString(line, w.PhaseWord(w.language, w.notice.Phase))
	words, _ := w.languages.layoutWordsFor(w.language)
	for _, m := range wording.FindAllStringSubmatch(line, -1) {
		if words[m[1]] == "" {
			return line, at, notice.Invalid(at, "there is no word %s in words.layout of %s or English", m[1], w.language)
		}
		line = strings.ReplaceAll(line, m[0], words[m[1]])
	}
	all := saying.FindAllStringSubmatchIndex(line, -1)
	for _, m := range slices.Backward(all) {
		s, err := w.sentenceFor(textsSection+"."+line[m[2]:m[3]], at)
		if err != nil {
			return line, at, err
		}
		place = at + " (" + w.language + ")"
		if len(all) == 1 && !strings.Contains(line[:m[0]]+line[m[1]:], "{{") {
			place = s.at
		}
		line = line[:m[0]] + fillSlots(s.text) + line[m[1]:]
	}
	return line, place, nil
}

// sentenceFor returns the sentence of the text's language for a key, which stands at a place.
func (w *writing) sentenceFor(name, at string) (sentence, error) {
	s, ok := w.languages.sentence(w.language, name)
	if !ok {
		return s, notice.Invalid(path.Join(languagesName, w.language+".yaml"), "lacks %s, which %s says", name, at)
	}
	return s, nil
}

// ownText is the paragraph that a notice itself gives, in one language.
type ownText struct {
	lines, places []string
	foreign       language.Tag // the paragraph's, where the text is in another
}

// details writes the notice's own paragraph, and that it is in another language where it is.
func (w *writing) details(at string) error {
	if len(w.own.lines) == 0 {
		w.blank = true
		return nil
	}
	if w.own.foreign == language.Und {
		for i, line := range w.own.lines {
			w.add(line, w.own.places[i])
		}
		return nil
	}
	w.file.foreign = w.own.foreign.String()
	if s, ok := w.languages.sentence(w.language, textsSection+".not-in-your-language"); ok {
		w.add(s.text, s.at)
		w.add("", at)
	}
	w.add(foreignFence+" "+w.file.foreign, at)
	for i, line := range w.own.lines {
		w.add(line, w.own.places[i])
	}
	w.add(foreignFence, at)
	return nil
}

// frameIn returns the frame among files, "" if there is none, and the languages that it is for: those that have no file.
func (s *Set) frameIn(files []string) (frame string, languages []string) {
	i := slices.IndexFunc(files, func(f string) bool { return path.Base(f) == frameName })
	if i < 0 {
		return "", nil
	}
	for _, key := range s.languages.speaks() {
		if !slices.ContainsFunc(files, func(f string) bool {
			its, _, err := canonical(strings.TrimSuffix(path.Base(f), ".md"))
			return err == nil && its == key
		}) {
			languages = append(languages, key)
		}
	}
	return files[i], languages
}

// partFile returns the file of a part in a language, in the language without its region, or for all.
func (s *Set) partFile(name, language string) (file string, content []byte, err error) {
	base, _, _ := strings.Cut(language, "-")
	for _, f := range []string{language + ".md", base + ".md", frameName} {
		file = path.Join(partsName, name, f)
		if content, err = fs.ReadFile(s.parts(name), file); err == nil {
			return file, content, nil
		}
	}
	return path.Join(partsName, name, base+".md"), nil, err
}
