package ledger_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// onPair returns a notice of three deliveries on a pair, and a worker who has noted its standby, if commits wait for it.
func onPair(t *testing.T, synchronous bool) (p *local.Pair, d *desk, m *mirror, w *ledger.DB) {
	p = testkit.PostgresPair(t, synchronous)
	m = &mirror{}
	d = deskOn(t, p.URL, ledger.Options{Mirrors: []ledger.Mirror{m}})
	d.releaseTo(3)
	w = d.worker("w", m)
	for range 2 {
		d.must(w.CompareMarks(t.Context()))
	}
	return p, d, m, w
}

// promoted waits until a process may use the promoted server, or has raised the fence, and returns how the ledger stands.
func promoted(t *testing.T, db *ledger.DB) ledger.Standing {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := db.CompareMarks(ctx)
		if err == nil {
			s, err := db.Standing(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// TestAFailoverToASynchronousStandbyNeedsNoHand kills the primary, then switches over from the second to the first, as at
// the maintenance of a node, and back.
func TestAFailoverToASynchronousStandbyNeedsNoHand(t *testing.T) {
	t.Parallel()
	p, d, _, w := onPair(t, true)
	testkit.Findings(t, ledger.Check(t.Context(), p.URL)[4:5], "ok every commit waits for the standbys b")
	a := attempt(d.claim("w"), 0)
	if granted, err := w.Commit(t.Context(), []ledger.Attempt{a}, nil); err != nil || !granted[0] {
		t.Fatalf("mark: %v %v", granted, err)
	}
	d.must(p.Kill())
	d.must(p.Promote())
	if s := promoted(t, w); s.Fenced || s.Failovers != 1 || s.Standbys != 0 {
		t.Fatalf("after the failover: %+v", s)
	}
	promoted(t, d.DB)
	d.wantNotice(notice.Sending)
	d.wantCounts(map[string]int{"sending": 1, "queued": 2})
	if _, err := w.Commit(t.Context(), nil, []ledger.Outcome{{Attempt: a, State: notice.DeliverySent, Heard: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	acts, err := d.Acts(t.Context(), notice.ActPage{Limit: 1, What: "failover"})
	if err != nil || len(acts) != 1 || acts[0].Who != "tocsin" {
		t.Errorf("the log has %+v, %v", acts, err)
	}
	d.must(p.Rejoin(t.Context()))
	for i := range 2 {
		d.must(p.WaitFor(t.Context(), true))
		for range 2 {
			d.must(w.CompareMarks(t.Context()))
		}
		d.must(p.Stop())
		d.must(p.Promote())
		if s := promoted(t, w); s.Fenced || s.Failovers != 2+i {
			t.Fatalf("after a switchover: %+v", s)
		}
		d.must(p.Rejoin(t.Context()))
		promoted(t, d.DB)
	}
	d.wantNotice(notice.Sending)
}

// TestAFailoverThatMayHaveLostSomethingIsHeld has each of the conditions for a failover without a hand missing.
func TestAFailoverThatMayHaveLostSomethingIsHeld(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		synchronous bool
		change      func(p *local.Pair, d *desk, w *ledger.DB) // nil: the mirror is lost. After the note, before the primary dies
		dead        bool                                       // the worker dies too
	}{
		{"no standby was waited for", false, func(*local.Pair, *desk, *ledger.DB) {}, true},
		{"the primary stopped waiting before its last marks, and the worker lives", true, unwaited, false},
		{"the primary stopped waiting before its last marks, and the worker died", true, unwaited, true},
		{"the standby has another name", true, func(p *local.Pair, d *desk, w *ledger.DB) {
			d.must(p.Do(d.t.Context(), `UPDATE fence SET standbys = '{c}'`))
		}, true},
		{"the timeline is not the next", true, func(p *local.Pair, d *desk, w *ledger.DB) {
			d.must(p.Do(d.t.Context(), `UPDATE fence SET timeline = 0`))
		}, true},
		{"the note is old, as that of a backup", true, func(p *local.Pair, d *desk, w *ledger.DB) {
			d.must(p.Do(d.t.Context(), `UPDATE fence SET noted_at = noted_at - interval '11 minutes'`))
		}, true},
		{"nobody knows of a note", true, nil, true},
		{"another server", true, func(p *local.Pair, d *desk, w *ledger.DB) {
			d.must(p.Do(d.t.Context(), `UPDATE fence SET system_identifier = 1`))
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, d, m, w := onPair(t, c.synchronous)
			d.t = t
			if c.change == nil {
				m.numbers = nil
			} else {
				c.change(p, d, w)
			}
			d.must(p.Kill())
			d.must(p.Promote())
			if c.dead {
				w = d.worker("x", m)
			}
			if s := promoted(t, w); !s.Fenced || s.Failovers != 0 {
				t.Errorf("after the failover: %+v", s)
			}
			promoted(t, d.DB)
			d.wantHeld()
		})
	}
}

// TestWithoutItsRightsAFailoverIsHeld has a user who can't see how commits are waited for: nothing is noted.
func TestWithoutItsRightsAFailoverIsHeld(t *testing.T) {
	t.Parallel()
	p, m := testkit.PostgresPair(t, true), &mirror{}
	d := deskOn(t, p.URL, ledger.Options{Mirrors: []ledger.Mirror{m}})
	d.releaseTo(1)
	d.must(p.Do(t.Context(), `CREATE ROLE limited LOGIN`, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited`,
		`GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited`))
	d.url = strings.Replace(p.URL, "tocsin@", "limited@", 1)
	testkit.Findings(t, atLevel(ledger.Check(t.Context(), d.url), notice.LevelWarning), "warning can't see whether commits wait", "warning can't migrate")
	w := d.worker("w", m)
	for range 3 {
		d.must(w.CompareMarks(t.Context()))
	}
	if s, err := w.Standing(t.Context()); err != nil || s.Standbys != 0 {
		t.Errorf("%d standbys are noted, %v", s.Standbys, err)
	}
	d.must(p.Kill())
	d.must(p.Promote())
	if s := promoted(t, w); !s.Fenced {
		t.Errorf("after the failover: %+v", s)
	}
	promoted(t, d.DB)
	d.wantHeld()
}

func atLevel(all notice.Findings, level notice.Level) (of notice.Findings) {
	for _, f := range all {
		if f.Level == level {
			of = append(of, f)
		}
	}
	return of
}

// unwaited has the standby lack a mark that was granted: its primary did not wait for it any more.
func unwaited(p *local.Pair, d *desk, w *ledger.DB) {
	ctx := d.t.Context()
	d.must(p.CutOff(ctx))
	d.must(p.WaitFor(ctx, false))
	granted, err := w.Commit(ctx, []ledger.Attempt{attempt(d.claim("w"), 0)}, nil)
	if err != nil || !granted[0] {
		d.t.Fatalf("mark: %v %v", granted, err)
	}
}

// TestACommitThatStoppedWaitingIsNotKnown: an administrator ends the waiting for a standby that died.
func TestACommitThatStoppedWaitingIsNotKnown(t *testing.T) {
	t.Parallel()
	p, d, _, w := onPair(t, true)
	a := attempt(d.claim("w"), 0)
	d.must(p.CutOff(t.Context()))
	done := make(chan error, 1)
	go func() {
		_, err := w.Commit(t.Context(), []ledger.Attempt{a}, nil)
		done <- err
	}()
	admin, err := pgx.Connect(t.Context(), p.URL)
	d.must(err)
	defer admin.Close(context.WithoutCancel(t.Context()))
	for cancelled := false; !cancelled; {
		d.must(admin.QueryRow(t.Context(), `SELECT coalesce(bool_or(pg_cancel_backend(pid)), false) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&cancelled))
	}
	if err := <-done; err == nil {
		t.Error("a commit that no standby has was taken for one")
	}
}
