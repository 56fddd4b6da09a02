package api

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestAnAudienceIsATextOrAnObject(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]notice.Audience{
		`"all"`:               {All: true},
		`"plan = \"gold\""`:   {Filter: `plan = "gold"`},
		`{"filter":"plan:*"}`: {Filter: "plan:*"},
		`{"customers":["C1","C2"],"filter":"a:*"}`: {Customers: []string{"C1", "C2"}, Filter: "a:*"},
		`{"notice":"earlier","include_new":true}`:  {Notice: "earlier", IncludeNew: true},
	} {
		b := setup(t)
		resp, text := b.send(t, "POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved","audience":`+sent+`}`, "Content-Type", "application/json")
		if resp.StatusCode != http.StatusCreated {
			t.Errorf("%s: %s", sent, text)
			continue
		}
		if diff := cmp.Diff(want, b.bodies[1].Audience); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sent, diff)
		}
	}
	b := setup(t)
	for _, sent := range []string{`7`, `["C1"]`, `{"customers":"list.csv"}`, `{"customers":[1]}`, `{"customer":["secret"]}`,
		`{"customers_sha256":"secret"}`, `{"include_new":"yes"}`} {
		resp, text := b.send(t, "POST", "/v1/notices", `{"key":"k","kind":"outage","phase":"resolved","audience":`+sent+`}`, "Content-Type", "application/json")
		p := problemIn(t, resp, text)
		if p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Field != "audience" || !strings.Contains(text, "neither a filter nor an object") || strings.Contains(text, "secret") {
			t.Errorf("%s: %s", sent, text)
		}
	}
}

// TestALongListOfCustomersFits sends one as the command line does, and holds the rest of a body to one mebibyte.
func TestALongListOfCustomersFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := body("k")
	for i := range testkit.Size(60_000, 200_000) { // more than a mebibyte
		in.Audience.Customers = append(in.Audience.Customers, fmt.Sprintf("customer-%012d", i))
	}
	if _, err := b.client.Draft(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in, b.bodies[1]) {
		t.Error("the list did not arrive whole")
	}
	in.ReplyTo = strings.Repeat("x", maxBody)
	if _, err := b.client.Draft(t.Context(), in); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("a mebibyte beside the list: %v", err)
	}
}

func TestAMemberStandsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, sent := range []string{
		`{"key":"k","kind":"outage","phase":"resolved","audience":"a:*","audience":"all"}`,
		`{"key":"k","kind":"outage","phase":"resolved","audience":"all","windows":[{"start":"2026-11-09T21:00","end":"2026-11-09T22:00","end":"2026-11-09T23:00"}]}`,
		`{"key":"k","kind":"outage","phase":"resolved","audience":"all","parameters":{"component":"a","component":"b"}}`,
		`{"key":"k","kind":"outage","phase":"resolved","audience":{"filter":"a:*","filter":""}}`,
		`{"key":"k","kind":"outage","phase":"resolved","audience":"all","\u006bey":"other"}`,
	} {
		resp, text := b.send(t, "POST", "/v1/notices", sent, "Content-Type", "application/json")
		if p := problemIn(t, resp, text); p.Status/100 != 4 || !strings.Contains(text, "names a member twice") {
			t.Errorf("%s: %s", sent, text)
		}
	}
	for _, sent := range []string{
		`{"key":"k","kind":"outage","phase":"resolved","Audience":"all"}`,
		`{"KEY":"k","kind":"outage","phase":"resolved","audience":"all"}`,
		`{"key":"k","kind":"outage","phase":"resolved","audience":"a:*","Audience":"all"}`,
	} {
		resp, text := b.send(t, "POST", "/v1/notices", sent, "Content-Type", "application/json")
		if p := problemIn(t, resp, text); p.Status != 422 {
			t.Errorf("%s: %s", sent, text)
		}
	}
}
