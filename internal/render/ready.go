package render

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// The names in the folders of templates that are no texts of a language.
const (
	manifestName = "template.yaml"
	partsName    = "parts" // parts/<name>/<language>.md: text that several templates have in common
)

// folder is where the texts of a template for one phase are, with its manifest.
type folder struct {
	manifest
	name string // of the template
	dir  string // of the texts
	from fs.FS
}

// textFile is one language of a template.
type textFile struct {
	name    string // such as outage/identified/nl.md
	text    notice.Text
	subject string   // file and line of the subject
	places  []string // file and line of each line of the body
	details bool     // it has a place for the notice's own paragraph
	sorts   []string // of phrases that it has places for
	draft   bool     // nobody has signed its sentences
	foreign string   // the language of the notice's own paragraph, where that is another
}

// template finds the texts of a template for a phase: those of the folder that it has for the phase, else its own. A
// template without any leaves the phase to the template of that name, as outage and maintenance do with the
// post-mortem.
func (s *Set) template(name, phase string) (folder, error) {
	if name == "" {
		return folder{}, notice.Invalid("texts", "the notice has neither texts nor a template")
	}
	all := s.templates()
	if all[name] == nil {
		return folder{}, notice.Invalid("template", "%q is none of the templates: %s", name,
			strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	for _, t := range []string{name, phase} {
		from, ok := all[t]
		if !ok {
			continue
		}
		m, err := readManifest(from, t)
		if err != nil {
			return folder{}, err
		}
		if len(m.Phases) > 0 && !slices.Contains(m.Phases, phase) {
			continue
		}
		for _, dir := range []string{path.Join(t, phase), t} {
			if files, _ := fs.Glob(from, dir+"/*.md"); len(files) > 0 {
				return folder{m, t, dir, from}, nil
			}
		}
	}
	m, err := readManifest(all[name], name)
	if len(m.Phases) == 0 {
		m.Phases = phasesOf(all[name], name)
	}
	if err != nil || len(m.Phases) == 0 {
		return folder{}, cmp.Or(err, error(notice.Invalid("template", "%s has no text", name)))
	}
	return folder{}, notice.Invalid("phase", "the template %s has texts for %s, none for %q", name, strings.Join(m.Phases, ", "), phase)
}

// phasesOf returns the phases that a template has a folder for.
func phasesOf(from fs.FS, name string) (phases []string) {
	files, _ := fs.Glob(from, name+"/*/*.md")
	for _, f := range files {
		phases = append(phases, path.Base(path.Dir(f)))
	}
	return slices.Compact(phases)
}

// texts reads the texts of a folder in the wanted languages, nil for all, and names the mistakes of those that it
// leaves out.
func (s *Set) texts(t folder, b notice.Body, wanted func(language string) bool) (files map[string]textFile, problems []error) {
	paths, err := fs.Glob(t.from, t.dir+"/*.md")
	if err != nil {
		return nil, []error{fmt.Errorf("list template %s: %w", t.name, err)}
	}
	if wanted == nil {
		if err := s.languages.readAll(); err != nil {
			return nil, []error{err}
		}
	}
	files = make(map[string]textFile, len(paths))
	frame, spoken := s.frameIn(paths)
	add := func(p, key string) {
		_, tag, err := canonical(key)
		if err != nil {
			problems = append(problems, notice.Invalid(p, "%v", err))
			return
		}
		if key = tag.String(); wanted != nil && !wanted(key) {
			return
		}
		if other, twice := files[key]; twice {
			problems = append(problems, notice.Invalid(p, "is the same language as %s", other.name))
			return
		}
		f, err := s.text(t.from, p, key, b)
		if err != nil {
			problems = append(problems, err)
			return
		}
		files[key] = f
	}
	for _, p := range paths {
		if p != frame {
			add(p, strings.TrimSuffix(path.Base(p), ".md"))
		}
	}
	for _, key := range spoken {
		add(frame, key)
	}
	return files, problems
}

// Show returns a ready text with its parts, as a notice may have it for a text of its own. Its error is an *notice.Error.
func (s *Set) Show(template, phase, want string) (notice.Text, error) {
	t, err := s.template(template, phase)
	if err != nil {
		return notice.Text{}, err
	}
	files, problems := s.texts(t, notice.Body{Phase: phase}, nil)
	if len(problems) > 0 {
		return notice.Text{}, problems[0]
	}
	_, tag, err := canonical(want)
	for ; err == nil && tag != language.Und; tag = tag.Parent() {
		if f, ok := files[tag.String()]; ok {
			return f.text, nil
		}
	}
	return notice.Text{}, notice.Invalid("language", "%s has no text in %s for %s: it has %s", template, want, phase,
		strings.Join(slices.Sorted(maps.Keys(files)), ", "))
}

// text reads one text of a template in a language, with the parts that it names and the sentences of the notice itself.
func (s *Set) text(from fs.FS, name, key string, b notice.Body) (textFile, error) {
	if err := s.languages.need(key); err != nil {
		return textFile{}, err
	}
	content, err := fs.ReadFile(from, name)
	if err != nil {
		return textFile{}, fmt.Errorf("read template: %w", err)
	}
	text, subject, first, err := readText(name, content)
	if err != nil {
		return textFile{}, err
	}
	f := textFile{name: name, subject: name + ":" + strconv.Itoa(subject), draft: path.Base(name) == frameName && s.languages.draft(key)}
	w := writing{Set: s, language: key, notice: b, own: details(b.Details, language.Make(key), b.DefaultLanguage), file: &f}
	if text.Subject, f.subject, err = w.say(text.Subject, f.subject); err != nil {
		return textFile{}, err
	}
	if err := w.write(strings.Split(text.Body, "\n"), func(i int) string { return name + ":" + strconv.Itoa(first+i) }); err != nil {
		return textFile{}, err
	}
	if w.replaced {
		return textFile{}, notice.Invalid(name, "has {{phrases …}} without an {{end phrases}}")
	}
	f.text = notice.Text{Subject: text.Subject, Body: strings.Join(w.lines, "\n")}
	return f, nil
}

// part reads the part of that name in a language, in the language without its region, or for all languages.
func (s *Set) part(name, language, at string) (file string, lines []string, err error) {
	file, content, err := s.partFile(name, language)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, notice.Invalid(at, "there is no %s for it", file)
	case err != nil:
		return "", nil, fmt.Errorf("read part: %w", err)
	}
	content = bytes.TrimPrefix(content, []byte("\uFEFF"))
	if !utf8.Valid(content) {
		return "", nil, notice.Invalid(file, "is not UTF-8")
	}
	text := strings.TrimRight(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n")
	return file, strings.Split(text, "\n"), nil
}

// parts returns where the part of that name is, in all its languages.
func (s *Set) parts(name string) fs.FS {
	if s.overlay != nil {
		if info, err := fs.Stat(s.overlay, path.Join(partsName, name)); err == nil && info.IsDir() {
			return s.overlay
		}
	}
	return s.builtin
}

// templates returns where each template's folder is.
func (s *Set) templates() map[string]fs.FS {
	all := map[string]fs.FS{}
	for _, from := range []fs.FS{s.builtin, s.overlay} {
		if from == nil {
			continue
		}
		for _, pattern := range []string{"*/*.md", "*/*/*.md", "*/" + manifestName} {
			files, _ := fs.Glob(from, pattern)
			for _, f := range files {
				name, _, _ := strings.Cut(f, "/")
				all[name] = from
			}
		}
	}
	delete(all, partsName)
	return all
}
