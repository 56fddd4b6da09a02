package render

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
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

// catalogue has the sentences of one language. A regional one takes the rest from the language without its region. Its
// fields below read are there once that was called.
type catalogue struct {
	files []languageFile
	read  func() error // reads the files, the first time

	signed    string   // who has signed it, and when; "" = it is a draft
	avoid     []string // words of the other register, and the like
	sentences map[string]sentence
	words     *words // nil = it has none
}

// languageFile is a file of a language; one of the overlay comes after the built-in one, and goes before it.
type languageFile struct {
	from fs.FS
	name string
}

// languages are the catalogues by language. Built-in ones are read when they are needed: few processes need one, and
// fewer all.
type languages struct {
	all     map[string]*catalogue
	matcher func() *matcher // of all
}

// parseLanguages finds the languages, and reads those that the overlay has a file of. Its error joins an *notice.Error for
// each mistake.
func (s *Set) parseLanguages() error {
	s.languages = languages{all: map[string]*catalogue{}}
	s.languages.matcher = sync.OnceValue(s.languages.newMatcher)
	var errs []error
	eager := map[string]bool{}
	for i, from := range []fs.FS{s.builtin, s.overlay} {
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
			c := s.languages.all[key]
			if c == nil {
				c = &catalogue{sentences: map[string]sentence{}}
				c.read = sync.OnceValue(c.readFiles)
				s.languages.all[key] = c
			}
			c.files = append(c.files, languageFile{from, file})
			eager[key] = eager[key] || i > 0
		}
	}
	for _, key := range slices.Sorted(maps.Keys(eager)) {
		if eager[key] {
			errs = append(errs, s.languages.all[key].read())
		}
	}
	return errors.Join(errs...)
}

// readAll reads all languages. Its error joins an *notice.Error for each mistake.
func (l languages) readAll() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(l.all)) {
		errs = append(errs, l.all[key].read())
	}
	return errors.Join(errs...)
}

// need reads a language and those that it takes sentences from.
func (l languages) need(key string) error {
	for c := range l.parents(key) {
		if err := c.read(); err != nil {
			return err
		}
	}
	return nil
}

func (c *catalogue) readFiles() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, c.readFile(f))
	}
	return errors.Join(errs...)
}

func (c *catalogue) readFile(f languageFile) error {
	content, err := fs.ReadFile(f.from, f.name)
	if err != nil {
		return fmt.Errorf("read a language: %w", err)
	}
	v, err := yaml.Read(f.name, content)
	if err != nil {
		return err
	}
	if v.Empty() {
		return notice.Invalid(f.name, "says nothing")
	}
	return v.Fields("section of a language", "sections such as “texts:”", yaml.Fields{
		"review": c.review,
		"avoid":  yaml.Texts(&c.avoid, "[du, dich]"),
		"words": func(v yaml.Value) error {
			w, err := readWords(v)
			if len(w.reader) == 0 && c.words != nil {
				w.reader = c.words.reader
			}
			if len(w.layout) == 0 && c.words != nil {
				w.layout = c.words.layout
			}
			c.words = &w
			maps.Copy(c.sentences, w.said)
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

// parents calls yield with the catalogue of a language, which was read, and then with that of the language without its
// region.
func (l languages) parents(key string) iter.Seq2[*catalogue, language.Tag] {
	return func(yield func(*catalogue, language.Tag) bool) {
		for tag := language.Make(key); tag != language.Und; tag = tag.Parent() {
			if c := l.all[tag.String()]; c != nil {
				_ = c.read() // need, readAll and Check tell of its mistakes
				if !yield(c, tag) {
					return
				}
			}
		}
	}
}

// sentence returns the text of a language for a key.
func (l languages) sentence(key, name string) (sentence, bool) {
	for c := range l.parents(key) {
		if said, ok := c.sentences[name]; ok {
			return said, true
		}
	}
	return sentence{}, false
}

// speaks returns the languages that have sentences of ready texts.
func (l languages) speaks() (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(l.all)) {
		for c := range l.parents(key) {
			if c.speaks() {
				keys = append(keys, key)
				break
			}
		}
	}
	return keys
}

func (c *catalogue) speaks() bool {
	for name := range c.sentences {
		if strings.HasPrefix(name, textsSection) {
			return true
		}
	}
	return false
}

// Drafts returns how many languages there are, and those which nobody who grew up with them has signed.
func (s *Set) Drafts() (languages int, drafts []string) {
	for _, key := range slices.Sorted(maps.Keys(s.languages.all)) {
		if s.languages.draft(key) {
			drafts = append(drafts, key)
		}
	}
	return len(s.languages.all), drafts
}

// draft reports whether nobody has signed the sentences of a language.
func (l languages) draft(key string) bool {
	for c := range l.parents(key) {
		return c.signed == ""
	}
	return false
}
