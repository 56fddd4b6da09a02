package render

import (
	"cmp"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// thirty are the languages that ready texts have, and the regional forms of some.
var thirty = strings.Fields("en de fr es pt-BR pt nl sv da nb fi it pl cs sk hu ro bg el uk tr ar he fa hi ja ko zh-Hans zh-Hant id de-CH es-MX en-GB")

// TestEveryLanguageSaysAllThatEnglishSays, with its slots, in its own words and direction; and each has its words for
// the line at the top of a mail.
func TestEveryLanguageSaysAllThatEnglishSays(t *testing.T) {
	t.Parallel()
	s := New(templates.FS, nil)
	if err := cmp.Or(s.layoutErr, s.languages.readAll()); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.checkLanguages() {
		t.Error(err)
	}
	spoken := s.languages.speaks()
	for _, key := range thirty {
		if !slices.Contains(spoken, key) {
			t.Errorf("there are no sentences in %s", key)
		}
		if w, _ := s.languages.wordsFor(key); w == nil || len(w.reader) == 0 {
			t.Errorf("there are no words in %s", key)
		}
		if !s.languages.hasLayoutWords(key) {
			t.Errorf("there are no words of the layout in %s", key)
		}
	}
}

// TestAStringThatIsTakenOutIsMissed whichever it is, and in whichever language: a sentence, a phrase or a word.
func TestAStringThatIsTakenOutIsMissed(t *testing.T) {
	t.Parallel()
	s := New(templates.FS, nil)
	if err := s.languages.readAll(); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(s.languages.all[english].sentences))
	missed := func(key, name string, problems []error) {
		if !slices.ContainsFunc(problems, func(err error) bool { return strings.HasPrefix(err.Error(), "languages/"+key+".yaml: lacks "+name+":") }) {
			t.Errorf("%s without %s: %v", key, name, problems)
		}
	}
	nl := s.languages.all["nl"]
	for _, name := range names { // one by one
		said := nl.sentences[name]
		delete(nl.sentences, name)
		missed("nl", name, s.checkLanguage("nl"))
		nl.sentences[name] = said
	}
	for _, key := range thirty { // each of all
		c := s.languages.all[key]
		if key == english || strings.Contains(key, "-") && s.languages.all[strings.Split(key, "-")[0]] != nil {
			continue // a region has the sentences of its language then
		}
		all := c.sentences
		c.sentences = map[string]sentence{}
		problems := s.checkLanguage(key)
		c.sentences = all
		for _, name := range names {
			missed(key, name, problems)
		}
	}
}

const fewWords = "outage: {none: a, minor: b, major: c, critical: d}\n"

