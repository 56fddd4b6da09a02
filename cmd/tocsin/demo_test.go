package main

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/language"

	"tocsin/examples"
	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/templates"
)

// exampleCustomers reads examples/customers.csv.
func exampleCustomers(t *testing.T) (rows []notice.CustomerRow) {
	t.Helper()
	file, err := examples.FS.Open("customers.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := audience.NewReader(file, audience.FileOptions{Format: audience.FormatCSV})
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, rejection, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		if rejection != nil {
			t.Fatalf("line %d: %s %s", rejection.Line, rejection.Column, rejection.Reason)
		}
		rows = append(rows, row)
	}
}

func TestTheExampleCustomersShowWhatHappensInRealLife(t *testing.T) {
	t.Parallel()
	rows := exampleCustomers(t)
	languages, zones, spellings := map[string]int{}, map[string]int{}, map[string]map[string]int{}
	missing, alternates, stranded := 0, 0, 0
	for _, r := range rows {
		base, _, _ := strings.Cut(r.Customer.Language, "-")
		languages[base]++
		zones[r.Customer.TimeZone]++
		switch {
		case r.EmailKey == "":
			missing++
			continue
		case strings.HasSuffix(r.EmailKey, "@mail.example") && r.AlternateEmailKey == "":
			stranded++
		case r.AlternateEmailKey != "":
			alternates++
		}
		if spellings[r.EmailKey] == nil {
			spellings[r.EmailKey] = map[string]int{}
		}
		spellings[r.EmailKey][r.Customer.Email]++
	}
	shared, twins := 0, 0
	for _, s := range spellings {
		n := 0
		for _, k := range s {
			n += k
		}
		shared += min(n-1, 1)
		twins += min(len(s)-1, 1)
	}
	if len(rows) != 2000 || len(languages) != 8+1 || len(zones) != 12+1 {
		t.Errorf("%d customers, languages %v, zones %v", len(rows), languages, zones)
	}
	for what, n := range map[string]int{
		"customers without a language": languages[""], "customers without a zone": zones[""], "customers without an address": missing,
		"alternates": alternates, "customers on the broken domain without one": stranded, "shared mailboxes": shared,
		"mailboxes in two spellings": twins,
	} {
		if n < 10 {
			t.Errorf("%d %s, want some", n, what)
		}
	}
}

func TestTheExampleNoticeReadsInEachOfItsLanguagesWithoutAHole(t *testing.T) {
	t.Parallel()
	body, err := demoBody()
	if err != nil {
		t.Fatal(err)
	}
	set := render.New(templates.FS, nil)
	texts, err := set.Texts(body)
	if err != nil {
		t.Fatal(err)
	}
	program, err := set.Compile(render.Source{Body: body, Texts: texts, From: demoFrom, IncidentKey: body.Incident})
	if err != nil {
		t.Fatal(err)
	}
	byLanguage := map[string]int{}
	for _, r := range exampleCustomers(t) {
		text, exact := program.Match(r.Customer.Language)
		if !exact && r.Customer.Language != "" {
			t.Errorf("no text for %s", r.Customer.Language)
		}
		frozen := notice.Frozen{ID: r.Customer.ID, Name: r.Customer.Name, Attributes: r.Customer.Attributes}
		bare := notice.Frozen{ID: "C1", Name: "Somebody"}
		for _, customers := range [][]notice.Frozen{{frozen}, {frozen, bare}} {
			to := notice.Recipient{Address: r.Customer.Email, Language: r.Customer.Language, TimeZone: r.Customer.TimeZone, Customers: customers}
			if err := program.Check(to, text); err != nil {
				t.Fatalf("%s, customer %s: %v", text, r.Customer.ID, err)
			}
		}
		byLanguage[text]++
	}
	want := []string{"ar", "de", "en", "es", "fr", "ja", "nl", "sv"}
	if got := slices.Sorted(maps.Keys(byLanguage)); !slices.Equal(got, want) {
		t.Errorf("mails in %v, want %v", got, want)
	}
	for tag := range texts {
		if _, err := language.Parse(tag); err != nil {
			t.Error(err)
		}
	}
}
