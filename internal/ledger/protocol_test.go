package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// desk is a ledger with a released notice, and a second connection for what only a test may do to it.
type desk struct {
	*ledger.DB
	t    *testing.T
	url  string
	pool *pgxpool.Pool
	id   int64
	ref  string
}

// release returns a ledger in which a notice to so many mailboxes was released and expanded.
func release(t *testing.T, mailboxes int) *desk {
	t.Helper()
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key)
		SELECT 'c' || i, 'Customer ' || i, 'c' || i || '@example.com', 'c' || i || '@example.com' FROM generate_series(1, $1::int) i`, mailboxes)
	d.send(notice.Body{Key: "n1"})
	return d
}

func open(t *testing.T) *desk {
	t.Helper()
	url := testkit.Postgres(t)
	db, err := ledger.Open(t.Context(), url, ledger.Options{MaxConns: 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &desk{DB: db, t: t, url: url, pool: pool}
}

var anybody = ledger.Audience{
	DefaultLanguage: "en",
	Match:           func(want string) (string, bool) { return "en", want == "en" },
	Each:            func(notice.Recipient, string) error { return nil },
	Judge:           func() error { return nil },
}

// all is the audience of everybody for a body.
func all(b notice.Body) ledger.Audience {
	a := anybody
	a.Body = b
	return a
}

func (d *desk) send(b notice.Body) {
	d.t.Helper()
	d.sendTo(b, ledger.Choice{})
}

// sendTo releases and expands a notice to whom a choice chooses.
func (d *desk) sendTo(b notice.Body, c ledger.Choice) {
	d.t.Helper()
	d.sendThrough(d.DB, b, c)
}

func (d *desk) sendThrough(db *ledger.DB, b notice.Body, c ledger.Choice) {
	d.t.Helper()
	ctx := d.t.Context()
	if b.Incident == "" {
		b.Incident = b.Key
	}
	if b.Phase == "" {
		b.Phase = "identified"
	}
	b.Kind, b.DefaultLanguage = notice.Outage, "en"
	id, _, err := db.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, b.Key
	a := all(b)
	a.Choice = c
	if _, err := db.Release(ctx, id, a, ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) exec(sql string, args ...any) {
	d.t.Helper()
	_, err := d.pool.Exec(d.t.Context(), sql, args...)
	d.must(err)
}

// claim claims the notice's only chunk.
func (d *desk) claim(holder string) ledger.Claim {
	d.t.Helper()
	var id int64
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT id FROM chunk WHERE notice_id = $1`, d.id).Scan(&id))
	c, ok, err := d.Claim(d.t.Context(), id, holder)
	d.must(err)
	if !ok {
		d.t.Fatalf("%s was not given the chunk", holder)
	}
	return c
}

func (d *desk) closeChunk(c ledger.Claim) {
	d.t.Helper()
	_, err := d.CloseChunk(d.t.Context(), c)
	d.must(err)
}

func (d *desk) loseLease() {
	d.t.Helper()
	d.exec(`UPDATE chunk SET lease_until = clock_timestamp() - interval '1 second' WHERE notice_id = $1 AND lease_until IS NOT NULL`, d.id)
}

func attempt(c ledger.Claim, seq int) ledger.Attempt {
	return ledger.Attempt{NoticeID: c.NoticeID, Seq: seq, ChunkID: c.ChunkID, Epoch: c.Epoch}
}

// mark asks for a mark and says whether it was given.
func (d *desk) mark(a ledger.Attempt) bool {
	d.t.Helper()
	granted, err := d.Commit(d.t.Context(), []ledger.Attempt{a}, nil)
	d.must(err)
	return granted[0]
}

func (d *desk) answer(a ledger.Attempt, s notice.DeliveryState, code int) {
	d.t.Helper()
	d.record(ledger.Outcome{Attempt: a, State: s, Heard: time.Now(), Answer: notice.Answer{Code: code, Relay: "main", Text: "answer"}})
}

