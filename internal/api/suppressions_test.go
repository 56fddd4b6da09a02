package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestSuppressionsThroughTheClient(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	got, err := b.client.Suppress(ctx, " Anna@B\u00fccher.example ", "", "")
	if err != nil {
		t.Fatal(err)
	}
	want := notice.Suppression{Number: 1, Address: "anna@xn--bcher-kva.example", Reason: "request", Scope: notice.ScopeAll, AddedBy: pressed, AddedAt: got.AddedAt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := b.client.Suppress(ctx, "ANNA@xn--bcher-kva.example", "complaint", ""); err != nil || got.Number != 1 || got.Reason != "complaint" {
		t.Errorf("the same again: %+v, %v", got, err)
	}
	report, err := b.client.ImportSuppressions(ctx, strings.NewReader("reason;Address\nbounced;a@x.example\n;b@x.example\n;broken\n"), "old list", "")
	if err != nil {
		t.Fatal(err)
	}
	if report.Read != 3 || report.Inserted != 2 || len(report.Rejected) != 1 || report.Rejected[0].Line != 4 || report.Rejected[0].Column != "address" {
		t.Errorf("the report is %+v", report)
	}
	all, err := b.client.Suppressions(ctx)
	if err != nil || len(all) != 3 || all[1].Reason != "bounced" || all[2].Reason != "old list" || all[2].AddedBy != pressed {
		t.Errorf("%+v, %v", all, err)
	}
	for _, remove := range []func() error{
		func() error { return b.client.Unsuppress(ctx, "A@X.example") },
		func() error { return b.client.UnsuppressNumber(ctx, 1) },
	} {
		if err := remove(); err != nil {
			t.Error(err)
		}
		if err := remove(); notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("removed again: %v", err)
		}
	}
	if strings.Contains(b.log.String(), "example") {
		t.Errorf("the log names an address:\n%s", b.log.String())
	}
}

func TestSuppressionsComeInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var file strings.Builder
	for i := range 2300 {
		fmt.Fprintf(&file, "a%d@x.example\n", i)
	}
	if _, err := b.client.ImportSuppressions(t.Context(), strings.NewReader(file.String()), "", ""); err != nil {
		t.Fatal(err)
	}
	if all, err := b.client.Suppressions(t.Context()); err != nil || len(all) != 2300 || all[2299].Number != 2300 {
		t.Errorf("%d suppressions, %v", len(all), err)
	}
}

func TestSuppressionsAreRefusedWithoutAnEcho(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		field      string
	}{
		"no address":                {path: "/v1/suppressions", body: `{"address":"secret.example"}`, status: 422, field: "address"},
		"an address missing":        {path: "/v1/suppressions", body: `{"reason":"bounced"}`, status: 422, field: "address"},
		"a reason too long":         {path: "/v1/suppressions", body: `{"address":"secret@x.example","reason":"` + strings.Repeat("x", 201) + `"}`, status: 422, field: "reason"},
		"an address for a reason":   {path: "/v1/suppressions", body: `{"address":"secret@x.example","reason":"see secret@x.example"}`, status: 422, field: "reason"},
		"not on the list":           {path: "/v1/suppressions/remove", body: `{"address":"secret@x.example"}`, status: 404},
		"a file of another kind":    {path: "/v1/suppressions/import", body: "secret@x.example", header: []string{"Content-Type", "text/plain"}, status: 415},
		"a file without an address": {path: "/v1/suppressions/import", body: "name,mail\nA,secret@x.example\n", header: []string{"Content-Type", "text/csv"}, status: 422, field: "file"},
	} {
		header := c.header
		if header == nil {
			header = []string{"Content-Type", "application/json"}
		}
		resp, text := b.send(t, http.MethodPost, c.path, c.body, header...)
		p := problemIn(t, resp, text)
		if p.Status != c.status || c.field != "" && (len(p.Errors) != 1 || p.Errors[0].Field != c.field) || strings.Contains(text, "secret") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
