package ledger_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// listen has a receiver be told of events from now on, all where none is named.
func (d *desk) listen(name string, events ...notice.WebhookEvent) {
	d.t.Helper()
	if len(events) == 0 {
		events = notice.WebhookEvents
	}
	d.must(d.KeepWebhooks(d.t.Context(), []notice.Webhook{{Name: name, Events: events}}))
}

// heard takes and settles all that is due for a receiver, and returns the events.
func (d *desk) heard(name string) (events []string, last notice.WebhookData) {
	d.t.Helper()
	for {
		m, ok, err := d.TakeWebhook(d.t.Context(), name, time.Minute)
		d.must(err)
		if !ok {
			return events, last
		}
		d.must(json.Unmarshal(m.Data, &last))
		events = append(events, string(m.Event))
		_, err = d.SettleWebhook(d.t.Context(), m, notice.WebhookAnswer{Status: 204}, time.Hour, time.Hour)
		d.must(err)
	}
}

func (d *desk) wantHeard(name string, want ...string) notice.WebhookData {
	d.t.Helper()
	got, last := d.heard(name)
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("%s was told (-want +got):\n%s", name, diff)
	}
	return last
}

// TestEveryChangeOfANoticeIsTold goes through the life of a notice.
func TestEveryChangeOfANoticeIsTold(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	d.listen("all")
	d.listen("few", notice.EventUncertain, notice.EventBrake)
	d.send(notice.Body{Key: "n1", Severity: "critical"})
	said := d.wantHeard("all", "released")
	if want := (notice.WebhookData{Number: d.id, Key: "n1", Incident: "n1", Kind: "outage", Phase: "identified", Severity: "critical", State: notice.Sending,
		Customers: 3, Recipients: 3}); !cmp.Equal(want, said) {
		t.Errorf("of a release it was told: %s", cmp.Diff(want, said))
	}
	d.must(d.Pause(t.Context(), d.id, "op"))
	d.must(d.Pause(t.Context(), d.id, "op")) // changes nothing
	d.must(d.Resume(t.Context(), d.id, false, "op"))
	d.wantHeard("all", "paused", "resumed")

	h := d.hold(time.Now().Add(-time.Minute), time.Now().Add(time.Hour), "power feeds")
	if said = d.wantHeard("all", "held"); said.Reason != "power feeds" {
		t.Errorf("told the reason %q", said.Reason)
	}
	d.unholdAll(h)
	d.wantHeard("all", "resumed")

	c := d.claim("a")
	d.refuse(c, denied, 0)
	if !d.braked(time.Minute, true) {
		t.Fatal("the brake does not hold it")
	}
	if said = d.wantHeard("all", "brake"); said.Reason != "refused: 554 5.7.1" {
		t.Errorf("told the reason %q, with words of a relay", said.Reason)
	}
	d.must(d.Resume(t.Context(), d.id, true, "op"))
	d.mark(attempt(c, 1))
	d.answer(attempt(c, 1), notice.DeliverySent, 250)
	d.mark(attempt(c, 2))
	d.answer(attempt(c, 2), notice.DeliveryUncertain, 0)
	d.closeChunk(c)
	d.must(d.Finish(t.Context(), d.id))
	d.must(d.Finish(t.Context(), d.id))
	said = d.wantHeard("all", "resumed", "finished", "uncertain")
	if said.Counts["sent"] != 1 || said.Counts["uncertain"] != 1 || said.Counts["failed"] != 1 || said.State != notice.Sent {
		t.Errorf("at the end it was told %+v", said)
	}
	d.wantHeard("few", "brake", "uncertain")

	d.send(notice.Body{Key: "n2", SendAt: notice.Time(time.Now().Add(time.Hour).Format(time.RFC3339))})
	d.must(d.TakeBack(t.Context(), d.id, "op"))
	d.send(notice.Body{Key: "n3"})
	d.must(d.Cancel(t.Context(), d.id, "op"))
	if said = d.wantHeard("all", "released", "taken_back", "released", "cancelled"); said.Reason != "cancelled" {
		t.Errorf("told the reason %q", said.Reason)
	}
	d.wantHeard("few")
}

