package console

import (
	"embed"
	"encoding/json"

	"golang.org/x/text/language"
)

//go:embed words
var wordFiles embed.FS

// words are the texts of the console: by language, and by name.
type words struct {
	of      map[string]map[string]string
	matcher language.Matcher
}

// readWords reads the texts. It panics if a file is wrong, which the first test finds.
func readWords() words {
	w := words{of: map[string]map[string]string{}, matcher: language.NewMatcher(languages)}
	for _, tag := range languages {
		file, err := wordFiles.ReadFile("words/" + tag.String() + ".json")
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(file, &texts); err != nil {
			panic(err)
		}
		w.of[tag.String()] = texts
	}
	return w
}

// match returns the language for a reader who accepts these: the tag for numbers, and the name of the texts.
func (w words) match(accept string) (language.Tag, string) {
	wanted, _, _ := language.ParseAcceptLanguage(accept) // none where it can't be read
	tag, at, confidence := w.matcher.Match(wanted...)
	if confidence == language.No {
		at, tag = 0, languages[0]
	}
	return tag, languages[at].String()
}
