package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// canary releases a notice to so many mailboxes, some of which are its canary, and returns the chunks of those and of the rest.
func canary(t *testing.T, mailboxes int, b notice.Body) (d *desk, first, rest []int64) {
	t.Helper()
	d = open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key)
		SELECT 'c' || i, 'Customer ' || i, 'c' || i || '@example.com', 'c' || i || '@example.com' FROM generate_series(1, $1::int) i`, mailboxes)
	d.send(b)
	return d, d.chunksWhere(`canary`), d.chunksWhere(`NOT canary`)
}

func (d *desk) chunksWhere(condition string) []int64 {
	d.t.Helper()
	rows, _ := d.pool.Query(d.t.Context(), `SELECT id FROM chunk WHERE notice_id = $1 AND `+condition+` ORDER BY lo`, d.id)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	d.must(err)
	return ids
}

// dueChunks are the chunks that a sweep brings.
func (d *desk) dueChunks() (ids []int64) {
	d.t.Helper()
	w, err := d.Sweep(d.t.Context())
	d.must(err)
	for _, c := range w.Chunks {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

// try has the mails of a chunk end in a state.
func (d *desk) try(chunk int64, state notice.DeliveryState) {
	d.t.Helper()
	c, ok, err := d.Claim(d.t.Context(), chunk, "w")
	d.must(err)
	if !ok {
		d.t.Fatalf("chunk %d was not given", chunk)
	}
	for _, due := range c.Due {
		if !d.mark(attempt(c, due.Seq)) {
			d.t.Fatalf("delivery %d can't be marked", due.Seq)
		}
		d.answer(attempt(c, due.Seq), state, 0)
	}
	d.closeChunk(c)
}

// wantAtCanary checks that the notice is held, for a reason that begins like that.
func (d *desk) wantAtCanary(reason string) notice.Status {
	d.t.Helper()
	st, err := d.Status(d.t.Context(), d.ref)
	if err != nil || st.State != notice.Held || !strings.HasPrefix(st.Reason, reason) {
		d.t.Fatalf("it is %s, %q, %v", st.State, st.Reason, err)
	}
	return st
}

func TestTheRestOfANoticeWaitsForItsCanary(t *testing.T) {
	t.Parallel()
	d, first, rest := canary(t, 600, notice.Body{Key: "n1", Canary: 3})
	if got := d.dueChunks(); len(first) != 3 || !slices.Equal(got, first) {
		t.Fatalf("due are %v, and the canary is %v", got, first)
	}
	refused := func(when string) {
		t.Helper()
		for _, id := range rest {
			if _, ok, err := d.Claim(t.Context(), id, "w"); ok || err != nil {
				t.Errorf("%s: chunk %d was given (%v)", when, id, err)
			}
		}
	}
	refused("at the start")
	if s := d.standing(); s.Due != 3 {
		t.Errorf("%d mails are due", s.Due)
	}
	d.try(first[0], notice.DeliverySent)
	d.must(d.Pause(t.Context(), d.id, "op"))
	d.must(d.Resume(t.Context(), d.id, false, "op"))
	refused("after a pause")
	d.try(first[1], notice.DeliveryDeferred)
	d.wantNotice(notice.Sending)
	d.try(first[2], notice.DeliverySent)
	st := d.wantAtCanary(notice.ReasonCanary)
	if c := st.Canary; c == nil || c.Mailboxes != 3 || !c.Waits || c.Counts["sent"] != 2 || c.Counts["deferred"] != 1 {
		t.Errorf("%+v", c)
	}
	if s := d.standing(); s.AtCanary != 1 || s.Braked != 0 || s.Overdue != 0 {
		t.Errorf("%+v", s)
	}
	if got := d.dueChunks(); len(got) != 0 {
		t.Errorf("while it is held %v are due", got)
	}
	d.wantConflict(d.Unhold(t.Context(), d.id, true, false, "op"))
	if acts := strings.Join(d.acts(), "\n"); !strings.Contains(acts, "hold") {
		t.Errorf("the log of acts:\n%s", acts)
	}
	d.must(d.Resume(t.Context(), d.id, false, "op"))
	if got := d.dueChunks(); !slices.Equal(slices.DeleteFunc(got, func(id int64) bool { return id == first[1] }), rest) {
		t.Errorf("due are %v, and the rest is %v", got, rest)
	}
	d.wantNotice(notice.Sending)
	for _, id := range rest {
		d.try(id, notice.DeliverySent)
	}
	d.exec(`UPDATE outcome SET due_at = clock_timestamp()`)
	d.exec(`UPDATE chunk SET due_at = clock_timestamp()`)
	d.try(first[1], notice.DeliverySent)
	d.wantNotice(notice.Sent)
	d.wantCounts(map[string]int{"sent": 600})
}

// TestASweepHoldsANoticeAfterItsCanary where the worker was lost before it could, and again after a planned hold.
func TestASweepHoldsANoticeAfterItsCanary(t *testing.T) {
	t.Parallel()
	d, first, _ := canary(t, 20, notice.Body{Key: "n1", Canary: 2})
	d.try(first[0], notice.DeliverySent)
	c, ok, err := d.Claim(t.Context(), first[1], "lost")
	if d.must(err); !ok || !d.mark(attempt(c, c.Due[0].Seq)) {
		t.Fatal("it was not marked")
	}
	d.loseLease()
	d.dueChunks()
	d.wantNotice(notice.Sending)
	d.try(first[1], notice.DeliverySent) // uncertain, so nothing is tried
	d.wantAtCanary(notice.ReasonCanary)
	d.exec(`UPDATE notice SET state = 'sending', reason = ''`)
	d.dueChunks()
	st := d.wantAtCanary(notice.ReasonCanary)
	if st.Canary.Counts["uncertain"] != 1 {
		t.Errorf("%v", st.Canary.Counts)
	}
	d.must(d.Cancel(t.Context(), d.id, "op"))
	d.wantNotice(notice.Cancelled)
	d.wantCounts(map[string]int{"sent": 1, "uncertain": 1, "cancelled": 18})
}

func TestACanaryIsStoppedWhenTooManyAreNotTaken(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"and what failed is owed again": false, "and what failed stays so": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, first, rest := canary(t, 60, notice.Body{Key: "n1", Canary: 30})
			for i, id := range first[:6] {
				d.wantNotice(notice.Sending)
				d.try(id, []notice.DeliveryState{notice.DeliveryFailed, notice.DeliveryDeferred, notice.DeliverySent}[i%3])
			}
			d.wantNotice(notice.Sending)
			d.try(first[6], notice.DeliveryFailed)
			d.wantAtCanary("canary: 5 of the first 7 mails were not taken (2 deferred, 3 failed")
			d.must(d.Resume(t.Context(), d.id, leave, "op"))
			d.wantNotice(notice.Sending)
			st, err := d.Status(t.Context(), d.ref)
			if want := map[bool]int{false: 0, true: 3}[leave]; err != nil || st.Canary.Waits || st.Counts["failed"] != want {
				t.Errorf("%+v, %v, %v", st.Canary, st.Counts, err)
			}
			if got := d.dueChunks(); !slices.Contains(got, rest[0]) || !slices.Contains(got, first[20]) {
				t.Errorf("due are %v", got)
			}
		})
	}
}

func TestANoticeToFewHasNoCanary(t *testing.T) {
	t.Parallel()
	d, first, rest := canary(t, 3, notice.Body{Key: "n1", Canary: 3})
	if st, err := d.Status(t.Context(), d.ref); err != nil || st.Canary != nil || len(first) > 0 || !slices.Equal(d.dueChunks(), rest) {
		t.Errorf("%+v, %v, %v", st.Canary, first, err)
	}
}

func TestACanaryNeedsTimeBeforeANoticeExpires(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	in := func(span time.Duration) notice.Time { return notice.At(time.Now().Add(span)) }
	put := func(b notice.Body) error {
		b.Incident, b.Kind, b.Phase, b.DefaultLanguage = b.Key, notice.Outage, "identified", "en"
		id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
		d.must(err)
		d.id, d.ref = id, b.Key
		_, err = d.Release(t.Context(), id, all(b), ledger.Press{Domain: "example.net", Who: "test"})
		return err
	}
	if err := put(notice.Body{Key: "soon", Canary: 1, ExpiresAt: in(50 * time.Minute)}); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("released: %v", err)
	}
	d.must(put(notice.Body{Key: "later", Canary: 1, SendAt: in(time.Hour), ExpiresAt: in(130 * time.Minute)}))
	if err := d.Move(t.Context(), d.id, time.Now().Add(80*time.Minute), nil, "op"); notice.CodeOf(err) != notice.CodeInvalid {
		t.Errorf("moved: %v", err)
	}
	d.must(d.TakeBack(t.Context(), d.id, "op"))
	if st, err := d.Status(t.Context(), d.ref); err != nil || st.Canary != nil {
		t.Errorf("%+v, %v", st.Canary, err)
	}
}
