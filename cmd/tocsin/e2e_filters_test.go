package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tocsin/internal/api"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// documentedCustomers is the file of customers that docs/filters.md shows.
func documentedCustomers(t *testing.T) (document, csv string) {
	t.Helper()
	document = string(read(t, "../../docs/filters.md"))
	block := regexp.MustCompile("(?s)```csv\n(.*?)```").FindStringSubmatch(document)
	if block == nil {
		t.Fatal("docs/filters.md shows no customers")
	}
	return document, block[1]
}

// chosen is how many customers an audience has, by the dry run; errs is the text of a refusal.
func (s *system) chosen(audience string, files ...string) (n int, plan notice.Plan, errs string) {
	s.t.Helper()
	all := map[string]string{
		"notice.yaml": "key: filtered\nkind: outage\nphase: identified\naudience: " + audience + "\n",
		"en.md":       "---\nsubject: Mail is down\n---\nWe are on it.\n",
	}
	for i := 0; i < len(files); i += 2 {
		all[files[i]] = files[i+1]
	}
	out, errs, code := s.run("notice", "preview", s.write(all), "--json")
	if strings.HasPrefix(out, "{") {
		s.decode(out, &plan)
		return plan.Customers, plan, errs
	}
	if code == 0 {
		s.t.Errorf("%s: exit 0, %s", audience, out)
	}
	return 0, plan, errs
}

// client returns a client of the API, as the last variables of the environment have it.
func (s *system) client() *api.Client {
	s.t.Helper()
	set := map[string]string{}
	for _, v := range s.env {
		name, value, _ := strings.Cut(v, "=")
		set[name] = value
	}
	c, err := api.NewClient(set["TOCSIN_URL"], set["TOCSIN_TOKEN"], "test")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// quoted is a filter as a text of YAML.
func quoted(filter string) string { return "'" + strings.ReplaceAll(filter, "'", "''") + "'" }

func TestTheFiltersOfTheDocumentChooseWhatItSays(t *testing.T) {
	t.Parallel()
	s := start(t)
	document, csv := documentedCustomers(t)
	s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"c.csv": csv}), "c.csv"))
	tried := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(document, -1) {
		filter, want := row[1], strings.TrimSpace(row[2])
		tried++
		n, _, errs := s.chosen(quoted(filter))
		if ids := strings.Fields(want); regexp.MustCompile(`^A\d`).MatchString(want) {
			both, _, more := s.chosen(fmt.Sprintf("{customers: list.csv, filter: %s}", quoted(filter)), "list.csv", "id\n"+strings.Join(ids, "\n"))
			if n != len(ids) || both != len(ids) {
				t.Errorf("%s chooses %d customers, %d of them %s, want all %d of them alone: %s%s", filter, n, both, want, len(ids), errs, more)
			}
		} else if !strings.Contains(errs, want) {
			t.Errorf("%s: chooses %d, says %s, want %s", filter, n, errs, want)
		}
	}
	if tried < 35 {
		t.Errorf("%d filters were tried: the tables of the document are not found", tried)
	}
}

