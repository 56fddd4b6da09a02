// Package render turns a notice's texts, a language and a recipient into a message.
//
// A text is Markdown with actions in Go template syntax. Set.Compile vets the actions against the short list of fields
// and functions that a notice may use. For a recipient the text is run first. The result is Markdown without controls,
// in which a token stands for each value. Its tree becomes HTML and text. With the layouts and the headers around them,
// these become a Mail: text that is encoded already, and places for values. All recipients of one language and zone
// with data that take the same decisions share a Mail. A mail in which something would be printed empty is an error,
// never a message.
//
// In reading order: vet, run and expr (texts); markdown, nesting and unfold (Markdown); piece, plain and line (parts);
// assemble, mail, writer and header (messages); cache, encode and pins (mails that are kept).
//
// Dates, ranges, numbers, lists, durations and money are written by package cldr.
package render

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	_ "time/tzdata" // recipients' zones do not depend on the zones that the machine has installed

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// Set is the templates and layouts that notices are rendered with. It is safe for concurrent use.
type Set struct {
	builtin, overlay fs.FS
	converter        *converter
	layouts          layouts
	branding         Branding
	languages        languages // the ready texts, and the words of every mail
	layoutErr        error     // of the layouts, or of the overlay's languages
	latest           *latest   // nil where there is no overlay
}

// New returns the set of the built-in templates. Files of overlay go before them: a template's folder as a whole, a
// part's folder as a whole, layout.html and layout.txt each. Of a language each sentence goes before. A nil overlay has
// nothing. A layout that does not work is an error of Compile.
func New(builtin, overlay fs.FS) *Set {
	s := &Set{builtin: builtin, overlay: overlay, converter: newConverter()}
	if overlay != nil {
		s.latest = &latest{set: s}
		s.latest.sum, _ = fingerprint(overlay) // Current tells of an error
	}
	if s.layouts, s.layoutErr = s.parseLayouts(); s.layoutErr == nil {
		s.layoutErr = s.parseLanguages()
	}
	return s
}

// Texts returns the texts of a notice per language, under canonical BCP 47 tags: its template's, and its own, which go
// before. Its error is an *notice.Error that names the template or the text.
func (s *Set) Texts(b notice.Body) (map[string]notice.Text, error) {
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		if err := checkLanguages("parameters."+name, b.Parameters[name]); err != nil {
			return nil, err
		}
	}
	if err := checkLanguages(detailsName, b.Details); err != nil {
		return nil, err
	}
	if err := s.checkPhrases(b.Phrases); err != nil {
		return nil, err
	}
	own, err := canonicalKeys("texts", b.Texts)
	if err != nil {
		return nil, err
	}
	if b.Template == "" && len(own) > 0 {
		if !b.Details.IsZero() {
			return nil, notice.Invalid(detailsName, "goes with a template: write it into the texts")
		}
		if len(b.Phrases) > 0 {
			return nil, notice.Invalid(phrasesSection, "go with a template: write them into the texts")
		}
		return own, nil
	}
	t, err := s.template(b.Template, b.Phase)
	if err != nil {
		return nil, err
	}
	if err := t.takes(b.Parameters); err != nil {
		return nil, err
	}
	files, problems := s.texts(t, b, nil)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	texts := make(map[string]notice.Text, len(files))
	for key, f := range files {
		if replaced(key, own) {
			continue
		}
		if !b.Details.IsZero() && !f.details {
			return nil, notice.Invalid(detailsName, `%s has no place for it: a line {{template "details"}}`, f.name)
		}
		if err := f.placed(b.Phrases); err != nil {
			return nil, err
		}
		texts[key] = f.text
	}
	maps.Copy(texts, own)
	return texts, nil
}

// replaced reports whether a notice has a text of its own in a language, or in the language without its region.
func replaced(key string, own map[string]notice.Text) bool {
	for tag := language.Make(key); tag != language.Und; tag = tag.Parent() {
		if _, ok := own[tag.String()]; ok {
			return true
		}
	}
	return false
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
