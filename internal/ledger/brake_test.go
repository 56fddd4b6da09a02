package ledger_test

import (
	"strings"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

var denied = notice.Answer{Command: "RCPT", Relay: "main", Code: 554, Enhanced: "5.7.1", Text: "Relay access denied"}

// refuse has deliveries fail by an answer.
func (d *desk) refuse(c ledger.Claim, a notice.Answer, seqs ...int) {
	for _, seq := range seqs {
		at := attempt(c, seq)
		d.mark(at)
		d.record(ledger.Outcome{Attempt: at, State: notice.DeliveryFailed, Answer: a})
	}
}

// braked holds the notice for a row of refusals that began so long ago.
func (d *desk) braked(first time.Duration, broad bool) bool {
	held, err := d.Brake(d.t.Context(), d.id, notice.Refusals{RefusedAlike: denied.Alike("a@b.example"), N: 20, Broad: broad}, first)
	d.must(err)
	return held
}

func TestTheBrakeHoldsANoticeUntilItIsResumed(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"and its row is owed again": false, "and its row stays failed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 6)
			c := d.claim("a")
			d.refuse(c, denied, 0)
			d.exec(`UPDATE outcome SET at = at - interval '1 hour'`) // before the row
			d.refuse(c, denied, 1, 2)
			other := denied
			other.Text = "another reason"
			d.refuse(c, other, 3)
			if !d.braked(time.Minute, true) || d.braked(time.Minute, true) {
				t.Fatal("it is held once")
			}
			d.wantNotice(notice.Held)
			if d.mark(attempt(c, 4)) {
				t.Error("a mark was given in a held notice")
			}
			st, err := d.Status(t.Context(), d.ref)
			if err != nil || st.Reason != "refused: 554 5.7.1 Relay access denied" {
				t.Errorf("%q, %v", st.Reason, err)
			}
			if s := d.standing(); s.Braked != 1 {
				t.Errorf("%+v", s)
			}
			d.wantConflict(d.Unhold(t.Context(), d.id, true, false, "op"))
			d.closeChunk(c)
			d.must(d.Resume(t.Context(), d.id, leave, "op"))
			d.wantNotice(notice.Sending)
			want := map[int]notice.DeliveryState{0: notice.DeliveryFailed, 1: notice.DeliveryQueued, 2: notice.DeliveryQueued, 3: notice.DeliveryFailed, 5: notice.DeliveryQueued}
			if leave {
				want[1], want[2] = notice.DeliveryFailed, notice.DeliveryFailed
			}
			for seq, state := range want {
				d.wantState(seq, state)
			}
			acts := strings.Join(d.acts(), "\n")
			if !strings.Contains(acts, "refused: 554 5.7.1 Relay access denied, 20 in a row") || leave == strings.Contains(acts, "requeue") {
				t.Errorf("the log of acts:\n%s", acts)
			}
			// A later row does not go back over a resume.
			if !d.braked(time.Hour, true) {
				t.Fatal("it is not held again")
			}
			d.must(d.Resume(t.Context(), d.id, false, "op"))
			d.wantState(1, want[1])
		})
	}
}

func TestTheBrakeLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	if d.must(d.Pause(t.Context(), d.id, "op")); d.braked(0, true) {
		t.Error("a paused notice is held")
	}
	d.must(d.Resume(t.Context(), d.id, false, "op"))
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	if d.braked(0, false) {
		t.Error("few domains hold a notice of which a mail was sent")
	}
	if !d.braked(0, true) {
		t.Error("it is not held")
	}
	d.must(d.Cancel(t.Context(), d.id, "op"))
	d.wantNotice(notice.Cancelled)
	d.wantConflict(d.Resume(t.Context(), d.id, false, "op"))
}

func TestAResumeLetsGoOfNothingElse(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]struct{ set, says string }{
		"a restore":      {`UPDATE notice SET state = 'held', reason = 'restored', brake = NULL, brake_since = NULL`, "unhold"},
		"a planned hold": {`UPDATE notice SET state = 'held', reason = 'power feeds', held_until = clock_timestamp() + interval '1 hour'`, "goes on by itself"},
	} {
		d := release(t, 1)
		d.exec(c.set)
		if err := d.Resume(t.Context(), d.id, false, "op"); notice.CodeOf(err) != notice.CodeConflict || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", why, err)
		}
		d.wantNotice(notice.Held)
	}
}
