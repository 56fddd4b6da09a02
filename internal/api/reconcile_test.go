package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// uncertainOnes are the uncertain deliveries of every notice of a fake.
const uncertainOnes = 2300

func (f *fake) Uncertain(_ context.Context, ref string, after, limit int) (page []ledger.Uncertain, err error) {
	defer f.lock()()
	if _, err := f.find(ref); err != nil {
		return nil, err
	}
	for seq := after + 1; seq < uncertainOnes && len(page) < limit; seq++ {
		page = append(page, ledger.Uncertain{Seq: seq, MessageID: fmt.Sprintf("<t.%d@example.net>", seq), Epoch: int64(seq)})
	}
	return page, nil
}

func (f *fake) Reconcile(_ context.Context, ref string, r ledger.Reconciliation, who string) (done ledger.Reconciled, err error) {
	defer f.lock()()
	if _, err := f.find(ref); err != nil {
		return done, err
	}
	f.who = who
	f.reconciled = append(f.reconciled, r)
	from := time.Date(2026, 11, 20, 12, len(f.reconciled), 0, 0, time.FixedZone("", 3600))
	return ledger.Reconciled{Sent: len(r.Evidence), Requeued: len(r.Requeue), TooEarly: 1, NotCovered: 2, Changed: 3, From: &from}, nil
}

func (f *fake) Relayed(_ context.Context, words []ledger.Relayed, who string) (ledger.RelayedResult, error) {
	defer f.lock()()
	f.who, f.relayed = who, words
	return ledger.RelayedResult{Settled: 1, Open: []string{words[0].MessageID}}, nil
}

func TestWhatALogSaysGoesOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	words := []ledger.Relayed{{MessageID: "<t.1@example.net>", QueueID: "AAAAAA", Status: "queue active", At: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)},
		{MessageID: "<t.2@example.net>", QueueID: "BBBBBB", Status: "status=sent", At: time.Date(2026, 11, 20, 12, 0, 1, 0, time.UTC), Server: "mx"}}
	done, err := b.client.Relayed(t.Context(), words)
	if err != nil || done.Settled != 1 || len(done.Open) != 1 {
		t.Errorf("%+v, %v", done, err)
	}
	if diff := cmp.Diff(words, b.relayed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if resp, text := b.send(t, "POST", "/v1/relayed", `{"mails":[]}`); resp.StatusCode != 422 {
		t.Errorf("nothing: %s %s", resp.Status, text)
	}
}

func TestUncertainComesInPages(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	if _, err := b.client.Draft(ctx, body("k")); err != nil {
		t.Fatal(err)
	}
	all, err := b.client.Uncertain(ctx, "k")
	if err != nil || len(all) != uncertainOnes || all[uncertainOnes-1].Seq != uncertainOnes-1 {
		t.Errorf("%d uncertain, %v", len(all), err)
	}
	if _, text := b.send(t, "GET", "/v1/notices/k/uncertain?after=2299", ""); strings.TrimSpace(text) != `{"uncertain":[],"next":null}` {
		t.Errorf("behind the last: %s", text)
	}
	if _, err := b.client.Uncertain(ctx, "none"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("no such notice: %v", err)
	}
}

func TestReconcileGoesOverInParts(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	if _, err := b.client.Draft(ctx, body("k")); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 11, 0, 0, 0, time.UTC)
	in := ledger.Reconciliation{LogFrom: at, LogUntil: at.Add(time.Hour)}
	for i := range 700 {
		id := fmt.Sprintf("<t.%d@example.net>", i)
		in.Evidence = append(in.Evidence, ledger.Evidence{MessageID: id, Epoch: int64(i) + 1<<50, QueueID: "3576B98B427", Status: strings.Repeat("ß", 150), At: at})
		in.Requeue = append(in.Requeue, ledger.Missing{MessageID: id, Epoch: int64(i)})
	}
	done, err := b.client.Reconcile(ctx, "k", in)
	n := len(b.reconciled)
	from := time.Date(2026, 11, 20, 11, n, 0, 0, time.UTC)
	want := ledger.Reconciled{Sent: 700, Requeued: 700, TooEarly: n, NotCovered: 2 * n, Changed: 3 * n, From: &from}
	if diff := cmp.Diff(want, done); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got := ledger.Reconciliation{LogFrom: in.LogFrom, LogUntil: in.LogUntil}
	for _, r := range b.reconciled {
		got.Evidence, got.Requeue = append(got.Evidence, r.Evidence...), append(got.Requeue, r.Requeue...)
		if !r.LogFrom.Equal(in.LogFrom) || !r.LogUntil.Equal(in.LogUntil) {
			t.Errorf("span %v to %v", r.LogFrom, r.LogUntil)
		}
	}
	if diff := cmp.Diff(in, got); diff != "" || b.who != pressed {
		t.Errorf("by %q (-want +got):\n%s", b.who, diff)
	}
}

func TestReconcileRefusesWhatItCannotTake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.client.Draft(t.Context(), body("k")); err != nil {
		t.Fatal(err)
	}
	many := `{"requeue":[` + strings.Repeat(`{"message_id":"<a@b>","epoch":1},`, 1000) + `{"message_id":"<a@b>","epoch":1}],"log_from":"2026-11-20T10:00:00Z","log_until":"2026-11-20T11:00:00Z"}`
	tests := []struct{ name, body, says string }{
		{"requeue without a span", `{"requeue":[{"message_id":"<a@b>","epoch":1}]}`, "over which span"},
		{"too many", many, "requeue"},
		{"no epoch", `{"evidence":[{"message_id":"<a@b>","at":"2026-11-20T10:00:00Z"}]}`, "epoch"},
		{"no time", `{"evidence":[{"message_id":"<a@b>","epoch":1}]}`, "at"},
		{"a queue id that is none", `{"evidence":[{"message_id":"<a@b>","epoch":1,"queue_id":"a b","at":"2026-11-20T10:00:00Z"}]}`, "queue_id"},
		{"an unknown field", `{"settle":[]}`, "unknown field"},
	}
	for _, tt := range tests {
		resp, text := b.send(t, "POST", "/v1/notices/k/reconcile", tt.body)
		if resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, tt.says) {
			t.Errorf("%s: status %d, %s", tt.name, resp.StatusCode, text)
		}
	}
	if len(b.reconciled) != 0 {
		t.Errorf("reconciled all the same: %+v", b.reconciled)
	}
}
