package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// lost returns a ledger with a notice of which each delivery was marked and never answered.
func lost(t *testing.T, mailboxes int) *desk {
	t.Helper()
	d := release(t, mailboxes)
	c := d.claim("a")
	for seq := range mailboxes {
		d.mark(attempt(c, seq))
	}
	d.loseLease()
	d.closeChunk(d.claim("b"))
	d.wantCounts(map[string]int{"uncertain": mailboxes})
	return d
}

// passTheGate has so much time gone by since the marks.
func (d *desk) passTheGate(ago string) {
	d.t.Helper()
	d.exec(`UPDATE outcome SET at = at - $2::interval, epoch = epoch - (extract(epoch FROM $2::interval) * 1e6)::bigint WHERE notice_id = $1`, d.id, ago)
	d.exec(`UPDATE notice SET released_at = released_at - $2::interval WHERE id = $1`, d.id, ago)
}

func (d *desk) uncertain() []ledger.Uncertain {
	d.t.Helper()
	all, err := d.Uncertain(d.t.Context(), d.ref, -1, 1000)
	d.must(err)
	return all
}

func (d *desk) reconcile(r ledger.Reconciliation, want ledger.Reconciled) {
	d.t.Helper()
	got, err := d.Reconcile(d.t.Context(), d.id, r, "ann")
	d.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("reconciled (-want +got):\n%s", diff)
	}
}

// acts lists the acts about the notice with their actors, the release left out.
func (d *desk) acts() (all []string) {
	d.t.Helper()
	rows, err := d.pool.Query(d.t.Context(), `SELECT who || ': ' || what || ': ' || detail FROM act WHERE notice_id = $1 AND what <> 'release' ORDER BY id`, d.id)
	d.must(err)
	defer rows.Close()
	for rows.Next() {
		var s string
		d.must(rows.Scan(&s))
		all = append(all, s)
	}
	return all
}

func TestUncertainSaysWhatALogMustCover(t *testing.T) {
	t.Parallel()
	before := time.Now()
	d := lost(t, 3)
	all := d.uncertain()
	if len(all) != 3 {
		t.Fatalf("%d uncertain, want 3", len(all))
	}
	n, err := d.Notice(t.Context(), d.id)
	d.must(err)
	for seq, u := range all {
		if u.Seq != seq || u.MessageID != n.MessageID(seq) || !strings.HasSuffix(u.Address, "@example.com") || u.Epoch == 0 || u.Attempts != 1 {
			t.Errorf("delivery %d: %+v", seq, u)
		}
		if u.LogFrom.After(time.Now().Add(-2*time.Minute)) || u.LogFrom.Before(before.Add(-3*time.Minute)) {
			t.Errorf("the log has to begin at %v, the mark was made just now", u.LogFrom)
		}
		// From the claim to B after the outcome, 15 min, with a slack of 2 min at each end.
		if got := u.LogUntil.Sub(u.LogFrom); got < 19*time.Minute || got > 19*time.Minute+10*time.Second {
			t.Errorf("the log has to cover %v", got)
		}
		if u.GateOpen || u.LogUntil.Sub(u.RequeueFrom) != 2*time.Minute {
			t.Errorf("gate %v at %v", u.GateOpen, u.RequeueFrom)
		}
	}
	page, err := d.Uncertain(t.Context(), d.ref, 0, 1)
	if err != nil || len(page) != 1 || page[0].Seq != 1 {
		t.Errorf("the page after 0: %+v, %v", page, err)
	}
	d.passTheGate("16 minutes")
	if all := d.uncertain(); !all[0].GateOpen {
		t.Errorf("the gate is shut at %v", all[0].RequeueFrom)
	}
	if _, err := d.Uncertain(t.Context(), "none", -1, 10); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("no such notice: %v", err)
	}
}

