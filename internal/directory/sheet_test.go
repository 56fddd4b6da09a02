package directory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// TestASheetThatIsNotChangedChangesNothing of any example, and a field that is taken away and put back says the same.
func TestASheetThatIsNotChangedChangesNothing(t *testing.T) {
	t.Parallel()
	found, _ := filepath.Glob("../../examples/*/notice.yaml")
	more, _ := filepath.Glob("../../examples/*/*/notice.yaml")
	for _, path := range append(found, more...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := ReadSheet(text)
		if got, err := s.Put(text); err != nil || string(got) != string(text) {
			t.Errorf("%s: %v\n%s", path, err, cmp.Diff(string(text), string(got)))
		}
		bare, err := Sheet{}.Put(text)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		back, err := s.Put(bare)
		if diff := cmp.Diff(s, ReadSheet(back)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s\n%s", path, err, diff, back)
		}
	}
	if len(found) < 4 {
		t.Errorf("%d examples", len(found))
	}
}

var everyField = Sheet{
	Plain: map[string]string{"key": "a.b", "incident": "a", "amends": "c", "kind": "outage", "phase": "null", "severity": "no", "template": "outage", "audience_at": "send",
		"max_recipients": "3000", "canary": "0x1f", "default_language": "no", "stacked": "~", "zone": "Etc/GMT+1", "calendar_impact": "it's: \"so\" # not", "calendar_object": "- a",
		"calendar_method": "@publish", "reply_to": "NOC <noc@example.com>", "send_at": "2026-11-09T21:00", "expires_at": "2026-12-05T23:00:00+01:00"},
	Parameters: map[string]notice.Parameter{"component": {ByLanguage: map[string]string{"de": "Web: 1", "no": "a\nb\n\n  c"}}, "y": {Text: "a, [b]"}, "z": {Text: "tab\there\u2028x"}},
	Details:    notice.Parameter{ByLanguage: map[string]string{"en": "One\n\n# Two {{.Customer.Name}}", "nl": "# x"}},
	Phrases:    []notice.Phrase{{Name: "cause.power"}, {Name: "estimate.end", Values: map[string]notice.Parameter{"time": {Text: "2026-11-09T21:00"}, "name": {ByLanguage: map[string]string{"en": "x"}}}}},
	Audience:   Aim{Filter: `server = "s639" AND name != "it's"`, Notice: "x.y", New: true, State: []string{"failed", "bounced"}, Contact: "alternate"},
	Windows:    []notice.Window{{Start: "2026-11-09T21:00", End: "2026-11-10T00:00", Zone: "Europe/Amsterdam"}, {Start: "soon, [x"}},
	Was:        []notice.Window{{End: "2026-11-09T21:00"}}, Remind: []string{"72h", "1h"}, BrokenDomains: []string{"a.example", "bücher.example"},
	Broken: notice.Broken{Domains: []string{"b.example"}, Filter: `x IN @list.csv`}, Unread: map[string]bool{},
}

// TestASheetIsReadAsItIsWritten: each field, into nothing and into a file with comments.
func TestASheetIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "# about\n\nkey: x # the name\nother: {a: 1}\naudience:\n# end\n"} {
		text, err := everyField.Put([]byte(before))
		if diff := cmp.Diff(everyField, ReadSheet(text)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s\n%s", err, diff, text)
		}
		if before != "" && (!strings.Contains(string(text), "# about\n\nkey: a.b  # the name\n") || !strings.Contains(string(text), "other: {a: 1}\n") || !strings.HasSuffix(string(text), "# end\n")) {
			t.Errorf("more was changed: %s", text)
		}
	}
}

// TestAFieldThatASheetCantShowStays where other fields change.
func TestAFieldThatASheetCantShowStays(t *testing.T) {
	t.Parallel()
	text := "key: a\nwindows: soon   # not yet\nparameters: [a]\naudience: {filter: x, colour: red}\n"
	s := ReadSheet([]byte(text))
	if diff := cmp.Diff(map[string]bool{"windows": true, "parameters": true, "audience": true}, s.Unread); diff != "" {
		t.Error(diff)
	}
	s.Plain["key"], s.Windows = "b", []notice.Window{{Start: "x"}}
	got, err := s.Put([]byte(text))
	if want := strings.Replace(text, "key: a", "key: b", 1); err != nil || string(got) != want {
		t.Errorf("%v: %s", err, got)
	}
	for _, text := range []string{"key: [", "- a\n"} {
		if got, err := everyField.Put([]byte(text)); err != nil || string(got) != text {
			t.Errorf("%v: %s", err, got)
		}
	}
	if _, err := everyField.Put([]byte("{key: a}\n")); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("braces: %v", err)
	}
	if got := FieldAt([]byte("key: a\nwindows:\n  - {start: x}\nzone: y\n"), 3); got != "windows" {
		t.Errorf("line 3 is of %q", got)
	}
}

// FuzzSheet: a text of any kind comes back as it was.
func FuzzSheet(f *testing.F) {
	for _, seed := range []string{"a", "null", "a: b", "- x", "'", "\"", "a\n b\n\nc", "#", "@", "\u0085", "1:2", "é:", "\x7f", " x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		want := plainText(strings.ToValidUTF8(value, "\uFFFD"))
		if strings.ContainsRune(want, 0) {
			return // the ledger keeps none
		}
		s := Sheet{Plain: map[string]string{"key": want}, Parameters: map[string]notice.Parameter{"p": {Text: want}}, Windows: []notice.Window{{Start: want}}, Remind: []string{want}}
		text, err := s.Put(nil)
		got := ReadSheet(text)
		if err != nil || got.Plain["key"] != want || got.Parameters["p"].Text != want || want != "" && (got.Windows[0].Start != want || got.Remind[0] != want) {
			t.Errorf("%q: %v, %+v\n%s", want, err, got, text)
		}
	})
}
