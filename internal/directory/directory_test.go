package directory

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

const english = "---\nsubject: Power feeds\n---\nWe replace the **power feeds**.\n"

// layOut writes files into a fresh directory.
func layOut(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadTakesEveryField(t *testing.T) {
	t.Parallel()
	dir := layOut(t, map[string]string{"notice.yaml": `
key: power-feeds-2026-11-09.scheduled
incident: power-feeds-2026-11-09        # the thread
kind: maintenance
phase: scheduled
severity: major
template: maintenance
parameters: {component: "web server s639", racks: 7, version: 1.10, empty: }
audience: 'server = "s639" AND plan != "trial"'
default_language: no
stacked: never
zone: Europe/Amsterdam
windows:
  - {start: 2026-11-09T21:00, end: "2026-11-10T00:00", zone: Europe/Amsterdam}
  - start: 2026-11-10 21:00
    end: 2026-11-11
broken_domains: [mail.example]
reply_to: support@example.org
send_at: 2026-11-06T09:00:00+01:00
expires_at: "2026-11-10T00:00:00Z"
`})
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := notice.Body{
		Key: "power-feeds-2026-11-09.scheduled", Incident: "power-feeds-2026-11-09", Kind: notice.Maintenance,
		Phase: "scheduled", Severity: "major", Template: "maintenance",
		Parameters: map[string]notice.Parameter{"component": {Text: "web server s639"}, "racks": {Text: "7"}, "version": {Text: "1.10"}},
		Audience:   notice.Audience{Filter: `server = "s639" AND plan != "trial"`}, DefaultLanguage: "no", Stacked: notice.StackNever, Zone: "Europe/Amsterdam",
		Windows: []notice.Window{
			{Start: "2026-11-09T21:00", End: "2026-11-10T00:00", Zone: "Europe/Amsterdam"},
			{Start: "2026-11-10 21:00", End: "2026-11-11"},
		},
		BrokenDomains: []string{"mail.example"}, ReplyTo: "support@example.org",
		SendAt: "2026-11-06T09:00:00+01:00", ExpiresAt: "2026-11-10T00:00:00Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestReadFindsWhatATemplateIsGiven(t *testing.T) {
	t.Parallel()
	dir := layOut(t, map[string]string{
		"notice.yaml": "key: a\ntemplate: outage\nparameters: {component: {en: mail, de-AT: Post}, x: y}\n",
		"pl.md":       english, "details.en.md": "\ufeffMore\n", "details.pt_br.md": "Mais\n",
	})
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := notice.Body{Key: "a", Template: "outage", Texts: map[string]notice.Text{"pl": {Subject: "Power feeds", Body: "We replace the **power feeds**.\n"}},
		Parameters: map[string]notice.Parameter{"component": {ByLanguage: map[string]string{"en": "mail", "de-AT": "Post"}}, "x": {Text: "y"}},
		Details:    notice.Parameter{ByLanguage: map[string]string{"en": "More\n", "pt-BR": "Mais\n"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
	for place, want := range map[string]string{"details.pt-BR:3": "notice.yaml details.pt-BR", "details.en:3": "details.en.md:3"} {
		if got := Place(dir, place); got != filepath.Join(dir, want) {
			t.Errorf("%s is in %s", place, got)
		}
	}
}

func TestReadFindsTheTexts(t *testing.T) {
	t.Parallel()
	dir := layOut(t, map[string]string{
		"notice.yaml": "key: a\n", "en.md": english, "pt_br.md": english, "zh-hant.MD": english,
		"README.md": "How this notice came about.\n", ".#en.md": "an editor's", "list.csv": "id\n", "en.md~": "an editor's",
	})
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := notice.Text{Subject: "Power feeds", Body: "We replace the **power feeds**.\n"}
	want := notice.Body{Key: "a", Texts: map[string]notice.Text{"en": text, "pt-BR": text, "zh-Hant": text}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// Each error is the caller's to mend: it names the file, the line, and the right form.
func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"no manifest", map[string]string{"en.md": english}, []string{"holds no notice.yaml"}},
		{"manifest of another name", map[string]string{"notice.yml": "key: a"}, []string{"notice.yml", "must be named notice.yaml"}},
		{"empty manifest", map[string]string{"notice.yaml": "# key: a\n", "en.md": english}, []string{"notice.yaml: is empty"}},
		{"no text and no template", map[string]string{"notice.yaml": "key: a"}, []string{"has no text", "en.md", "template"}},
		{"details twice", map[string]string{"notice.yaml": "key: a\ntemplate: outage\ndetails: x\n", "details.nl.md": "x", "details.en.md": "y"}, []string{"notice.yaml: has details", "details.en.md"}},
		{"details of nothing", map[string]string{"notice.yaml": "key: a\ntemplate: outage\n", "details.nl.md": " \n"}, []string{"details.nl.md: is empty"}},
		{"details in no language", map[string]string{"notice.yaml": "key: a\ntemplate: outage\n", "details.dutch.md": "x"}, []string{"details.dutch.md: is not named after a language"}},
		{"details in a list", map[string]string{"notice.yaml": "key: a\ntemplate: outage\ndetails: [a]\n"}, []string{"notice.yaml:3: details is a list"}},
		{"a parameter twice in a language", map[string]string{"notice.yaml": "template: outage\nparameters:\n  a: {en: x, en: y}\n"}, []string{"notice.yaml:3: en stands in line 3 already"}},
		{"unknown field", map[string]string{"notice.yaml": "key: a\nphaze: resolved\n", "en.md": english}, []string{`notice.yaml:2: "phaze" is not a field of a notice; did you mean phase?`}},
		{"two mistakes", map[string]string{"notice.yaml": "kee: a\nzone: [UTC]\n", "en.md": english}, []string{`notice.yaml:1: "kee"`, "notice.yaml:2: zone is a list; want one plain value"}},
		{"field twice", map[string]string{"notice.yaml": "key: a\nkey: b\n", "en.md": english}, []string{"notice.yaml:2: key stands in line 1 already"}},
		{"parameter twice", map[string]string{"notice.yaml": "parameters: {a: 1,\n a: 2}\n", "en.md": english}, []string{"notice.yaml:2: a stands in line 1 already"}},
		{"parameters as text", map[string]string{"notice.yaml": "parameters: a\n", "en.md": english}, []string{"notice.yaml:1: parameters is plain text; want a mapping"}},
		{"parameter as list", map[string]string{"notice.yaml": "parameters:\n  a: [1]\n", "en.md": english}, []string{"notice.yaml:2: the parameter a is a list"}},
		{"a list and a notice", map[string]string{"notice.yaml": "audience:\n  {customers: list.csv, notice: b}\n", "list.csv": "id\nC1\n", "en.md": english}, []string{"notice.yaml:2: ", "not both"}},
		{"include_new without a notice", map[string]string{"notice.yaml": "audience: {include_new: true}\n", "en.md": english}, []string{"notice.yaml:1: ", "include_new goes with notice"}},
		{"include_new as a word", map[string]string{"notice.yaml": "audience: {notice: b, include_new: perhaps}\n", "en.md": english}, []string{"notice.yaml:1: ", "neither true nor false"}},
		{"unknown field of an audience", map[string]string{"notice.yaml": "audience:\n  customer: list.csv\n", "en.md": english}, []string{"notice.yaml:2: ", `"customer" is not a field of an audience; did you mean customers?`, "customers, filter, include_new, notice"}},
		{"a list that is not there", map[string]string{"notice.yaml": "audience:\n  customers: list.csv\n", "en.md": english}, []string{"notice.yaml:2: ", "there is no file list.csv"}},
		{"a list elsewhere", map[string]string{"notice.yaml": "audience:\n  customers: ../list.csv\n", "en.md": english}, []string{"notice.yaml:2: ", "beside notice.yaml"}},
		{"a list of nobody", map[string]string{"notice.yaml": "audience: {customers: list.csv}\n", "list.csv": "id\n\n", "en.md": english}, []string{"list.csv: ", "names no customer"}},
		{"a list with a row without an id", map[string]string{"notice.yaml": "audience: {customers: list.csv}\n", "list.csv": "name,id\nAnna,C1\nBob,\n", "en.md": english}, []string{"list.csv:3: ", "has no id"}},
		{"a list without an id column", map[string]string{"notice.yaml": "audience: {customers: list.csv}\n", "list.csv": "name,email\nAnna,a@x.example\n", "en.md": english}, []string{"list.csv: ", "line 1", "named id"}},
		{"windows as text", map[string]string{"notice.yaml": "windows: tonight\n", "en.md": english}, []string{"notice.yaml:1: windows is plain text; want a list"}},
		{"window's unknown field", map[string]string{"notice.yaml": "windows:\n- {begin: 2026-11-09T21:00}\n", "en.md": english}, []string{`notice.yaml:2: "begin" is not a field of a window; known are end, start, zone`}},
		{"window without an end", map[string]string{"notice.yaml": "windows:\n- {start: 2026-11-09T21:00}\n", "en.md": english}, []string{"notice.yaml:2: a window wants both a start and an end"}},
		{"broken domains as text", map[string]string{"notice.yaml": "broken_domains: mail.example\n", "en.md": english}, []string{"notice.yaml:1: broken_domains is plain text; want a list"}},
		{"no time", map[string]string{"notice.yaml": "send_at: 6 November\n", "en.md": english}, []string{"notice.yaml:1: send_at", "is not a time", "+01:00"}},
		{"date for a time", map[string]string{"notice.yaml": "expires_at: 2026-11-06\n", "en.md": english}, []string{"notice.yaml:1: expires_at", "2026-11-06"}},
		{"no YAML", map[string]string{"notice.yaml": "key: a\nkind: 'outage\n", "en.md": english}, []string{"is not YAML"}},
		{"no mapping", map[string]string{"notice.yaml": "- key: a\n", "en.md": english}, []string{"notice.yaml:1: the file is a list; want fields such as “key: …”"}},
		{"two documents", map[string]string{"notice.yaml": "key: a\n---\nkey: b\n", "en.md": english}, []string{"more than one YAML document"}},
		{"file of no language", map[string]string{"notice.yaml": "key: a\n", "en.md": english, "english.md": english}, []string{"english.md: is not named after a language"}},
		{"file of an unknown language", map[string]string{"notice.yaml": "key: a\n", "xx.md": english}, []string{"xx.md: is not named after a language"}},
		{"two files of one language", map[string]string{"notice.yaml": "key: a\n", "pt-BR.md": english, "pt_br.md": english}, []string{"pt_br.md: is the same language as pt-BR.md: pt-BR"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(layOut(t, tt.files))
			if err == nil {
				t.Fatal("no error")
			}
			if notice.CodeOf(err) != notice.CodeInvalid {
				t.Errorf("error %v is not the caller's", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestReadNamesWhatIsNoDirectory(t *testing.T) {
	t.Parallel()
	dir := layOut(t, map[string]string{"notice.yaml": "key: a\n"})
	if _, err := Read(filepath.Join(dir, "gone")); err == nil || !strings.Contains(err.Error(), "gone: there is no such directory") {
		t.Errorf("error %v", err)
	}
	if _, err := Read(filepath.Join(dir, "notice.yaml")); err == nil || !strings.Contains(err.Error(), "is a file; a notice is a directory") {
		t.Errorf("error %v", err)
	}
}

// For any content of the file parse returns, and each fault in it is the caller's to mend.
func FuzzParse(f *testing.F) {
	f.Add("key: a\nwindows:\n- {start: 2026-11-09T21:00, end: 2026-11-10T00:00}\nparameters: {a: 1}\n")
	f.Add("a: &a [*a]\nparameters: *a\n<<: *a\n")
	f.Add("windows: [&w {start: 1, end: 2}, *w]\n? [key]\n: a\n")
	f.Add("\xff\xfe---\n...\n!!binary aGk=: x")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := place{}.parse([]byte(text))
		if _, ok := errors.AsType[*notice.Error](err); err != nil && !ok {
			t.Errorf("parse(%q) = %v", text, err)
		}
	})
}

// TestPhrasesAreReadInTheirOrder with and without values, and one to an item.
func TestPhrasesAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	b, err := place{}.parse([]byte("phrases:\n- cause.power\n- effect.region: {name: {en: Delft, de: Delft}}\n- {estimate.end: {time: 2026-11-09T21:00}}\n"))
	want := []notice.Phrase{{Name: "cause.power"},
		{Name: "effect.region", Values: map[string]notice.Parameter{"name": {ByLanguage: map[string]string{"en": "Delft", "de": "Delft"}}}},
		{Name: "estimate.end", Values: map[string]notice.Parameter{"time": {Text: "2026-11-09T21:00"}}}}
	if diff := cmp.Diff(want, b.Phrases); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"phrases: cause.power\n":                             "notice.yaml:1: phrases is plain text; want a list",
		"phrases:\n- {cause.power: {}, cause.cooling: {}}\n": "notice.yaml:2: each phrase is an item of its own",
		"phrases:\n- estimate.end: 2026-11-09T21:00\n":       "notice.yaml:2: ",
	} {
		if _, err := (place{}).parse([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