// TestALanguagesFileIsReadStrictly names the place of a mistake.
func TestALanguagesFileIsReadStrictly(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"words:\n  outage: {none: a, minor: b, major: c}\n":  "languages/fr.yaml:2: outage: there is no word for critical",
		"words:\n  phases: {investigating: a, unknown: b}\n": "unknown",
		"words:\n  " + fewWords:                              "languages/fr.yaml:2: lacks the words for",
		"":                                                   "languages/fr.yaml: says nothing",
		"texts: {}\nsentences: {}\n":                         `languages/fr.yaml:2: "sentences" is not a section of a language`,
		"texts:\n  back: |\n    a\n    b\n":                  "languages/fr.yaml:2: texts.back: want a sentence on one line",
		"texts:\n  back: a\n  back: b\n":                     "languages/fr.yaml:3: back stands in line 2 already",
		"texts: [a]\n":                                       "languages/fr.yaml:1: texts is a list",
		"review: signed\n":                                   "languages/fr.yaml:1: review is draft, or says who signed it",
		"review: {by: Ann, on: yesterday}\n":                 "languages/fr.yaml:1: review wants a name and a day",
	} {
		_, err := New(templates.FS, files(map[string]string{"languages/fr.yaml": content})).Compile(Source{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

// TestCheckNamesASentenceThatCannotBeRight in its language.
func TestCheckNamesASentenceThatCannotBeRight(t *testing.T) {
	t.Parallel()
	english := maps.Clone(layoutsOnly)
	english["languages/en.yaml"] = "texts:\n  a: \"Use {component} again.\"\n  b: It is over.\n  c: Wait.\n"
	for name, tt := range map[string]struct{ file, a, b, c, want string }{
		"nothing":            {"nl", "Gebruik {component} weer.", "Het is voorbij.", "Wacht.", ""},
		"a slot lost":        {"nl", "Gebruik het weer.", "Het is voorbij.", "Wacht.", "languages/nl.yaml:3: texts.a: has the slots , and in English they are {component}"},
		"a slot doubled":     {"nl", "{component}: {component}.", "Het is voorbij.", "Wacht.", "has the slots {component} {component}"},
		"English":            {"nl", "Gebruik {component} weer.", "It is over.", "Wacht.", "languages/nl.yaml:4: texts.b: is English"},
		"nearly English":     {"nl", "Gebruik {component} weer.", "IT is over!", "Wacht.", "languages/nl.yaml:4: texts.b: is English"},
		"another register":   {"nl", "Gebruik {component} weer.", "Je bent klaar.", "Wacht.", "texts.b: says je, which nl avoids"},
		"a word with a dash": {"nl", "Gebruik {component} weer.", "Stuur een E-Mail.", "Wacht.", "texts.b: says e-mail, which nl avoids"},
		"a part of one":      {"nl", "Gebruik {component} weer.", "Stuur een Mail.", "Wacht.", ""},
		"a letter":           {"nl", "Gebruik {component} weer.", "Groß.", "Wacht.", "texts.b: says ß, which nl avoids"},
		"a mark":             {"nl", "Gebruik {component} weer.", "Het\u200f is voorbij.", "Wacht.", "has a direction mark of the other direction"},
		"an override":        {"nl", "Gebruik {component} weer.", "Het \u202dis voorbij.", "Wacht.", "has a direction mark for a part of it"},
		"the other way":      {"he", "{component} שוב.", "It was over.", "חכו.", "texts.b: is written in the other direction"},
		"a script from left": {"he", "{component} שוב.", "\u200eנגמר.", "חכו.", "has a direction mark of the other direction"},
		"a region":           {"en-GB", "Use {component} again.", "It is over.", "Wait.", ""},
	} {
		content := "avoid: [je, ß, e-mail]\ntexts:\n  a: \"" + tt.a + "\"\n  b: " + tt.b + "\n  c: " + tt.c + "\n"
		s := New(files(english), files(map[string]string{"languages/" + tt.file + ".yaml": content}))
		problems := s.checkLanguages()
		if tt.want == "" && len(problems) > 0 || tt.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, problems, tt.want)
		}
	}
	swiss := New(files(english), files(map[string]string{"languages/de.yaml": "texts:\n  a: \"Weiter mit {component}.\"\n  b: Grüße.\n  c: Warten.\n", "languages/de-CH.yaml": "avoid: [ß]\n"}))
	if problems := swiss.checkLanguages(); len(problems) != 1 || !strings.Contains(problems[0].Error(), "languages/de.yaml:3: texts.b: says ß, which de-CH avoids") {
		t.Errorf("an inherited sentence: %v", problems)
	}
	s := New(files(english), files(map[string]string{"languages/nl.yaml": "texts: {b: Het is voorbij., x: Y.}\n"}))
	if got := len(s.checkLanguages()); got != 3 {
		t.Errorf("two lost and one too many: %v", s.checkLanguages())
	}
}

// TestCheckReadsTheWordsOfALanguageToo: those of the line at the top, of the facts, and of the reader's page.
func TestCheckReadsTheWordsOfALanguageToo(t *testing.T) {
	t.Parallel()
	dutch, err := fs.ReadFile(templates.FS, "languages/nl.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for was, tt := range map[string][2]string{
		"    resolved: Opgelost\n":             {"    resolved: Je bent klaar\n", "words.phases.resolved: says je, which nl avoids"},
		"    status: Statuspagina\n":           {"    status: Status\u200fpagina\n", "words.layout.status: has a direction mark"},
		"    earlier: Eerdere berichten\n":     {"", "nl.yaml: lacks words.layout.earlier"},
		"    saved: Uw keuze is opgeslagen.\n": {"    saved: Your choice has been saved.\n", "words.reader.saved: is English"},
	} {
		changed := strings.Replace(string(dutch), was, tt[0], 1)
		if changed == string(dutch) {
			t.Fatalf("there is no %q", was)
		}
		builtin := fstest.MapFS{}
		err := fs.WalkDir(templates.FS, ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				var content []byte
				content, err = fs.ReadFile(templates.FS, name)
				builtin[name] = &fstest.MapFile{Data: content}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		builtin["languages/nl.yaml"] = &fstest.MapFile{Data: []byte(changed)}
		if problems := New(builtin, nil).checkLanguages(); len(problems) != 1 || !strings.Contains(problems[0].Error(), tt[1]) {
			t.Errorf("%q: got %v, want %q", tt[0], problems, tt[1])
		}
	}
}

// TestALanguageOfTheOverlay adds to a built-in one, sentence by sentence, and one that is signed is no draft.
func TestALanguageOfTheOverlay(t *testing.T) {
	t.Parallel()
	s := New(templates.FS, files(map[string]string{"languages/nl.yaml": "review: {by: Ann, on: 2026-12-01}\ntexts: {back: Alles werkt weer.}\n"}))
	b := outage()
	b.Phase, b.Parameters = "resolved", given(map[string]string{"component": "mail"})
	texts, err := s.Texts(b)
	if err != nil || !strings.Contains(texts["nl"].Body, "Alles werkt weer.") || !strings.Contains(texts["nl"].Body, "Wat u moet doen") {
		t.Errorf("%v: %s", err, texts["nl"].Body)
	}
	p, err := s.Compile(Source{Body: b, Texts: texts, From: "s@example.net"})
	if err != nil || slices.Contains(p.Drafts(), "nl") || !slices.Contains(p.Drafts(), "de") {
		t.Errorf("%v, drafts %v", err, p.Drafts())
	}
	if n, drafts := s.Drafts(); n != len(thirty) || len(drafts) != n-1 {
		t.Errorf("%d languages, drafts %v", n, drafts)
	}
}

// TestATextOfANoticeGoesBeforeTheReadyOnesOfItsRegions too.
func TestATextOfANoticeGoesBeforeTheReadyOnesOfItsRegions(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Texts = map[string]notice.Text{"de": {Subject: "x", Body: "x"}}
	if text, _ := compile(t, b).Match("de-CH"); text != "de" {
		t.Errorf("a reader of de-CH gets %s", text)
	}
}

// TestABuiltInLanguageIsReadWhenItIsNeeded: a notice of its own texts reads the words of those alone, and a mistake in
// a file that it needs is named.
func TestABuiltInLanguageIsReadWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	files := files(layoutsOnly)
	files["languages/en.yaml"] = &fstest.MapFile{Data: []byte("texts: {back: It works again.}\n")}
	files["languages/fr.yaml"] = &fstest.MapFile{Data: []byte("texts: {back: [a]}\n")}
	files["t/frame.md"] = &fstest.MapFile{Data: []byte("---\nsubject: s\n---\n{{say \"back\"}}\n")}
	s := New(files, nil)
	if _, err := s.Compile(Source{Body: notice.Body{Key: "k", Kind: notice.Outage, Phase: "resolved"}, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "x"}}, From: "s@example.net"}); err != nil {
		t.Error(err)
	}
	const want = "languages/fr.yaml:1: back is a list"
	if _, err := s.Texts(notice.Body{Key: "k", Kind: notice.Outage, Phase: "resolved", Template: "t"}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, problems := s.Check(); len(problems) != 1 || !strings.Contains(problems[0].Error(), want) {
		t.Errorf("%v, want %s", problems, want)
	}
}
