package ledger

import (
	"slices"
	"testing"
)

func TestEveryCommitWaitsForTheStandbys(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string][]string{
		"":                       nil,
		"b":                      {"b"},
		" B ":                    {"b"},
		`"b c"`:                  {"b c"},
		`"b""c"`:                 {`b"c`},
		"b, c":                   nil, // FIRST 1
		"FIRST 1 (b, c)":         nil,
		"FIRST 2 (b, c)":         {"b", "c"},
		"2 (b, c)":               {"b", "c"},
		"any 2 (\"pg-1\",\"C\")": {"pg-1", "c"},
		"ANY 1 (b, c)":           nil,
		"ANY 1 (b)":              {"b"},
		"*":                      nil,
		"ANY 1 (*)":              nil,
		`"*"`:                    {"*"},
		"2 (b, B)":               nil,
		"2 (b b)":                nil,
		"ANY 99999999999 (b":     nil,
		"ANY 1 (b) c":            nil,
		"2 (b, *)":               nil,
	} {
		if got := everyStandby(setting); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", setting, got, want)
		}
	}
}

func TestOneCanBeSureOfStandbys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		r     replication
		names []string
		there bool
	}{
		{"one", replication{"b", []string{"b"}, []string{"sync"}}, []string{"b"}, true},
		{"all of a quorum", replication{"ANY 2 (b, c)", []string{"b", "c", "x"}, []string{"quorum", "quorum", "async"}}, []string{"b", "c"}, true},
		{"it is away", replication{"b", []string{"c"}, []string{"async"}}, []string{"b"}, false},
		{"it catches up", replication{"b", []string{"b"}, []string{"potential"}}, []string{"b"}, false},
		{"two of the name", replication{"b", []string{"b", "b"}, []string{"sync", "potential"}}, nil, false},
		{"not to be seen", replication{"b", []string{"b"}, []string{""}}, nil, false},
		{"none is waited for", replication{"", []string{"b"}, []string{"async"}}, nil, false},
	} {
		if names, there := c.r.sure(); !slices.Equal(names, c.names) || there != c.there {
			t.Errorf("%s: %q %v, want %q %v", c.name, names, there, c.names, c.there)
		}
	}
}

func TestTheNameThatAServerHadAsAStandby(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ conninfo, cluster, want string }{
		{"", "b", ""},
		{"host=/x user=tocsin application_name=B", "main", "b"},
		{"application_name = 'b c' host=x", "", "b c"},
		{"user=tocsin", "B", "b"},
		{"user=tocsin", "", ""},
		{"fallback_application_name=c", "b", "b"},
	} {
		if got := nameAsStandby(c.conninfo, c.cluster); got != c.want {
			t.Errorf("%q, %q: %q, want %q", c.conninfo, c.cluster, got, c.want)
		}
	}
}