func TestWhatTheRelayTookIsSentWithoutACode(t *testing.T) {
	t.Parallel()
	d := lost(t, 3)
	all := d.uncertain()
	at := time.Now().Add(-time.Second).UTC().Truncate(time.Microsecond)
	d.exec(`UPDATE notice SET released_at = released_at - interval '1 minute' WHERE id = $1`, d.id)
	d.reconcile(ledger.Reconciliation{LogFrom: at, LogUntil: at, Evidence: []ledger.Evidence{
		{MessageID: all[0].MessageID, Epoch: all[0].Epoch, QueueID: "3576B98B427", Status: "status=sent (250 Ok)", At: at},
		{MessageID: all[1].MessageID, Epoch: all[1].Epoch, At: at.Add(time.Hour)},
		{MessageID: all[1].MessageID, Epoch: all[1].Epoch, QueueID: "AGAIN", At: at},
		{MessageID: all[2].MessageID, Epoch: all[2].Epoch - 1, QueueID: "OLD", At: at},
	}}, ledger.Reconciled{Sent: 2, Changed: 1})
	d.wantCounts(map[string]int{"sent": 2, "uncertain": 1})
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	if r := rows[0]; r.Reason != "relay log, queue id 3576B98B427, by ann" || r.SMTPCode != 0 || r.Enhanced != "" || r.SMTPText != "status=sent (250 Ok)" || !r.SentAt.Equal(at) {
		t.Errorf("got %+v, want sent at %v", r, at)
	}
	if r := rows[1]; r.Reason != "sink's store, by ann" || r.SentAt.After(time.Now()) {
		t.Errorf("got %+v", r)
	}
	if acts := d.acts(); len(acts) != 1 || !strings.HasPrefix(acts[0], "ann: reconcile: 2 taken, 0 missing and requeued; log from 20") {
		t.Errorf("acts: %q", acts)
	}
	d.wantNotice(notice.Sent)
}

func TestRequeueOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	const passed, tooEarly = "21 minutes", "14 minutes"
	tests := []struct {
		name   string
		ago    string
		change func(d *desk, u ledger.Uncertain, r *ledger.Reconciliation)
		want   ledger.Reconciled
	}{
		{"past the gate, in a log that covers it", passed, nil, ledger.Reconciled{Requeued: 1}},
		{"named twice", passed, func(_ *desk, _ ledger.Uncertain, r *ledger.Reconciliation) {
			r.Requeue = append(r.Requeue, r.Requeue...)
		}, ledger.Reconciled{Requeued: 1}},
		{"before the gate", tooEarly, nil, ledger.Reconciled{TooEarly: 1}},
		{"the log begins too late", passed, func(_ *desk, u ledger.Uncertain, r *ledger.Reconciliation) {
			r.LogFrom = u.LogFrom.Add(time.Second)
		}, ledger.Reconciled{NotCovered: 1}},
		{"the log ends too soon", passed, func(_ *desk, u ledger.Uncertain, r *ledger.Reconciliation) {
			r.LogUntil = u.LogUntil.Add(-time.Second)
		}, ledger.Reconciled{NotCovered: 1}},
		{"another epoch was looked at", passed, func(_ *desk, _ ledger.Uncertain, r *ledger.Reconciliation) { r.Requeue[0].Epoch-- }, ledger.Reconciled{Changed: 1}},
		{"its answer came meanwhile", passed, func(d *desk, u ledger.Uncertain, _ *ledger.Reconciliation) {
			d.exec(`UPDATE outcome SET state = 2 WHERE notice_id = $1`, d.id)
		}, ledger.Reconciled{Changed: 1}},
		{"requeued meanwhile, and uncertain again", passed, func(d *desk, _ ledger.Uncertain, _ *ledger.Reconciliation) {
			d.exec(`UPDATE outcome SET epoch = epoch + 1 WHERE notice_id = $1`, d.id)
		}, ledger.Reconciled{Changed: 1}},
		{"on the list of suppressions since", passed, func(d *desk, _ ledger.Uncertain, _ *ledger.Reconciliation) {
			_, _, err := d.Suppress(d.t.Context(), never("*@example.com"), "ann")
			d.must(err)
		}, ledger.Reconciled{Suppressed: 1}},
		{"on the list for other notices", passed, func(d *desk, _ ledger.Uncertain, _ *ledger.Reconciliation) {
			row := never("c1@example.com")
			row.Scope = notice.ScopeNotUrgent
			_, _, err := d.Suppress(d.t.Context(), row, "ann")
			d.must(err)
		}, ledger.Reconciled{Requeued: 1}},
		{"found in the same log", passed, func(_ *desk, u ledger.Uncertain, r *ledger.Reconciliation) {
			r.Evidence = []ledger.Evidence{{MessageID: u.MessageID, Epoch: u.Epoch, QueueID: "AAAAAA", At: u.LogFrom}}
		}, ledger.Reconciled{Sent: 1, Changed: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := lost(t, 1)
			d.passTheGate(tt.ago)
			u := d.uncertain()[0]
			r := ledger.Reconciliation{LogFrom: u.LogFrom, LogUntil: u.LogUntil, Requeue: []ledger.Missing{{MessageID: u.MessageID, Epoch: u.Epoch}}}
			if tt.change != nil {
				tt.change(d, u, &r)
			}
			if tt.want.TooEarly > 0 {
				from := u.RequeueFrom
				tt.want.From = &from
			}
			d.reconcile(r, tt.want)
			want := notice.Sent
			if tt.want.Requeued > 0 {
				want = notice.Sending
				d.wantState(0, notice.DeliveryQueued)
			}
			d.wantNotice(want)
		})
	}
}

