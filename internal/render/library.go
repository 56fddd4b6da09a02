package render

import (
	"io/fs"
	"maps"
	"slices"

	"tocsin/internal/notice"
)

// Library lists the templates with their phases, and the languages with their reviews.
func (s *Set) Library() (l notice.Library) {
	all := s.templates()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t := notice.LibraryTemplate{Name: name}
		m, err := readManifest(all[name], name)
		if err != nil {
			continue // a check of templates tells
		}
		if t.Phases = m.Phases; len(t.Phases) == 0 {
			t.Phases = phasesOf(all[name], name)
		}
		if own, _ := fs.Glob(all[name], name+"/*.md"); len(t.Phases) == 0 && len(own) > 0 {
			t.Phases = slices.Compact(slices.Sorted(slices.Values(anyPhase())))
		}
		l.Templates = append(l.Templates, t)
	}
	for _, tag := range slices.Sorted(maps.Keys(s.languages.all)) {
		lang := notice.LibraryLanguage{Tag: tag}
		for c := range s.languages.parents(tag) {
			lang.Signed = c.signed
			break
		}
		l.Languages = append(l.Languages, lang)
	}
	return l
}

// Example makes a mail of a ready text, with the examples of its parameters, for a customer who does not exist.
func (s *Set) Example(template, phase, want string) (m Message, err error) {
	t, err := s.template(template, phase)
	if err != nil {
		return m, err
	}
	text, err := s.Show(template, phase, want)
	if err != nil {
		return m, err
	}
	_, tag, err := canonical(want)
	if err != nil {
		return m, notice.Invalid("language", "%v", err)
	}
	b := notice.Body{Key: "example", Kind: kindOf(phase), Phase: phase, Template: t.name, DefaultLanguage: tag.String(), Parameters: map[string]notice.Parameter{},
		Windows: []notice.Window{{Start: "2026-11-09T21:00", End: "2026-11-10T00:00"}}}
	for _, given := range []map[string]string{t.Required, t.Optional} {
		for name, example := range given {
			b.Parameters[name] = notice.Parameter{Text: example}
		}
	}
	if phase == notice.PhaseRescheduled {
		b.Was = []notice.Window{{Start: "2026-11-08T21:00", End: "2026-11-09T00:00"}}
	}
	p, err := s.Compile(Source{Body: b, Texts: map[string]notice.Text{tag.String(): text}, From: "Example Status <status@example.net>", IncidentKey: "example"})
	if err != nil {
		return m, err
	}
	return p.Preview(notice.Recipient{Language: tag.String(), Customers: []notice.Frozen{{ID: "A1", Name: "Ann Example"}}}, tag.String())
}
