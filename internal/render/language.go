package render

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// canonical returns the BCP 47 form of a language tag and its parse.
func canonical(s string) (string, language.Tag, error) {
	tag, err := language.Parse(s)
	if err != nil || undetermined(tag) {
		return "", tag, notice.Invalid("", "%q is not a language tag such as en or pt-BR", s)
	}
	return tag.String(), tag, nil
}

// undetermined reports whether a tag names no language, which x/text would take for English.
func undetermined(tag language.Tag) bool {
	base, _, _ := tag.Raw()
	return base.String() == "und"
}

// canonicalKeys returns the values of a field under the canonical forms of their languages. It refuses a name that is no
// language, and one that is given twice.
func canonicalKeys[V any](field string, values map[string]V) (map[string]V, error) {
	out := make(map[string]V, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key, _, err := canonical(name)
		if err != nil {
			return nil, notice.Invalid(field+"."+name, "%v", err)
		}
		if _, twice := out[key]; twice {
			return nil, notice.Invalid(field+"."+name, "%s is given twice, under two spellings", key)
		}
		out[key] = values[name]
	}
	return out, nil
}

// script returns the ISO 15924 code of the script of a language.
func script(tag language.Tag) string {
	s, _ := tag.Script()
	return s.String()
}

// direction returns the value of HTML's dir attribute for a language.
func direction(tag language.Tag) string {
	switch script(tag) {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg", "Mand", "Samr", "Aran", "Yezi":
		return "rtl"
	}
	return "ltr"
}

// group is a language as people read it: its base, with macrolanguages folded ("no" and "nb" are one), and its script.
// A text in one member of a group is a text for all of them: de serves de-CH, and zh never zh-Hant.
type group struct{ base, script string }

func groupOf(tag language.Tag) group {
	folded, err := language.All.Canonicalize(tag)
	if err != nil {
		folded = tag
	}
	base, _ := folded.Base()
	return group{base.String(), script(tag)}
}

// choice is the texts of one group.
type choice struct {
	keys    []string
	matcher language.Matcher
}

// matcher finds the text for a reader's language.
type matcher struct {
	groups   map[group]*choice
	fallback string
}

func newMatcher(texts map[string]language.Tag, fallback string) *matcher {
	m := &matcher{groups: map[group]*choice{}, fallback: fallback}
	keys := slices.Collect(maps.Keys(texts))
	slices.SortFunc(keys, func(a, b string) int {
		// The first text of a group is the one for readers from regions without a text: the default, else the most
		// general.
		switch fallback {
		case a:
			return -1
		case b:
			return 1
		}
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
	tags := map[group][]language.Tag{}
	for _, key := range keys {
		g := groupOf(texts[key])
		if m.groups[g] == nil {
			m.groups[g] = &choice{}
		}
		m.groups[g].keys = append(m.groups[g].keys, key)
		tags[g] = append(tags[g], texts[key])
	}
	for g, c := range m.groups {
		c.matcher = language.NewMatcher(tags[g])
	}
	return m
}

// match returns the key of the text for a language, and whether it is a text in that language rather than the fallback.
// The matcher of x/text chooses among texts of one language only. Across languages it calls Dutch a good match for
// Frisian, and Brazilian Portuguese one for nothing at all.
func (m *matcher) match(tag language.Tag) (key string, exact bool) {
	c := m.groups[groupOf(tag)]
	if c == nil {
		return m.fallback, false
	}
	_, i, _ := c.matcher.Match(tag)
	return c.keys[i], true
}