func TestARequeuedDeliveryKeepsItsMessageIDAndIsSentOnce(t *testing.T) {
	t.Parallel()
	d := lost(t, 1)
	d.passTheGate("21 minutes")
	u := d.uncertain()[0]
	r := ledger.Reconciliation{LogFrom: u.LogFrom, LogUntil: u.LogUntil, Requeue: []ledger.Missing{{MessageID: u.MessageID, Epoch: u.Epoch}}}
	d.reconcile(r, ledger.Reconciled{Requeued: 1})
	d.reconcile(r, ledger.Reconciled{Changed: 1})
	c := d.claim("c")
	if len(c.Due) != 1 || !d.mark(attempt(c, 0)) {
		t.Fatalf("due: %+v", c.Due)
	}
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.closeChunk(c)
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	if got := rows[0]; got.State != notice.DeliverySent || got.MessageID != u.MessageID || got.Attempts != 2 {
		t.Errorf("got %+v, want it sent as %s at the second attempt", got, u.MessageID)
	}
	d.reconcile(r, ledger.Reconciled{Changed: 1})
	d.wantNotice(notice.Sent)
}

func TestReconcileRefuses(t *testing.T) {
	t.Parallel()
	d := lost(t, 1)
	u := d.uncertain()[0]
	for _, id := range []string{"", "<x@example.net>", strings.Replace(u.MessageID, ".0@", ".00@", 1), strings.Replace(u.MessageID, ".0@", ".99999999999@", 1)} {
		_, err := d.Reconcile(t.Context(), d.id, ledger.Reconciliation{Evidence: []ledger.Evidence{{MessageID: id}}}, "ann")
		if notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("Message-ID %q: %v", id, err)
		}
	}
	if _, err := d.Reconcile(t.Context(), 99, ledger.Reconciliation{}, "ann"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("no such notice: %v", err)
	}
	d.passTheGate("21 minutes")
	d.exec(`UPDATE notice SET state = 'cancelled' WHERE id = $1`, d.id)
	u = d.uncertain()[0]
	missing := ledger.Reconciliation{LogFrom: u.LogFrom, LogUntil: u.LogUntil, Requeue: []ledger.Missing{{MessageID: u.MessageID, Epoch: u.Epoch}}}
	if _, err := d.Reconcile(t.Context(), d.id, missing, "ann"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("requeue in a cancelled notice: %v", err)
	}
	d.reconcile(ledger.Reconciliation{Evidence: []ledger.Evidence{{MessageID: u.MessageID, Epoch: u.Epoch, QueueID: "AAAAAA", At: time.Now()}}}, ledger.Reconciled{Sent: 1})
	d.wantNotice(notice.Cancelled)
	if acts := d.acts(); len(acts) != 1 {
		t.Errorf("acts: %q", acts)
	}
}

func TestAfterARestoreALogMustCoverAllSinceTheRelease(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	// As unhold leaves the deliveries of a restored ledger: an attempt that is not known, and a gate from now on.
	d.exec(`INSERT INTO outcome (notice_id, seq, state) VALUES ($1, 0, 5)`, d.id)
	d.exec(`UPDATE chunk SET counts = '{0,0,0,0,0,1,0,0,0}' WHERE notice_id = $1`, d.id)
	d.exec(`UPDATE notice SET released_at = released_at - interval '1 hour' WHERE id = $1`, d.id)
	u := d.uncertain()[0]
	if ago := time.Since(u.LogFrom); ago < 62*time.Minute || ago > 63*time.Minute {
		t.Errorf("the log has to begin %v ago, want at the release an hour ago, and two minutes", ago)
	}
}
