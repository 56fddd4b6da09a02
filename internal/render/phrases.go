package render

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// phraseSlots has, for each slot of phrases, the form of its values; {component} is the notice's parameter.
var phraseSlots = map[string]func(value string) (action, wrong string){
	"time": func(v string) (string, string) {
		_, _, err := parseMoment(v, nil)
		return "{{date " + strconv.Quote(v) + "}}", wrongIf(err != nil, "a time like 2026-11-09T21:00")
	},
	"count": countSlot, "percent": countSlot, "minutes": countSlot, "hours": countSlot, "days": countSlot,
	"name": textSlot, "amount": textSlot, "phone": textSlot,
	"address": func(v string) (string, string) {
		return "<" + v + ">", wrongIf(astray(v) != "" || strings.ContainsAny(v, "<>{}"), "an address such as https://status.example.net")
	},
}

func countSlot(v string) (action, wrong string) {
	return "{{number " + strconv.Quote(v) + "}}", wrongIf(!numeric.MatchString(v), "a number")
}

func textSlot(v string) (action, wrong string) {
	return "{{" + strconv.Quote(v) + "}}", wrongIf(v == "", "a text")
}

func wrongIf(is bool, wanted string) string {
	if is {
		return wanted
	}
	return ""
}

// Phrases returns the names of all phrases, each with its English sentence.
func (s *Set) Phrases() map[string]string {
	all := map[string]string{}
	for c := range s.languages.parents(english) {
		for name, said := range c.sentences {
			if name, ok := strings.CutPrefix(name, phrasesSection+"."); ok {
				all[name] = said.text
			}
		}
	}
	return all
}

// english is the language that others are compared with.
const english = "en"

// sortOf returns the sort of a phrase, such as cause, which says where it stands in a text.
func sortOf(phrase string) string {
	sort, _, _ := strings.Cut(phrase, ".")
	return sort
}

// checkPhrases refuses a phrase that does not exist, that lacks a value, or has one that it does not take.
func (s *Set) checkPhrases(phrases []notice.Phrase) error {
	known := s.Phrases()
	for i, p := range phrases {
		field := "phrases[" + strconv.Itoa(i) + "]"
		text, ok := known[p.Name]
		if !ok {
			hint := ""
			if near := notice.Closest(p.Name, slices.Collect(maps.Keys(known))); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return notice.Invalid(field, "%q is not a phrase%s tocsin templates phrases lists them", p.Name, cmp.Or(hint, ";"))
		}
		for _, name := range slices.Sorted(maps.Keys(p.Values)) {
			if !strings.Contains(text, "{"+name+"}") || phraseSlots[name] == nil {
				return notice.Invalid(field+"."+name, "%s does not take it: %q", p.Name, text)
			}
			if err := checkLanguages(field+"."+name, p.Values[name]); err != nil {
				return err
			}
		}
		for _, in := range slot.FindAllString(text, -1) {
			name := strings.Trim(in, "{}")
			if phraseSlots[name] == nil {
				continue
			}
			for _, value := range p.Values[name].Values() {
				if _, wanted := phraseSlots[name](clean(value)); wanted != "" {
					return notice.Invalid(field+"."+name, "%s wants %s here, not %q: %q", p.Name, wanted, value, text)
				}
			}
		}
	}
	return nil
}

// phrases writes the notice's phrases of a sort as a paragraph, or as a list of things to do.
func (w *writing) phrases(sort, at string) error {
	w.file.sorts = append(w.file.sorts, sort)
	var all []notice.Phrase
	for _, p := range w.notice.Phrases {
		if sortOf(p.Name) == sort {
			all = append(all, p)
		}
	}
	w.replaced = len(all) > 0
	for _, p := range all {
		s, err := w.sentenceFor(phrasesSection+"."+p.Name, at)
		if err != nil {
			return err
		}
		line := w.phrase(s.text, p)
		if sort == "action" && len(all) > 1 {
			line = "- " + line
		}
		w.add(line, s.at)
	}
	return nil
}

// phrase puts values into the slots of a phrase.
func (w *writing) phrase(text string, p notice.Phrase) string {
	tag := language.Make(w.language)
	return slot.ReplaceAllStringFunc(text, func(s string) string {
		name := strings.Trim(s, "{}")
		write := phraseSlots[name]
		if write == nil {
			return fillSlots(s)
		}
		action, _ := write(clean(in(p.Values[name], tag, w.notice.DefaultLanguage)))
		return action
	})
}

// placed refuses phrases of a sort that a text has no place for.
func (f textFile) placed(phrases []notice.Phrase) error {
	for i, p := range phrases {
		if !slices.Contains(f.sorts, sortOf(p.Name)) {
			return notice.Invalid("phrases["+strconv.Itoa(i)+"]", "%s has no place for %s", f.name, p.Name)
		}
	}
	return nil
}
