package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// withDeliveries puts n deliveries behind the notice "k".
func withDeliveries(t *testing.T, b *bundle, n int) {
	t.Helper()
	if _, _, err := b.Draft(context.Background(), body("k"), "x"); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 9, 4, 14, 7, 123456789, time.FixedZone("", 3600))
	for seq := range n {
		b.deliveries = append(b.deliveries, notice.Delivery{
			Seq: seq, Address: fmt.Sprintf("c%d@example.org", seq), Customers: []string{fmt.Sprint(seq), "x"}, Language: "nl",
			TimeZone: "Europe/Amsterdam", State: notice.DeliverySent, Attempts: 1, Relay: "main", SMTPCode: 250, Enhanced: "2.0.0",
			SMTPText: "queued as\r\n7F", MessageID: "<t.1@example.net>", SentAt: &at, UpdatedAt: at,
		})
	}
}

func TestDeliveriesArePaged(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	withDeliveries(t, b, 2*maxPage+1)
	b.deliveries[1500].State = notice.DeliveryFailed
	seq := 0
	for d, err := range b.client.Deliveries(ctx, "k", DeliveryQuery{}) {
		if err != nil || d.Seq != seq {
			t.Fatalf("delivery %d, want %d: %v", d.Seq, seq, err)
		}
		seq++
	}
	if seq != 2*maxPage+1 {
		t.Errorf("%d deliveries", seq)
	}
	failed := notice.DeliveryFailed
	for _, q := range []DeliveryQuery{{State: &failed}, {Search: "1500"}, {Search: "C1500@EXAMPLE.org"}} {
		var got []int
		for d, err := range b.client.Deliveries(ctx, "k", q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d.Seq)
		}
		if diff := cmp.Diff([]int{1500}, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	}
	if _, text := b.send(t, "GET", "/v1/notices/k/deliveries?after=1998&limit=2", ""); !strings.Contains(text, `"next":null`) {
		t.Errorf("the last page: %s", text)
	}
	if _, text := b.send(t, "GET", "/v1/notices/k/deliveries?after=1997&limit=2", ""); !strings.Contains(text, `"next":1999`) {
		t.Errorf("the page before: %s", text)
	}
	for _, err := range b.client.Deliveries(ctx, "gone", DeliveryQuery{}) {
		if notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("a notice that is not there: %v", err)
		}
	}
}

