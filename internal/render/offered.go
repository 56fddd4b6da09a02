package render

import (
	"maps"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// Ready returns the ready texts that notices may name. Sentences are in a language as far as it has them.
func (s *Set) Ready(lang string) (r notice.Ready) {
	all := s.templates()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m, err := readManifest(all[name], name)
		if err != nil {
			continue // the check of templates tells
		}
		r.Templates = append(r.Templates, notice.ReadyTemplate{Name: name, Phases: m.Phases, Required: m.Required, Optional: m.Optional})
	}
	for name, text := range s.Phrases() {
		if said, ok := s.languages.sentence(lang, phrasesSection+"."+name); ok {
			text = said.text
		}
		p := notice.ReadyPhrase{Name: name, Text: text}
		for _, in := range slot.FindAllString(text, -1) {
			if its := strings.Trim(in, "{}"); phraseSlots[its] != nil && !slices.Contains(p.Slots, its) {
				p.Slots = append(p.Slots, its)
			}
		}
		r.Phrases = append(r.Phrases, p)
	}
	slices.SortFunc(r.Phrases, func(a, b notice.ReadyPhrase) int { return strings.Compare(a.Name, b.Name) })
	return r
}