func TestAFilterTakesAFileOfValues(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, csv := documentedCustomers(t)
	s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"c.csv": csv}), "c.csv"))
	var long strings.Builder
	for i := range testkit.Size(20_000, 60_000) {
		fmt.Fprintf(&long, "server-%07d.example.net\n", i)
	}
	for _, c := range []struct {
		audience, file string
		want           int
	}{
		{"server IN @values.csv", "mx1\nmx3\n", 3},
		{"'NOT server IN @values.csv AND plan:*'", "region;Server\nx;mx1\n", 2},
		{"{filter: server NOT IN @values.csv}", long.String(), 5},
		{"server IN @values.csv", long.String() + "mx2\n", 1},
	} {
		if n, _, errs := s.chosen(c.audience, "values.csv", c.file); n != c.want {
			t.Errorf("%s chooses %d, want %d: %s", c.audience, n, c.want, errs)
		}
	}
	for audience, want := range map[string]string{
		"server IN @none.txt":      "notice.yaml:4: audience: there is no file none.txt beside notice.yaml",
		"server IN @../values.csv": "beside notice.yaml",
		"server IN @values.csv":    "values.csv:2: ",
	} {
		if _, _, errs := s.chosen(audience, "values.csv", "mx1\nmx\x01\n"); !strings.Contains(errs, want) {
			t.Errorf("%s: %s, want %s", audience, errs, want)
		}
	}
	// By hand, a filter may be long too.
	var by strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&by, `server = "s%d" OR `, i)
	}
	if n, plan, errs := s.chosen(quoted(by.String() + `server = "mx2"`)); n != 1 || len(plan.Hints) != 21 {
		t.Errorf("a long filter chooses %d with %d hints: %s", n, len(plan.Hints), errs)
	}
}

func TestTheDryRunNamesValuesThatNobodyHas(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, csv := documentedCustomers(t)
	s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"c.csv": csv}), "c.csv"))
	for filter, want := range map[string]string{
		`plan != "trail"`:                         `no customer has plan = "trail"; did you mean "trial"?`,
		`plan = "Gold" OR plan:*`:                 `no customer has plan = "Gold"; did you mean "gold"?`,
		`server IN ("mx1", "mx33")`:               `no customer has server = "mx33"; did you mean "mx3"?`,
		`plan:* AND NOT region = "AP*"`:           `no customer has region = "AP*"`,
		`language != "fr"`:                        `no customer has language = "fr"`,
		`NOT name:"Jones"`:                        `no customer has name : "Jones"`,
		`seats > 9`:                               `seats is no plain number for 1 customers, such as "many"`,
		`plan = "gold" AND (seats > 1 OR id:"A")`: `seats is no plain number`,
	} {
		_, plan, errs := s.chosen(quoted(filter))
		if len(plan.Hints) != 1 || !strings.HasPrefix(plan.Hints[0], want) {
			t.Errorf("%s: hints %q, want %q; %s", filter, plan.Hints, want, errs)
		}
	}
	if _, plan, _ := s.chosen(quoted(`plan IN ("gold", "trial") AND server = "mx*" AND language = "de"`)); len(plan.Hints) != 0 {
		t.Errorf("hints %q about values that customers have", plan.Hints)
	}
	out, _, _ := s.run("notice", "preview", s.notice("shown", `audience: 'plan != "trail"'`))
	if !strings.Contains(out, `did you mean "trial"?`) {
		t.Errorf("the dry run says\n%s", out)
	}
}

// TestAKeptFilterIsReadByItsOwnRules has a draft, and a notice that an audience goes back to, of the version before.
func TestAKeptFilterIsReadByItsOwnRules(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, csv := documentedCustomers(t)
	s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"c.csv": csv}), "c.csv"))
	german := s.notice("german", `audience: 'language = "de"'`)
	if _, errs, code := s.run("notice", "send", german); code != 2 {
		t.Fatalf("exit %d, want only the draft: %s", code, errs)
	}
	s.sql(`UPDATE notice SET filter_rules = 1 WHERE key = 'german' RETURNING key`)
	if _, err := s.client().Release(t.Context(), "german", notice.Releasing{}); err != nil {
		t.Fatal(err)
	}
	if st := s.status("german"); st.Customers != 1 {
		t.Errorf("the draft of before reached %d customers, want A3 alone", st.Customers)
	}
	var r receipt
	if s.must(&r, "notice", "send", german, "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
	if n, _, errs := s.chosen("{notice: german, include_new: true}"); n != 1 {
		t.Errorf("who is new to it: %d customers, want A3 alone; %s", n, errs)
	}
	if n, _, errs := s.chosen(`'language = "de"'`); n != 2 {
		t.Errorf("a new notice reaches %d, want A2 and A3: %s", n, errs)
	}
}
