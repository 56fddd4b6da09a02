package render

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// in returns the value of a parameter in a language. It is the first that there is: of the language, of one that it is
// a form of, of the notice's default language, of English, of any.
func in(p notice.Parameter, tag language.Tag, fallback string) string {
	if p.ByLanguage == nil {
		return p.Text
	}
	given := map[string]string{}
	for name, value := range p.ByLanguage {
		if key, _, err := canonical(name); err == nil {
			given[key] = value
		}
	}
	for ; tag != language.Und; tag = tag.Parent() {
		if value, ok := given[tag.String()]; ok {
			return value
		}
	}
	for _, key := range append([]string{fallback, "en"}, slices.Sorted(maps.Keys(given))...) {
		if value, ok := given[key]; ok {
			return value
		}
	}
	return ""
}

// inLanguage returns the values of parameters in a language, as texts print them.
func inLanguage(parameters map[string]notice.Parameter, tag language.Tag, fallback string) map[string]string {
	values := make(map[string]string, len(parameters))
	for name, p := range parameters {
		values[name] = clean(in(p, tag, fallback))
	}
	return values
}

// checkLanguages refuses a value under a name that is no language, and one that is given twice.
func checkLanguages(field string, p notice.Parameter) error {
	if p.ByLanguage != nil && len(p.ByLanguage) == 0 {
		return notice.Invalid(field, "has no value in any language")
	}
	_, err := canonicalKeys(field, p.ByLanguage)
	return err
}

// detailsName is the part of a ready text that the notice itself gives.
const detailsName = "details"

// details returns a notice's own paragraph for a text in a language. One that is given once is in the default language.
func details(p notice.Parameter, tag language.Tag, fallback string) (own ownText) {
	text := strings.Trim(strings.ReplaceAll(in(p, tag, fallback), "\r\n", "\n"), "\n")
	if strings.TrimSpace(text) == "" {
		return own
	}
	at, written := source{label: detailsName, body: true}, fallback
	for _, key := range slices.Sorted(maps.Keys(p.ByLanguage)) {
		if p.ByLanguage[key] == in(p, tag, fallback) {
			at.label, written = at.label+"."+key, key
			break
		}
	}
	if _, its, err := canonical(written); err == nil && groupOf(its) != groupOf(tag) {
		own.foreign = its
	}
	for line := range strings.SplitSeq(text, "\n") {
		own.lines = append(own.lines, line)
		own.places = append(own.places, at.at(len(own.lines)))
	}
	return own
}
