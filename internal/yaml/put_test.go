package yaml

import (
	"strings"
	"testing"
)

func TestAFieldIsPutInItsPlace(t *testing.T) {
	t.Parallel()
	order := []string{"key", "kind", "phase", "audience", "windows", "zone"}
	for _, tt := range []struct{ text, name, lines, want string }{
		{"", "key", "key: a\n", "key: a\n"},
		{"# about\n", "key", "key: a\n", "# about\nkey: a\n"},
		{"key: a\nkind: outage\n", "kind", "kind: advisory\n", "key: a\nkind: advisory\n"},
		{"key: a   # its name\nkind: outage", "key", "key: b\n", "key: b  # its name\nkind: outage"},
		{"key: a\nzone: UTC", "phase", "phase: resolved\n", "key: a\nphase: resolved\nzone: UTC"},
		{"key: a", "zone", "zone: UTC\n", "key: a\nzone: UTC\n"},
		{"zone: UTC\n", "key", "key: a\n", "key: a\nzone: UTC\n"},
		{"key: a\nwindows:\n  - {start: x,\n     end: y}\n\n# where\nzone: UTC\n", "windows", "", "key: a\n\n# where\nzone: UTC\n"},
		{"key: a\naudience: |\n  x\n  # no comment\nother: [1,\n 2]\n", "audience", "audience: all\n", "key: a\naudience: all\nother: [1,\n 2]\n"},
		{"key: a\r\nkind: outage\r\n", "phase", "phase: x\n", "key: a\r\nkind: outage\r\nphase: x\r\n"},
		{"  key: a\n  kind: outage\n", "zone", "zone: UTC\n", "  key: a\n  kind: outage\n  zone: UTC\n"},
		{"---\nkey: a\n...\n", "zone", "zone: UTC\n", "---\nkey: a\nzone: UTC\n...\n"},
		{"unknown: {b: 1}\nkey: &k a\n", "key", "key: b\n", "unknown: {b: 1}\nkey: b\n"},
	} {
		got, err := Put([]byte(tt.text), tt.name, tt.lines, order)
		if err != nil || string(got) != tt.want {
			t.Errorf("%q with %q: %v\n got %q\nwant %q", tt.text, tt.lines, err, got, tt.want)
		}
	}
	for _, text := range []string{"{key: a, kind: outage}\n", "- a\n", "key: &k a\nincident: *k\n", "key: [\n", "? key\n: a\n? kind\n: b\n", "key: a\nkey: b\n", "a: 1\n---\nb: 2\n"} {
		if got, err := Put([]byte(text), "key", "key: b\n", order); err == nil && !strings.Contains(string(got), "kind") {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// FuzzPut: a change of one field changes no other one, and a field that is put is read back.
func FuzzPut(f *testing.F) {
	f.Add("key: a\nkind: outage # x\nwindows:\n- {a: b}\n")
	f.Add("key: |\n  # a\n\n  b\nzone: 'x\n  y'\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Put([]byte(text), "key", "key: put\n", []string{"key"})
		if err != nil {
			return
		}
		v, err := Read("f", got)
		if err != nil {
			return // as before: aliases, or more than one document
		}
		if put, _ := v.Find("key"); put.node == nil || put.node.Value != "put" {
			t.Errorf("%q became %q", text, got)
		}
	})
}
