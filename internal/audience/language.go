package audience

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
)

const (
	notALanguage = "is not a language tag such as de, pt-BR or zh-Hant"
	notAZone     = "is not an IANA time zone such as Europe/Amsterdam"
)

// maxLanguages is the most that a customer may list.
const maxLanguages = 5

// canonicalLanguages returns a list of languages, divided by commas, the most wanted first, each in its canonical
// form. reason names its fault. warning says that a tag is rather the code of a country.
func canonicalLanguages(s string) (list, reason, warning string) {
	given := strings.Split(s, ",")
	if len(given) > maxLanguages {
		return "", fmt.Sprintf("names more than %d languages", maxLanguages), ""
	}
	tags := make([]string, len(given))
	for i, g := range given {
		g = strings.TrimSpace(g)
		if tags[i], reason = canonicalLanguage(g); reason != "" {
			if meant := languageOfCountry(g); meant != "" {
				reason += "; did you mean " + meant + "?"
			}
			return "", reason, ""
		}
		if meant := languageOfCountry(g); warning == "" && meant != "" && meant != tags[i] && g == strings.ToUpper(g) {
			warning = fmt.Sprintf("%s is also the code of a country, whose language is %s: was that meant?", g, meant)
		}
	}
	return strings.Join(tags, ", "), "", warning
}

// languageOfCountry returns the language that most people speak in a country, by its ISO 3166 code; "" where code is none.
func languageOfCountry(code string) string {
	if len(code) != 2 {
		return ""
	}
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return ""
	}
	tag, err := language.Compose(region)
	if err != nil {
		return ""
	}
	base, confidence := tag.Base()
	if confidence == language.No {
		return ""
	}
	return base.String()
}

// canonicalLanguage returns a BCP 47 tag in its canonical form: hyphens, customary case, deprecated subtags replaced.
// reason names the fault of a tag that names no language.
func canonicalLanguage(s string) (tag, reason string) {
	// Longer ones are legal and nonsense; the parser's effort grows with them.
	if len(s) > longestWord {
		return "", notALanguage
	}
	t, err := language.Parse(s)
	if err != nil {
		return "", notALanguage
	}
	base, _, _ := t.Raw()
	switch b := base.String(); {
	case b == "und", b == "mul", b == "zxx", b == "mis", len(b) == 3 && b >= "qaa" && b <= "qtz":
		return "", notALanguage
	}
	for _, x := range t.Extensions() {
		if x.Type() == 'x' {
			return "", notALanguage
		}
	}
	return t.String(), ""
}

// checkZone returns the fault in the name of a time zone, "" for none. Where only the case differs it offers the right
// name.
func checkZone(s string) (reason string) {
	if zoneExists(s) {
		return ""
	}
	for _, candidate := range []string{zoneCase(s), strings.ToUpper(s)} {
		if zoneExists(candidate) {
			return notAZone + "; did you mean " + candidate + "?"
		}
	}
	return notAZone
}

func zoneExists(s string) bool {
	switch {
	case s == "", len(s) > longestWord, s == "Local", s == "Factory", s == "localtime", s == "posixrules",
		strings.HasPrefix(s, "posix/"), strings.HasPrefix(s, "right/"):
		// Go reads some files that are not zones of the IANA from the system's directory.
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/_-+", c) >= 0) {
			return false
		}
	}
	_, err := time.LoadLocation(s)
	return err == nil
}

// zoneCase writes a zone's name as zones are usually written: Africa/Dar_es_Salaam.
func zoneCase(s string) string {
	b := []byte(strings.ToLower(s))
	for start := 0; start < len(b); {
		end := start
		for end < len(b) && b[end] >= 'a' && b[end] <= 'z' {
			end++
		}
		copy(b[start:], wordCase(string(b[start:end]), start == 0))
		start = end + 1
	}
	return string(b)
}

func wordCase(word string, first bool) string {
	switch word {
	case "of", "es", "au":
		return word
	case "gmt", "utc", "uct", "nz":
		return strings.ToUpper(word)
	case "us":
		if first {
			return "US"
		}
	case "mcmurdo":
		return "McMurdo"
	case "dumontdurville":
		return "DumontDUrville"
	}
	if word == "" {
		return ""
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