// TestAMessageIsTakenOnce has many servers take the messages of a receiver.
func TestAMessageIsTakenOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.listen("all")
	for range 40 {
		_, err := d.TestWebhook(t.Context(), "all", "op")
		d.must(err)
	}
	var mu sync.Mutex
	var ids []string
	var servers sync.WaitGroup
	for range 8 {
		servers.Go(func() {
			for {
				m, ok, err := d.TakeWebhook(t.Context(), "all", time.Minute)
				if err != nil {
					t.Error(err)
				}
				if err != nil || !ok {
					return
				}
				mu.Lock()
				ids = append(ids, m.ID)
				mu.Unlock()
			}
		})
	}
	servers.Wait()
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 40 || len(ids) != 40 {
		t.Errorf("40 messages were taken %d times, %d of them", len(ids), n)
	}
}

func TestAMessageIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.listen("all")
	take := func(want bool) notice.WebhookMessage {
		t.Helper()
		m, ok, err := d.TakeWebhook(ctx, "all", time.Minute)
		d.must(err)
		if ok != want {
			t.Fatalf("a message is due: %t, want %t", ok, want)
		}
		return m
	}
	settle := func(m notice.WebhookMessage, a notice.WebhookAnswer, wait, patience time.Duration, want bool) {
		t.Helper()
		givenUp, err := d.SettleWebhook(ctx, m, a, wait, patience)
		d.must(err)
		if givenUp != want {
			t.Fatalf("given up: %t, want %t", givenUp, want)
		}
	}
	_, err := d.TestWebhook(ctx, "all", "op")
	d.must(err)
	away := notice.WebhookAnswer{Status: 503, Fault: "it answers 503"}
	m := take(true)
	take(false) // nobody else takes it during the lease
	settle(m, away, 0, time.Hour, false)
	again := take(true)
	if again.ID != m.ID || again.Tries != 2 || again.Status != 503 {
		t.Errorf("taken again as %+v, before %+v", again, m)
	}
	settle(again, away, time.Hour, time.Hour, false)
	take(false)
	n, err := d.RetryWebhook(ctx, "all", "op")
	d.must(err)
	if n != 1 {
		t.Errorf("%d are tried again", n)
	}
	settle(take(true), away, 0, -time.Second, true)
	take(false)
	all, err := d.Webhooks(ctx)
	d.must(err)
	if w := all[0]; w.GivenUp != 1 || w.Waiting != 0 || w.Fault != away.Fault || w.DeliveredAt != nil {
		t.Errorf("it stands as %+v", w)
	}
	_, err = d.RetryWebhook(ctx, "all", "op")
	d.must(err)
	m = take(true)
	settle(m, notice.WebhookAnswer{Status: 410, Fault: "it answers 410 Gone", Gone: true}, 0, time.Hour, true)
	_, err = d.RetryWebhook(ctx, "all", "op")
	d.must(err)
	settle(take(true), notice.WebhookAnswer{Status: 200}, 0, time.Hour, false)
	if m, err = d.WebhookMessage(ctx, "all", m.Number); err != nil || m.DeliveredAt == nil || m.GivenUpAt != nil || m.Tries != 5 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := d.TestWebhook(ctx, "nobody", "op"); notice.CodeOf(err) != notice.CodeNotFound || !strings.Contains(err.Error(), "have: all") {
		t.Errorf("tested one that is not there: %v", err)
	}
	if _, err := d.RetryWebhook(ctx, "nobody", "op"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("retried one that is not there: %v", err)
	}
	acts, err := d.Acts(ctx, notice.ActPage{What: "give up webhook", Limit: 10})
	if err != nil || len(acts) != 2 || !strings.HasPrefix(acts[1].Detail, "all: test "+m.ID+" after 3 tries: it answers 503") {
		t.Errorf("the log: %+v, %v", acts, err)
	}
}

func TestAReceiverThatNoSettingsHaveIsForgotten(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.listen("old")
	_, err := d.TestWebhook(t.Context(), "old", "op")
	d.must(err)
	names := func() (all []string) {
		list, err := d.Webhooks(context.WithoutCancel(t.Context()))
		d.must(err)
		for _, w := range list {
			all = append(all, w.Name)
		}
		return all
	}
	d.exec(`UPDATE webhook SET seen_at = seen_at - interval '23 hours'`)
	d.listen("new")
	if got := names(); !slices.Equal(got, []string{"new", "old"}) {
		t.Errorf("after 23 hours there are %v", got)
	}
	d.exec(`UPDATE webhook SET seen_at = seen_at - interval '2 hours'`)
	d.listen("new")
	if got := names(); !slices.Equal(got, []string{"new"}) {
		t.Errorf("after 25 hours there are %v", got)
	}
	d.wantRows(0, `SELECT count(*) FROM webhook_message`)
	d.wantRows(1, `SELECT count(*) FROM act WHERE what = 'forget webhook'`)
}
