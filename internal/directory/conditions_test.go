package directory

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/audience"
)

func TestAFilterIsTakenApartAndJoined(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		all []Condition
		any bool
	}{
		``:              {nil, false},
		`plan = "gold"`: {[]Condition{{"plan", "=", "gold"}}, false},
		`server = "s639" AND plan != "trial" AND seats >= 10`: {[]Condition{{"server", "=", "s639"}, {"plan", "!=", "trial"}, {"seats", ">=", "10"}}, false},
		`server IN ("mx1", "mx2") OR region NOT IN ("EU*")`:   {[]Condition{{"server", "IN", "mx1, mx2"}, {"region", "NOT IN", "EU*"}}, true},
		`plan:* AND NOT (server:*) AND name:"Smit"`:           {[]Condition{{"plan", "filled", ""}, {"server", "empty", ""}, {"name", "holds", "Smit"}}, false},
		`plan = "" AND language = "de"`:                       {[]Condition{{"plan", "empty", ""}, {"language", "=", "de"}}, false},
		`attributes.name = "x"`:                               {[]Condition{{"attributes.name", "=", "x"}}, false},
		`name < "C"`:                                          {[]Condition{{"name", "<", "C"}}, false},
	} {
		all, any, ok := Conditions(text)
		if diff := cmp.Diff(want.all, all); diff != "" || any != want.any || !ok {
			t.Errorf("%s: ok %t, any %t, %s", text, ok, any, diff)
		}
		was, _ := audience.ParseFilter(text)
		is, err := audience.ParseFilter(FilterOf(all, any))
		if diff := cmp.Diff(was, is); err != nil || diff != "" {
			t.Errorf("%s became %s: %v %s", text, FilterOf(all, any), err, diff)
		}
	}
	for _, text := range []string{`plan = "a" AND (region = "b" OR region = "c")`, `NOT (plan = "a" AND region = "b")`, `plan IN ("a, b")`, `server IN @list.csv`, `seats = 9`, `plan = `} {
		if all, _, ok := Conditions(text); ok {
			t.Errorf("%s is said to be %v", text, all)
		}
	}
	if got := FilterOf([]Condition{{"", "=", "x"}, {"plan", "=", " "}, {"plan", "IN", ","}, {"region", "=", `a "b"`}}, true); got != `region = "a \"b\""` {
		t.Error(got)
	}
}
