package render

import (
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/bidi"

	"tocsin/internal/notice"
)

// checkLanguages compares the sentences of each language with the English ones.
func (s *Set) checkLanguages() (problems []error) {
	if s.languages.all[english] == nil {
		return nil
	}
	for _, key := range s.languages.speaks() {
		problems = append(problems, s.checkLanguage(key)...)
	}
	return problems
}

// checkLanguage looks for a sentence that is missing, and one that English does not have. It also finds one that lost a
// slot, is English, has a wrong direction mark, or a word that its language avoids.
func (s *Set) checkLanguage(key string) (problems []error) {
	want, c := s.languages.all[english].sentences, s.languages.all[key]
	for _, name := range slices.Sorted(maps.Keys(want)) {
		said, ok := s.languages.sentence(key, name)
		if !ok {
			problems = append(problems, notice.Invalid(path.Join(languagesName, key+".yaml"), "lacks %s: %q", name, want[name].text))
		} else if word := s.avoided(key, said.text); word != "" {
			problems = append(problems, notice.Invalid(said.at, "%s: says %s, which %s avoids: %q", name, word, key, said.text))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.sentences)) {
		said := c.sentences[name]
		if reason := s.strange(key, said.text, want[name].text); reason != "" {
			problems = append(problems, notice.Invalid(said.at, "%s: %s: %q", name, reason, said.text))
		}
	}
	return problems
}

// strange says why a sentence can't be right for a language, "" where it may be. other is the English sentence.
func (s *Set) strange(key, text, other string) string {
	tag := language.Make(key)
	switch {
	case other == "":
		return "English has no such sentence"
	case !slices.Equal(slotNames(text), slotNames(other)):
		return "has the slots " + strings.Join(slotNames(text), " ") + ", and in English they are " + strings.Join(slotNames(other), " ")
	case sameWords(text, other) && groupOf(tag) != groupOf(language.English):
		return "is English"
	}
	return misdirected(text, direction(tag) == "rtl")
}

// sameWords reports whether sentences have the same words, more than one, whatever their signs and capitals.
func sameWords(a, b string) bool {
	words := wordsOfSentence(a)
	return len(words) > 1 && slices.EqualFunc(words, wordsOfSentence(b), strings.EqualFold)
}

// avoided returns a word of a sentence that a language avoids, "" for none. A region's own list takes the place of its
// language's.
func (s *Set) avoided(key, text string) string {
	tag := language.Make(key)
	for c := range s.languages.parents(key) {
		for _, word := range c.avoid {
			if has(text, wordsOfSentence(text), word, tag) {
				return word
			}
		}
		if len(c.avoid) > 0 {
			break
		}
	}
	return ""
}

// wordsOfSentence are the words of a sentence, without its slots.
func wordsOfSentence(text string) []string {
	return strings.FieldsFunc(slot.ReplaceAllString(text, " "), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' && r != '’' })
}

// slotNames returns the slots of a sentence in their order by name.
func slotNames(text string) []string {
	return slices.Sorted(slices.Values(slot.FindAllString(text, -1)))
}

// misdirected says which mark a sentence should not have, or that most of its letters run the other way.
func misdirected(text string, rtl bool) string {
	left, right := 0, 0
	for _, r := range slot.ReplaceAllString(text, "") {
		p, _ := bidi.LookupRune(r)
		switch {
		case r == '\u200E' && rtl, (r == '\u200F' || r == '\u061C') && !rtl:
			return "has a direction mark of the other direction"
		case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069':
			return "has a direction mark for a part of it: values get theirs by themselves"
		case p.Class() == bidi.L:
			left++
		case p.Class() == bidi.R, p.Class() == bidi.AL:
			right++
		}
	}
	if rtl && left > right || !rtl && right > left {
		return "is written in the other direction"
	}
	return ""
}

// has reports whether a sentence has a word, which may be several: those of "e-mail" stand one after the other. One
// letter, and any word of a script without spaces, is looked for anywhere.
func has(text string, words []string, word string, tag language.Tag) bool {
	spaces := !slices.Contains([]string{"Hans", "Hant", "Jpan", "Kore"}, script(tag))
	if utf8.RuneCountInString(word) == 1 || !spaces {
		return strings.Contains(text, word)
	}
	sought := wordsOfSentence(word)
	for i := range words {
		if len(sought) > 0 && len(words)-i >= len(sought) && slices.EqualFunc(words[i:i+len(sought)], sought, func(w, s string) bool { return w == s || strings.ToLower(w) == s }) {
			return true
		}
	}
	return false
}
