package render

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
	"tocsin/internal/yaml"
)

// languagesName is the folder of languages/<language>.yaml: all sentences of ready texts in a language.
const languagesName = "languages"

// The sections of a language's file, which the keys of its sentences begin with.
const (
	textsSection   = "texts"
	phrasesSection = "phrases"
)

// sentence is the text of a language for a key.
type sentence struct {
	text string // Markdown, with slots such as {component}
	at   string // file and line
}

// catalogue has the sentences of one language. A regional one takes the rest from the language without its region.
type catalogue struct {
	file      string   // the first that has it
	signed    string   // who has signed it, and when; "" = it is a draft
	avoid     []string // words of the other register, and the like
	sentences map[string]sentence
}

// parseLanguages reads the sentences of all languages; a sentence of the overlay goes before the built-in one. Its error
// joins an *notice.Error for each mistake.
func (s *Set) parseLanguages() error {
	s.languages, s.words = map[string]*catalogue{}, map[string]words{}
	var errs []error
	for _, from := range []fs.FS{s.builtin, s.overlay} {
		if from == nil {
			continue
		}
		files, _ := fs.Glob(from, languagesName+"/*.yaml")
		for _, file := range files {
			key, _, err := canonical(strings.TrimSuffix(path.Base(file), ".yaml"))
			if err != nil {
				errs = append(errs, notice.Invalid(file, "%v", err))
				continue
			}
			errs = append(errs, s.readLanguage(from, file, key))
		}
	}
	return errors.Join(errs...)
}

func (s *Set) readLanguage(from fs.FS, file, key string) error {
	content, err := fs.ReadFile(from, file)
	if err != nil {
		return fmt.Errorf("read a language: %w", err)
	}
	v, err := yaml.Read(file, content)
	if err != nil {
		return err
	}
	c := s.languages[key]
	if c == nil {
		c = &catalogue{file: file, sentences: map[string]sentence{}}
		s.languages[key] = c
	}
	if v.Empty() {
		return notice.Invalid(file, "says nothing")
	}
	return v.Fields("section of a language", "sections such as “texts:”", yaml.Fields{
		"review": c.review,
		"avoid":  yaml.Texts(&c.avoid, "[du, dich]"),
		"words": func(v yaml.Value) error {
			w, err := readWords(v)
			if len(w.reader) == 0 {
				w.reader = s.words[key].reader
			}
			s.words[key] = w
			return err
		},
		textsSection:   func(v yaml.Value) error { return c.section(textsSection, v) },
		phrasesSection: func(v yaml.Value) error { return c.section(phrasesSection, v) },
	})
}

// review reads "draft", or who has signed the language and on which day.
func (c *catalogue) review(v yaml.Value) error {
	if !v.Mapping() {
		c.signed = ""
		if text, err := v.Text(); err != nil || text != "draft" {
			return v.Wrong("review is draft, or says who signed it, such as {by: Ann Example, on: 2026-12-01}")
		}
		return nil
	}
	var by, on string
	if err := v.Fields("field of review", "{by: Ann Example, on: 2026-12-01}", yaml.Fields{"by": yaml.Text(&by), "on": yaml.Text(&on)}); err != nil {
		return err
	}
	if _, err := time.Parse(time.DateOnly, on); err != nil || clean(by) == "" {
		return v.Wrong("review wants a name and a day, such as {by: Ann Example, on: 2026-12-01}")
	}
	c.signed = clean(by) + ", " + on
	return nil
}

// section reads sentences by their keys, which may be nested.
func (c *catalogue) section(key string, v yaml.Value) error {
	if v.Mapping() {
		return v.Each("sentences by their keys", func(_, val yaml.Value) error { return c.section(key+"."+val.Name(), val) })
	}
	text, err := v.Text()
	if err != nil {
		return err
	}
	if clean(text) == "" || clean(text) != text {
		return v.Wrong("%s: want a sentence on one line", key)
	}
	c.sentences[key] = sentence{text, v.Place()}
	return nil
}

// parents calls yield with the catalogue of a language, and then with that of the language without its region.
func (s *Set) parents(key string) func(yield func(*catalogue) bool) {
	return func(yield func(*catalogue) bool) {
		for tag := language.Make(key); tag != language.Und; tag = tag.Parent() {
			if c := s.languages[tag.String()]; c != nil && !yield(c) {
				return
			}
		}
	}
}

// sentence returns the text of a language for a key.
func (s *Set) sentence(key, name string) (sentence, bool) {
	for c := range s.parents(key) {
		if said, ok := c.sentences[name]; ok {
			return said, true
		}
	}
	return sentence{}, false
}

// speaks returns the languages that have sentences of ready texts.
func (s *Set) speaks() (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(s.languages)) {
		for c := range s.parents(key) {
			if slices.ContainsFunc(slices.Collect(maps.Keys(c.sentences)), func(name string) bool { return strings.HasPrefix(name, textsSection) }) {
				keys = append(keys, key)
				break
			}
		}
	}
	return keys
}

// Drafts returns how many languages there are, and those which nobody who grew up with them has signed.
func (s *Set) Drafts() (languages int, drafts []string) {
	for _, key := range slices.Sorted(maps.Keys(s.languages)) {
		if s.draft(key) {
			drafts = append(drafts, key)
		}
	}
	return len(s.languages), drafts
}

// draft reports whether nobody has signed the sentences of a language.
func (s *Set) draft(key string) bool {
	for c := range s.parents(key) {
		return c.signed == ""
	}
	return false
}
