package yaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// relay is the example of the tests: a text, a list of texts, a flag and a mapping of its own.
type relay struct {
	Name  string
	Hosts []string
	TLS   bool
	Notes map[string]string
	Inner *relay
}

func read(text string) (r relay, err error) {
	v, err := Read("f.yaml", []byte(text))
	if err != nil {
		return r, err
	}
	return r, r.read(v)
}

func (r *relay) read(v Value) error {
	return v.Fields("field of a relay", "a relay such as {name: main}", Fields{
		"name": Text(&r.Name), "hosts": Texts(&r.Hosts, "[a, b]"), "tls": Flag(&r.TLS),
		"notes": func(v Value) error {
			return v.Each("a mapping such as {a: b}", func(_, val Value) error {
				text, err := val.As("the note " + val.Name()).Text()
				if r.Notes == nil {
					r.Notes = map[string]string{}
				}
				r.Notes[val.Name()] = text
				return err
			})
		},
		"inner": func(v Value) error {
			r.Inner = &relay{}
			return r.Inner.read(v)
		},
	})
}

func TestValuesAreTakenAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]relay{
		"":                         {},
		"# nothing yet\n":          {},
		"---\n":                    {},
		"name:\ntls: ~\nhosts:\n":  {},
		"name: no\nhosts: [1.10]":  {Name: "no", Hosts: []string{"1.10"}},
		"name: 2026-11-09T21:00\n": {Name: "2026-11-09T21:00"},
		"name: 'it''s'\ntls: true": {Name: "it's", TLS: true},
		"name: |\n  a\n  b\n":      {Name: "a\nb\n"},
		"\ufeffname: a\r\n":        {Name: "a"},
		"notes: {on: off, x: }":    {Notes: map[string]string{"on": "off", "x": ""}},
		"hosts: &h [a, &b b]\ninner: {hosts: *h, name: *b}\n": {
			Hosts: []string{"a", "b"}, Inner: &relay{Hosts: []string{"a", "b"}, Name: "b"}},
		"name: !!str 5\n": {Name: "5"},
	} {
		got, err := read(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

// bomb is a mapping of which each field names the one before ten times.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	return b.String()
}

// TestErrors: an error names the line and the field, and says how to mend it.
func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown field", "name: a\nhost: [a]\n", []string{`f.yaml:2: "host" is not a field of a relay; did you mean hosts? known are hosts, inner, name, notes, tls`}},
		{"field like no other", "frobnicate: a\n", []string{`f.yaml:1: "frobnicate" is not a field of a relay; known are`}},
		{"all mistakes at once", "nam: a\ntls: perhaps\n", []string{"f.yaml:1: ", "did you mean name?", `f.yaml:2: tls: "perhaps" is neither true nor false`}},
		{"field twice", "name: a\n\nname: b\n", []string{"f.yaml:3: name stands in line 1 already"}},
		{"key of a free mapping twice", "notes:\n  a: 1\n  a: 2\n", []string{"f.yaml:3: a stands in line 2 already"}},
		{"list for a text", "name: [a]\n", []string{"f.yaml:1: name is a list; want one plain value"}},
		{"text for a list", "hosts: a\n", []string{"f.yaml:1: hosts is plain text; want a list such as [a, b]"}},
		{"list in a list", "hosts:\n- a\n- [b]\n", []string{"f.yaml:3: an item of hosts is a list; want one plain value"}},
		{"text for a mapping", "inner: a\n", []string{"f.yaml:1: inner is plain text; want a relay such as {name: main}"}},
		{"mapping in a mapping", "notes:\n  x:\n    y: 1\n", []string{"f.yaml:3: the note x is a mapping; want one plain value"}},
		{"no mapping at all", "just text\n", []string{"f.yaml:1: the file is plain text; want a relay such as {name: main}"}},
		{"two documents", "name: a\n---\nname: b\n", []string{"f.yaml:2: holds more than one YAML document"}},
		{"key that is no name", "? [name]\n: a\n", []string{"f.yaml:1: want a name before the colon"}},
		{"merge", "inner: &i {name: a}\nnotes:\n  <<: *i\n", []string{"f.yaml:3: << is not known here"}},
		{"tag", "name: !!binary aGk=\n", []string{"f.yaml:1: the tag !!binary is not known here"}},
		{"tag of one's own", "name: !secret x\n", []string{"f.yaml:1: the tag !secret is not known here"}},
		{"alias within its value", "notes: &n\n  a: *n\n", []string{"f.yaml:2: the alias *n stands within the value that it names"}},
		{"alias of nothing", "name: a\nhosts: *b\n", []string{"f.yaml:2: is not YAML: unknown anchor 'b' referenced"}},
		{"aliases that multiply", bomb(), []string{"the aliases of this file stand for more than 10000 values"}},
		{"colon in a value", "name: a\nhosts: b: c\n", []string{"f.yaml:2: is not YAML: ", "stands in quotes"}},
		{"tab", "inner:\n\tname: a\n", []string{"f.yaml:2: is not YAML: ", "not with tabs"}},
		{"bracket in a first line", "hosts: [a\n", []string{"f.yaml:1: is not YAML: ", "not closed"}},
		{"bracket that was not opened", "name: a\ntls: true\nhosts: a]\nnotes: ]\n", []string{"f.yaml:4: is not YAML: ", "was not opened"}},
		{"quote that is not closed", "tls: true\nname: 'a\nhosts: [b]\n", []string{"f.yaml:2: is not YAML: ", "a quote is not closed"}},
		{"text behind a quote", "tls: true\nhosts: [a]\nname: 'it's'\n", []string{"f.yaml:3: is not YAML: ", "nothing follows a closing quote"}},
		{"control character", "tls: true\nname: a\x01\n", []string{"f.yaml:2: is not YAML: control characters are not allowed"}},
		{"not UTF-8", "tls: true\nname: b\xfccher\n", []string{"f.yaml:2: is not YAML: ", "UTF-8"}},
		{"nesting without end", strings.Repeat("[", 1_000_000), []string{"f.yaml:1: is not YAML: exceeded max depth"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := read(tt.text)
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

func TestAFewAliasesAreNoBomb(t *testing.T) {
	t.Parallel()
	if _, err := read("name: &n a\nhosts: [" + strings.Repeat("*n, ", mostValues) + "]\n"); err != nil {
		t.Error(err)
	}
}

func TestFindNamesTheLineOfWhatIsThere(t *testing.T) {
	t.Parallel()
	v, err := Read("f.yaml", []byte("name: a\ninner:\n  hosts: [b]\n  name: c\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		text string
		line int
	}{"name": {"a", 1}, "inner.name": {"c", 4}, "inner.tls": {"", 2}, "name.tls": {"", 1}, "tls": {"", 0}} {
		found, line := v.Find(path)
		if text, err := found.Text(); text != want.text || line != want.line || err != nil {
			t.Errorf("%s: %q in line %d, %v; want %v", path, text, line, err, want)
		}
	}
}

// FuzzRead: whatever stands in a file, it is read or refused with a line.
func FuzzRead(f *testing.F) {
	f.Add("name: a\nhosts: [a, b]\nnotes: {a: 1}\ninner: {tls: true}\n")
	f.Add("inner: &a {inner: *a}\n<<: *a\n? [name]\n: a\n")
	f.Add("---\n...\n---\n\xff\xfe!!binary aGk=")
	f.Add(bomb())
	f.Fuzz(func(t *testing.T, text string) {
		_, err := read(text)
		e, ok := errors.AsType[*notice.Error](err)
		if err != nil && (!ok || !strings.HasPrefix(e.Field, "f.yaml:")) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