func TestTheReportAsCSV(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	withDeliveries(t, b, 1)
	b.deliveries = append(b.deliveries, notice.Delivery{Seq: 1, Address: "", Customers: []string{"=cmd|' /C calc'!A0"},
		State: notice.DeliverySuppressed, Reason: notice.ReasonNoAddress, UpdatedAt: time.Date(2026, 11, 9, 3, 0, 0, 0, time.UTC)})
	const (
		head = `"address","customers","language","time_zone","state","reason","attempts","relay","smtp_code","enhanced_code","smtp_text","message_id","sent_at","updated_at"` + "\n"
		sent = `"c0@example.org","0 x","nl","Europe/Amsterdam","sent","","1","main","250","2.0.0","queued as  7F","<t.1@example.net>",` +
			`"2026-11-09T03:14:07.123Z","2026-11-09T03:14:07.123Z"` + "\n"
		suppressed = `"","""=cmd|' /C calc'!A0""","","","suppressed","no_address","0","","","","","","","2026-11-09T03:00:00.000Z"` + "\n"
	)
	var got strings.Builder
	if err := b.client.DeliveriesCSV(ctx, "k", nil, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(head+sent+suppressed, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	resp, text := b.send(t, "GET", "/v1/notices/k/deliveries?state=suppressed", "", "Accept", "text/csv")
	if diff := cmp.Diff(head+suppressed, text); diff != "" {
		t.Errorf("by Accept and state (-want +got):\n%s", diff)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
	if resp, text := b.send(t, "GET", "/v1/notices/k/deliveries?format=csv&search=x", ""); problemIn(t, resp, text).Status != 422 {
		t.Errorf("CSV with a search: %s", text)
	}
	empty := notice.DeliveryBounced
	got.Reset()
	if err := b.client.DeliveriesCSV(ctx, "k", &empty, &got); err != nil || got.String() != head {
		t.Errorf("without rows: %q, %v", got.String(), err)
	}
}

func TestAnIncidentHasAReport(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	withDeliveries(t, b, 2)
	if _, _, err := b.Draft(ctx, body("l"), "x"); err != nil {
		t.Fatal(err)
	}
	b.notices[0].Incident, b.notices[0].Recipients, b.notices[0].Counts = "mail 1", 2, map[string]int{"sent": 2}
	b.notices[1].Incident, b.notices[1].Recipients, b.notices[1].Counts = "mail 1", 3, map[string]int{"sent": 2, "failed": 1}
	r, err := b.client.IncidentReport(ctx, "mail 1")
	if err != nil || len(r.Notices) != 2 || r.Notices[0].Key != "k" || r.Recipients != 5 || r.Counts["sent"] != 4 || r.Counts["failed"] != 1 || r.Counts["queued"] != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	var got strings.Builder
	if err := b.client.IncidentCSV(ctx, "mail 1", &got); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(got.String())).ReadAll()
	if err != nil || len(rows) != 5 || rows[0][0] != "notice" || rows[0][1] != "address" || rows[1][0] != "k" || rows[4][0] != "l" || rows[4][1] != "c1@example.org" {
		t.Errorf("%v, %v", rows, err)
	}
	old := time.Date(2026, 11, 9, 3, 0, 0, 0, time.UTC)
	b.notices[1].RowsDroppedAt = &old
	if err := b.client.IncidentCSV(ctx, "mail 1", &got); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a report that lacks rows looks whole: %v", err)
	}
	if _, err := b.client.IncidentReport(ctx, "gone"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("an incident that is not there: %v", err)
	}
	one, err := b.client.Report(ctx, "k")
	if err != nil || one.ByLanguage["nl"]["sent"] != 2 || len(one.Notices) != 1 {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestAReportThatBreaksOffDoesNotLookWhole(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	withDeliveries(t, b, 1000)
	b.fail = nil
	var got strings.Builder
	broken := brokenReport{b.fake}
	b.server.book = broken
	if err := b.client.DeliveriesCSV(ctx, "k", nil, &got); err == nil {
		t.Errorf("no error after %d bytes", got.Len())
	}
	if got.Len() == 0 {
		t.Error("nothing had been written before it broke off")
	}
	b.deliveries = b.deliveries[:1]
	resp, text := b.send(t, "GET", "/v1/notices/k/deliveries?format=csv", "")
	if p := problemIn(t, resp, text); p.Status != 500 || resp.Header.Get("Content-Disposition") != "" {
		t.Errorf("an error before anything was sent: %v %s", resp.Header, text)
	}
}

// brokenReport fails after the last row.
type brokenReport struct{ *fake }

func (b brokenReport) EachDelivery(ctx context.Context, id int64, state *notice.DeliveryState, fn func(notice.Delivery) error) error {
	if err := b.fake.EachDelivery(ctx, id, state, fn); err != nil {
		return err
	}
	return errors.New("the cursor is gone")
}

// endless has deliveries without end, and tells why it stopped.
type endless struct {
	*fake
	stopped chan error
}

func (b endless) EachDelivery(_ context.Context, _ int64, _ *notice.DeliveryState, fn func(notice.Delivery) error) error {
	for {
		if err := fn(b.deliveries[0]); err != nil {
			b.stopped <- err
			return err
		}
	}
}

func TestAClientThatDoesNotReadIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	withDeliveries(t, b, 1)
	b.server.stall = 100 * time.Millisecond
	stopped := make(chan error, 1)
	b.server.book = endless{b.fake, stopped}
	b.raw(t, "GET", "/v1/notices/k/deliveries?format=csv", "", 0)
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Error("the report is still being written")
	}
}

func TestDefuse(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"plain":         "plain",
		"":              "",
		"=1+1":          "'=1+1",
		"+31 20":        "'+31 20",
		"-1":            "'-1",
		"@SUM(A1)":      "'@SUM(A1)",
		"\tx":           "'\tx",
		"\r=1":          "' =1",
		"  =1":          "'  =1",
		"＝1+1":          "'＝1+1",
		"＋31":           "'＋31",
		"－1":            "'－1",
		"＠SUM(A1)":      "'＠SUM(A1)",
		"\u3000＝1":      "'\u3000＝1",
		";=1":           "';=1",
		"a;b":           "a;b",
		"\ufeff=1":      "'\ufeff=1",
		"a\r\nb\u2028c": "a  b c",
		"a=b":           "a=b",
		"a\xffb":        "a\ufffdb",
		"'=1":           "'=1",
		"<a@b>":         "<a@b>",
	} {
		if got := defuse(given); got != want {
			t.Errorf("defuse(%q) = %q, want %q", given, got, want)
		}
	}
}

func FuzzDefuse(f *testing.F) {
	for _, seed := range []string{"=1+1", "\r\n=x", "\t@", "a,\"b\"", "\x00-", "\u0085=", "\ufeff+1", " \u00a0=1", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		got := defuse(cell)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\v\f\u0085\u2028\u2029\x00") {
			t.Fatalf("%q became %q, which is more than a line of text", cell, got)
		}
		if first := strings.TrimLeft(got, " \u00a0\ufeff"); first != "" && strings.ContainsRune("=+-@\t\r", rune(first[0])) {
			t.Fatalf("%q became %q, which a spreadsheet would run", cell, got)
		}
		var line strings.Builder
		w := bufio.NewWriter(&line)
		if err := errors.Join(writeQuoted(w, []string{got, "end"}), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if strings.Count(line.String(), "\n") != 1 {
			t.Fatalf("%q is more than a line", line.String())
		}
		row, err := csv.NewReader(strings.NewReader(line.String())).Read()
		if err != nil || row[0] != got || row[1] != "end" {
			t.Fatalf("%q came back as %q: %v", got, row, err)
		}
	})
}
