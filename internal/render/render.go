// Package render turns a notice's texts, a language and a recipient into a message.
//
// A text is Markdown with actions in Go template syntax. Compile vets the actions against the short list of fields
// and functions that a notice may use, converts the Markdown once per language into one template for the HTML part
// and one for the text part, and parses both. A Program then renders for any number of recipients at the same time:
// what depends on the reader (language, zone, customers) is data. A mail in which something would be printed empty
// is an error, never a message.
//
// Dates, times and numbers follow CLDR for some 90 languages, in the locale's own calendar where that is the Gregorian,
// the Persian or the Buddhist one; for all other locales they are written as ISO 8601 has them.
package render

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	_ "time/tzdata" // recipients' zones do not depend on what the machine has installed

	"tocsin/internal/notice"
)

// Set is the templates and layouts that notices are rendered with. It is safe for concurrent use.
type Set struct {
	builtin, overlay fs.FS
	converter        *converter
	layouts          layouts
	layoutErr        error
}

// New returns the set of the built-in templates. What overlay has goes before them: a template's folder as a whole,
// and layout.html and layout.txt each. A nil overlay has nothing. A layout that does not work is an error of Compile.
func New(builtin, overlay fs.FS) *Set {
	s := &Set{builtin: builtin, overlay: overlay, converter: newConverter()}
	s.layouts, s.layoutErr = s.parseLayouts()
	return s
}

// Texts returns the texts of a notice per language, under canonical BCP 47 tags: the notice's own, or its template's.
// Its error is an *notice.Error that names the template or the text.
func (s *Set) Texts(b notice.Body) (map[string]notice.Text, error) {
	if len(b.Texts) > 0 {
		if b.Template != "" {
			return nil, notice.Invalid("template", "the notice has a template and texts of its own: give one of them")
		}
		return canonicalTexts(b.Texts)
	}
	files, err := s.template(b.Template)
	if err != nil {
		return nil, err
	}
	texts := make(map[string]notice.Text, len(files))
	for key, f := range files {
		texts[key] = f.text
	}
	return texts, nil
}

// textFile is one language of a template.
type textFile struct {
	name     string // such as outage/nl.md
	text     notice.Text
	bodyLine int
}

// template reads the files of a template, per language.
func (s *Set) template(name string) (map[string]textFile, error) {
	if name == "" {
		return nil, notice.Invalid("texts", "the notice has neither texts nor a template")
	}
	all := s.templates()
	from, ok := all[name]
	if !ok {
		return nil, notice.Invalid("template", "%q is none of the templates: %s", name,
			strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	paths, err := fs.Glob(from, name+"/*.md")
	if err != nil {
		return nil, fmt.Errorf("list template %s: %w", name, err)
	}
	files := make(map[string]textFile, len(paths))
	for _, p := range paths {
		key, _, err := canonical(strings.TrimSuffix(path.Base(p), ".md"))
		if err != nil {
			return nil, notice.Invalid(p, "%v", err)
		}
		if other, twice := files[key]; twice {
			return nil, notice.Invalid(p, "is the same language as %s", other.name)
		}
		content, err := fs.ReadFile(from, p)
		if err != nil {
			return nil, fmt.Errorf("read template: %w", err)
		}
		f := textFile{name: p}
		if f.text, f.bodyLine, err = readText(p, content); err != nil {
			return nil, err
		}
		files[key] = f
	}
	return files, nil
}

// templates returns where each template's folder is.
func (s *Set) templates() map[string]fs.FS {
	all := map[string]fs.FS{}
	for _, from := range []fs.FS{s.builtin, s.overlay} {
		if from == nil {
			continue
		}
		files, _ := fs.Glob(from, "*/*.md")
		for _, f := range files {
			all[path.Dir(f)] = from
		}
	}
	return all
}

// file reads a layout, the overlay's if it has one.
func (s *Set) file(name string) ([]byte, error) {
	if s.overlay != nil {
		b, err := fs.ReadFile(s.overlay, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return fs.ReadFile(s.builtin, name)
}