func (d *desk) record(o ledger.Outcome) {
	d.t.Helper()
	_, err := d.Commit(d.t.Context(), nil, []ledger.Outcome{o})
	d.must(err)
}

// deliver has all that is due in the notice's only chunk sent.
func (d *desk) deliver() {
	d.t.Helper()
	c := d.claim("deliver")
	for _, due := range c.Due {
		if !d.mark(attempt(c, due.Seq)) {
			d.t.Fatalf("delivery %d can't be marked", due.Seq)
		}
		d.answer(attempt(c, due.Seq), notice.DeliverySent, 250)
	}
	d.closeChunk(c)
}

func (d *desk) state(seq int) notice.DeliveryState {
	d.t.Helper()
	var s notice.DeliveryState
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT state FROM delivery WHERE notice_id = $1 AND seq = $2`, d.id, seq).Scan(&s))
	return s
}

func (d *desk) wantState(seq int, want notice.DeliveryState) {
	d.t.Helper()
	if got := d.state(seq); got != want {
		d.t.Errorf("delivery %d is %s, want %s", seq, got, want)
	}
}

func (d *desk) wantNotice(want notice.State) {
	d.t.Helper()
	if got, err := d.State(d.t.Context(), d.ref); err != nil || got != want {
		d.t.Errorf("the notice is %s (%v), want %s", got, err, want)
	}
}

// wantCounts checks the counts that differ from zero, and that they add up to the recipients.
func (d *desk) wantCounts(want map[string]int) {
	d.t.Helper()
	s, err := d.Status(d.t.Context(), d.ref)
	d.must(err)
	got, sum := map[string]int{}, 0
	for state, n := range s.Counts {
		sum += n
		if n != 0 {
			got[state] = n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("counts (-want +got):\n%s", diff)
	}
	if sum != s.Recipients {
		d.t.Errorf("the counts add up to %d, the notice has %d recipients", sum, s.Recipients)
	}
}

func TestALeaseIsHeldByOne(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	a := d.claim("a")
	if len(a.Due) != 3 {
		t.Fatalf("%d deliveries are due, want 3", len(a.Due))
	}
	if _, ok, err := d.Claim(t.Context(), a.ChunkID, "b"); ok || err != nil {
		t.Errorf("a second holder got the leased chunk: %v %v", ok, err)
	}
	d.loseLease()
	if held, err := d.Renew(t.Context(), a.ChunkID, a.Epoch); held || err != nil {
		t.Errorf("a lease that ran out was renewed: %v %v", held, err)
	}
	b := d.claim("b")
	if b.Epoch <= a.Epoch {
		t.Errorf("the epoch went from %d to %d, want it to grow", a.Epoch, b.Epoch)
	}
}

func TestAMarkIsGivenOnlyUnderTheCurrentLease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tests := map[string]struct {
		before func(d *desk, a *ledger.Attempt)
		want   bool
		marked bool // and not answered
	}{
		"held":                                 {func(*desk, *ledger.Attempt) {}, true, false},
		"asked again":                          {func(d *desk, a *ledger.Attempt) { d.mark(*a); a.Again = true }, true, false},
		"asked twice as if for the first time": {func(d *desk, a *ledger.Attempt) { d.mark(*a) }, false, true},
		"lease ran out":                        {func(d *desk, _ *ledger.Attempt) { d.loseLease() }, false, false},
		"lease too short for the dot": {func(d *desk, _ *ledger.Attempt) {
			d.exec(`UPDATE chunk SET lease_until = clock_timestamp() + interval '19 seconds'`)
		}, false, false},
		"taken over":               {func(d *desk, _ *ledger.Attempt) { d.loseLease(); d.claim("b") }, false, false},
		"answered":                 {func(d *desk, a *ledger.Attempt) { d.mark(*a); d.answer(*a, notice.DeliverySent, 250) }, false, false},
		"deferred by this attempt": {func(d *desk, a *ledger.Attempt) { d.mark(*a); d.answer(*a, notice.DeliveryDeferred, 450) }, false, false},
		"paused":                   {func(d *desk, _ *ledger.Attempt) { d.must(d.Pause(ctx, d.id, "test")) }, false, false},
		"cancelled":                {func(d *desk, _ *ledger.Attempt) { d.must(d.Cancel(ctx, d.id, "test")) }, false, false},
		"expired":                  {func(d *desk, _ *ledger.Attempt) { d.exec(`UPDATE notice SET expires_at = clock_timestamp()`) }, false, false},
		"the same epoch under another chunk": {func(d *desk, a *ledger.Attempt) {
			d.exec(`UPDATE chunk SET epoch = epoch + 1 WHERE id = $1`, a.ChunkID)
		}, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 2)
			a := attempt(d.claim("a"), 0)
			tt.before(d, &a)
			if got := d.mark(a); got != tt.want {
				t.Errorf("mark given: %v, want %v", got, tt.want)
			}
			if tt.want {
				d.wantState(0, notice.DeliverySending)
			} else if s := d.state(0); s == notice.DeliverySending && !tt.marked {
				t.Error("the refused mark left the delivery sending")
			}
		})
	}
}

func TestTakeoverMakesMarkedDeliveriesUncertain(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	a := d.claim("a")
	d.mark(attempt(a, 0))
	d.loseLease()
	b := d.claim("b")
	d.wantState(0, notice.DeliveryUncertain)
	if len(b.Due) != 2 {
		t.Errorf("%d deliveries are due to the new holder, want the 2 that were not marked", len(b.Due))
	}
	d.wantCounts(map[string]int{"uncertain": 1, "queued": 2})
}

func TestALateAnswer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		state notice.DeliveryState
		code  int
		want  notice.DeliveryState
	}{
		"250 settles":         {notice.DeliverySent, 250, notice.DeliverySent},
		"4xx defers":          {notice.DeliveryDeferred, 450, notice.DeliveryDeferred},
		"5xx fails":           {notice.DeliveryFailed, 550, notice.DeliveryFailed},
		"no answer unchanged": {notice.DeliveryUncertain, 0, notice.DeliveryUncertain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			a := d.claim("a")
			d.mark(attempt(a, 0))
			d.loseLease()
			b := d.claim("b")
			d.closeChunk(b)
			d.wantNotice(notice.Sent)
			d.answer(attempt(a, 0), tt.state, tt.code)
			d.answer(attempt(a, 0), tt.state, tt.code) // once more: a commit whose acknowledgement was lost
			d.wantState(0, tt.want)
			d.wantCounts(map[string]int{tt.want.String(): 1})
			if tt.want == notice.DeliveryDeferred {
				d.wantNotice(notice.Sending) // reopened: something is owed again
			} else {
				d.wantNotice(notice.Sent)
			}
		})
	}
}

// requeued returns a notice whose only delivery was left uncertain by attempt a and requeued by an operator.
func requeued(t *testing.T) (d *desk, a ledger.Attempt) {
	d = release(t, 1)
	c := d.claim("a")
	a = attempt(c, 0)
	d.mark(a)
	d.loseLease()
	d.closeChunk(d.claim("b"))
	d.exec(`UPDATE outcome SET at = clock_timestamp() - interval '1 hour'`)
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, AllUncertain: true}, "", "op")
	d.must(err)
	if done.Changed != 1 {
		t.Fatalf("requeued %+v, want one", done)
	}
	d.wantState(0, notice.DeliveryQueued)
	d.wantNotice(notice.Sending)
	return d, a
}

func TestALate250AfterARequeueKeepsTheSecondCopyBack(t *testing.T) {
	t.Parallel()
	d, old := requeued(t)
	d.answer(old, notice.DeliverySent, 250)
	d.wantState(0, notice.DeliverySent)
	d.wantNotice(notice.Sending) // the chunk is closed; the sweep finishes the notice
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantNotice(notice.Sent)
}

func TestALateRefusalDoesNotUndoANewerAttempt(t *testing.T) {
	t.Parallel()
	for _, late := range []notice.DeliveryState{notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain} {
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			d, old := requeued(t)
			c := d.claim("c")
			if !d.mark(attempt(c, 0)) {
				t.Fatal("the requeued delivery can't be marked")
			}
			d.answer(old, late, 0)
			d.wantState(0, notice.DeliverySending)
			d.answer(attempt(c, 0), notice.DeliverySent, 250)
			d.wantState(0, notice.DeliverySent)
		})
	}
}

func TestAnUnresolvedAttempt(t *testing.T) {
	t.Parallel()
	t.Run("makes a cancelled delivery uncertain", func(t *testing.T) {
		t.Parallel()
		d, _ := requeued(t)
		d.must(d.Cancel(t.Context(), d.id, "op"))
		d.wantState(0, notice.DeliveryUncertain)
	})
	t.Run("makes a delivery uncertain that is deferred in a cancelled notice", func(t *testing.T) {
		t.Parallel()
		d, _ := requeued(t)
		c := d.claim("c")
		d.mark(attempt(c, 0))
		d.must(d.Cancel(t.Context(), d.id, "op"))
		d.answer(attempt(c, 0), notice.DeliveryDeferred, 450)
		d.wantState(0, notice.DeliveryUncertain)
	})
	t.Run("is resolved by its late refusal", func(t *testing.T) {
		t.Parallel()
		d, old := requeued(t)
		d.answer(old, notice.DeliveryFailed, 550)
		d.must(d.Cancel(t.Context(), d.id, "op"))
		d.wantState(0, notice.DeliveryCancelled)
	})
	t.Run("is named when the delivery fails", func(t *testing.T) {
		t.Parallel()
		d, _ := requeued(t)
		c := d.claim("c")
		d.mark(attempt(c, 0))
		d.answer(attempt(c, 0), notice.DeliveryFailed, 550)
		var reason string
		d.must(d.pool.QueryRow(t.Context(), `SELECT reason FROM delivery`).Scan(&reason))
		if reason != "an earlier attempt is unresolved" {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestRequeueWaitsForTheGate(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := d.claim("a")
	d.mark(attempt(a, 0))
	d.answer(attempt(a, 0), notice.DeliveryUncertain, 0)
	d.closeChunk(a)
	d.wantNotice(notice.Sent)
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, AllUncertain: true}, "", "op")
	d.must(err)
	if done.Changed != 0 || done.TooEarly != 1 || done.From == nil {
		t.Fatalf("settled %+v, want one too early, with a time", done)
	}
	if wait := time.Until(*done.From); wait < 14*time.Minute || wait > 16*time.Minute {
		t.Errorf("possible in %v, want 15 minutes", wait)
	}
	d.wantState(0, notice.DeliveryUncertain)
}

func TestSettledAsSentKeepsWhoAndNoCode(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := d.claim("a")
	d.mark(attempt(a, 0))
	d.answer(attempt(a, 0), notice.DeliveryUncertain, 0)
	d.closeChunk(a)
	_, err := d.Settle(t.Context(), d.id, notice.Settlement{Sent: true, Address: "c1@example.com"}, "c1@example.com", "ann")
	d.must(err)
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	if got := rows[0]; got.State != notice.DeliverySent || got.SMTPCode != 0 || got.Reason != "settled by ann" || got.SentAt == nil {
		t.Errorf("got %+v", got)
	}
}

func TestCancelReachesWhatIsNotMarked(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.mark(attempt(c, 1))
	d.must(d.Cancel(t.Context(), d.id, "op"))
	d.wantCounts(map[string]int{"sending": 2, "cancelled": 1})
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.answer(attempt(c, 1), notice.DeliveryDeferred, 450)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"sent": 1, "cancelled": 2})
	d.wantNotice(notice.Cancelled)
}

func TestPauseKeepsWhatIsOwed(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.must(d.Pause(t.Context(), d.id, "op"))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"sent": 1, "queued": 1})
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 0 {
		t.Errorf("a paused notice has %d chunks due (%v), want none", len(w.Chunks), err)
	}
	d.must(d.Resume(t.Context(), d.id, "op"))
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 1 {
		t.Errorf("a resumed notice has %d chunks due (%v), want one", len(w.Chunks), err)
	}
}

func TestTheSweepFindsWhatAWorkerLeft(t *testing.T) {
	t.Parallel()
	for _, stop := range []string{"", "pause", "cancel"} {
		t.Run("then "+stop, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			c := d.claim("a")
			d.mark(attempt(c, 0))
			switch stop {
			case "pause":
				d.must(d.Pause(t.Context(), d.id, "op"))
			case "cancel":
				d.must(d.Cancel(t.Context(), d.id, "op"))
			}
			d.loseLease()
			w, err := d.Sweep(t.Context())
			d.must(err)
			if len(w.Chunks) != 1 || w.Chunks[0].ID != c.ChunkID {
				t.Errorf("the sweep found %+v, want chunk %d whatever the notice's state", w.Chunks, c.ChunkID)
			}
		})
	}
}

func TestReleaseIsDoneOnce(t *testing.T) {
	t.Parallel()
	d := release(t, 5)
	released, err := d.Release(t.Context(), d.id, anybody, ledger.Press{Domain: "example.net", Who: "again"})
	if err != nil || released {
		t.Errorf("a second release did something: %v %v", released, err)
	}
	d.wantCounts(map[string]int{"queued": 5})
}

func TestAReleaseMakesARowAndAPlaceForEveryMailbox(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key)
		SELECT 'c' || i, CASE WHEN i % 10 = 0 THEN '' ELSE i || '@example.com' END, CASE WHEN i % 10 = 0 THEN '' ELSE i || '@example.com' END
		FROM generate_series(1, 25000) i`)
	d.send(notice.Body{Key: "big"})
	d.wantCounts(map[string]int{"queued": 22500, "suppressed": 2500})
	var rows, members, covered int
	d.must(d.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM member), (SELECT sum(hi - lo) FROM chunk)`).
		Scan(&rows, &members, &covered))
	if rows != 25000 || members != 25000 || covered != 25000 {
		t.Errorf("%d deliveries, %d members and chunks over %d, want 25000 each", rows, members, covered)
	}
}

func TestARecipientIsBornWithAllWhoShareIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone) VALUES
		('1', 'One', 'Shared@Example.com', 'shared@example.com', '', '', 'sv', 'Europe/Stockholm'),
		('2', 'Two', 'shared@example.com', 'shared@example.com', '', '', 'nl', ''),
		('3', 'Three', 'SHARED@example.com', 'shared@example.com', '', '', 'nl', 'Europe/Amsterdam'),
		('4', 'Four', 'four@broken.example', 'four@broken.example', 'shared@example.com', 'shared@example.com', '', ''),
		('5', 'Five', 'five@broken.example', 'five@broken.example', '', '', '', ''),
		('6', 'Six', 'six@broken.example', 'six@broken.example', 'six@broken.example', 'six@broken.example', '', ''),
		('7', 'Seven', '', '', 'seven@example.com', 'seven@example.com', '', '')`)
	a := anybody
	a.Broken.Domains = []string{"broken.example"}
	var seen []notice.Recipient
	a.Each = func(r notice.Recipient, _ string) error { seen = append(seen, r); return nil }
	p, err := d.Plan(t.Context(), a)
	d.must(err)
	if p.Customers != 7 || p.Recipients != 4 {
		t.Errorf("%d customers and %d recipients, want 7 and 4", p.Customers, p.Recipients)
	}
	if diff := cmp.Diff(map[string]int{"no_address": 1, "unreachable": 2}, p.Suppressed); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
	want := []notice.Recipient{{Address: "Shared@Example.com", Language: "nl", TimeZone: "Europe/Stockholm", Customers: []notice.Frozen{
		{ID: "1", Name: "One", Attributes: map[string]string{}}, {ID: "2", Name: "Two", Attributes: map[string]string{}},
		{ID: "3", Name: "Three", Attributes: map[string]string{}}, {ID: "4", Name: "Four", Attributes: map[string]string{}},
	}}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

func TestALaterNoticeOfAnIncidentRefersToItsFirst(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	first, err := d.Notice(t.Context(), d.id)
	d.must(err)
	d.deliver()
	d.send(notice.Body{Key: "n2", Incident: "n1"})
	d.deliver()
	d.send(notice.Body{Key: "n3", Incident: "n1"})
	c := d.claim("a")
	for _, due := range c.Due {
		if want := first.MessageID(due.Seq); due.InReplyTo != want {
			t.Errorf("delivery %d refers to %q, want %q", due.Seq, due.InReplyTo, want)
		}
	}
}

func TestADraftIsReplacedAndARepeatedBodyIsTheSameNotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('1', 'a@example.com', 'a@example.com')`)
	b := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified"}
	put := func(b notice.Body) (bool, error) {
		_, created, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
		return created, err
	}
	if created, err := put(b); err != nil || !created {
		t.Fatalf("first: created %v, %v", created, err)
	}
	b.Severity = "major"
	if created, err := put(b); err != nil || created {
		t.Errorf("another body for a draft: created %v, %v", created, err)
	}
	id, err := d.Find(t.Context(), "k")
	d.must(err)
	if _, err := d.Release(t.Context(), id, all(b), ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	if created, err := put(b); err != nil || created {
		t.Errorf("the same body after release: created %v, %v", created, err)
	}
	b.Severity = "minor"
	if _, err := put(b); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another body after release: %v, want a conflict", err)
	}
	b.Key, b.Kind = "k2", notice.Maintenance
	if _, err := put(b); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another kind for the same incident: %v, want a conflict", err)
	}
}

func TestMigrationsHaveNoGaps(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	n, err := ledger.Migrate(t.Context(), url)
	if err != nil || n != 0 {
		t.Errorf("migrating again applied %d (%v), want none", n, err)
	}
	entries, err := migrationNames()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range entries {
		if want := fmt.Sprintf("%04d_", i+1); name[:5] != want {
			t.Errorf("migration %d is called %s, want it to begin with %s", i+1, name, want)
		}
	}
}

// What a holder could not begin it gives back with a time: the chunk rests, and the deliveries were not tried.
func TestAChunkThatIsGivenBackRests(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	c.Rest = time.Minute
	d.closeChunk(c)
	d.wantState(1, notice.DeliveryQueued)
	work, err := d.Sweep(t.Context())
	d.must(err)
	if len(work.Chunks) != 0 || work.NextDue < 50*time.Second || work.NextDue > time.Minute {
		t.Errorf("swept %+v, want nothing before a minute has gone by", work)
	}
	d.exec(`UPDATE chunk SET due_at = clock_timestamp()`)
	c = d.claim("b")
	if len(c.Due) != 1 || c.Due[0].Seq != 1 || c.Due[0].Tries != 0 {
		t.Errorf("claimed %+v, want the delivery that was not tried", c.Due)
	}
	if work, err = d.Sweep(t.Context()); err != nil || len(work.Chunks) != 0 {
		t.Errorf("swept %+v, %v", work, err)
	}
	c.Rest = 0
	d.closeChunk(c)
	work, err = d.Sweep(t.Context())
	d.must(err)
	if len(work.Chunks) != 1 || !work.Chunks[0].Urgent {
		t.Errorf("swept %+v, want the chunk of an outage", work.Chunks)
	}
}
