package delivery

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// books are the tables of the delivery protocol, in the form of today or in the one before, each transaction as one method.
type books interface {
	kept() []*ledger.Notice // by number, from 1
	status(id int64) notice.Status
	claim(id int64, holder string) (ledger.Claim, bool)
	renew(id, epoch int64) bool
	close(c ledger.Claim) (held, owed bool)
	finish(id int64)
	canaryOf(chunk int64) (id int64, ok bool)
	holdAtCanary(id int64)
	due() ledger.Work
	transition(id int64, what string, to notice.State, from ...notice.State) error
	barrier(id int64, to notice.State)
}

// clerk is the simulated ledger as one process uses it, as far as both forms are the same.
type clerk struct {
	control.Register // the methods that a schedule does not use
	books
	opts ledger.Options
	pins simPins
	tx   func(ctx context.Context, kind string, a, b int64, do func() error) error
}

func (c *clerk) Lease() time.Duration    { return c.opts.Lease }
func (c *clerk) DotGrace() time.Duration { return c.opts.DotGrace }

// Notice returns a notice. Each that was released has taken a plan, unless its audience is resolved when it leaves.
func (c *clerk) Notice(_ context.Context, id int64) (ledger.Notice, error) {
	if n := at(c.kept(), id); n != nil {
		read := *n
		read.Planned = n.State != notice.Draft && (n.Body.AudienceAt != notice.AtSend || n.State != notice.Scheduled)
		return read, nil
	}
	return ledger.Notice{}, notice.NotFound("there is no notice %d", id)
}

func (c *clerk) BounceKeys(context.Context) ([][]byte, error) {
	return [][]byte{[]byte("sixteen bytes ok")}, nil
}

func (c *clerk) Mails(_ context.Context, _ int64, numbers []int) (map[int][]byte, error) {
	mails := map[int][]byte{}
	for _, n := range numbers {
		mails[n] = c.pins[n-1]
	}
	return mails, nil
}

func (c *clerk) Find(_ context.Context, ref string) (int64, error) {
	for _, n := range c.kept() {
		if n.Key == ref {
			return n.ID, nil
		}
	}
	return 0, notice.NotFound("there is no notice %q", ref)
}

func (c *clerk) Status(ctx context.Context, ref string) (notice.Status, error) {
	id, err := c.Find(ctx, ref)
	if err != nil {
		return notice.Status{}, err
	}
	return c.status(id), nil
}

func (c *clerk) Finish(ctx context.Context, id int64) error {
	return c.tx(ctx, "finish", id, 0, func() error { c.finish(id); return nil })
}

func (c *clerk) Claim(ctx context.Context, id int64, holder string) (claim ledger.Claim, ok bool, err error) {
	if err := c.tx(ctx, "claim", id, 0, func() error { claim, ok = c.claim(id, holder); return nil }); err != nil {
		return ledger.Claim{}, false, err
	}
	return claim, ok, nil
}

func (c *clerk) Renew(ctx context.Context, id, epoch int64) (held bool, err error) {
	if err := c.tx(ctx, "renew", id, epoch, func() error { held = c.renew(id, epoch); return nil }); err != nil {
		return false, err
	}
	return held, nil
}

func (c *clerk) CloseChunk(ctx context.Context, claim ledger.Claim) (bool, error) {
	var held, owed bool
	err := c.tx(ctx, "close", claim.ChunkID, claim.Epoch, func() error { held, owed = c.close(claim); return nil })
	if id, canary := c.canaryOf(claim.ChunkID); err == nil && held && canary {
		err = c.tx(ctx, "canary", id, 0, func() error { c.holdAtCanary(id); return nil })
	}
	if err != nil || !held || owed {
		return owed && err == nil, err
	}
	return false, c.Finish(ctx, claim.NoticeID)
}

// finishAndRead is the end of a sweep.
func (c *clerk) finishAndRead(ctx context.Context, done []int64) (work ledger.Work, err error) {
	for _, id := range done {
		if err := c.Finish(ctx, id); err != nil {
			return work, err
		}
	}
	if err := c.tx(ctx, "due", 0, 0, func() error { work = c.due(); return nil }); err != nil {
		return ledger.Work{}, err
	}
	return work, nil
}

func (c *clerk) Pause(ctx context.Context, id int64, _ string) error {
	return c.stop(ctx, id, "pause", notice.Paused, notice.Scheduled, notice.Sending)
}

func (c *clerk) Cancel(ctx context.Context, id int64, _ string) error {
	return c.stop(ctx, id, "cancel", notice.Cancelled, notice.Scheduled, notice.Sending, notice.Paused, notice.Held)
}

// stop commits the state, and then waits at a barrier until nobody marks any more.
func (c *clerk) stop(ctx context.Context, id int64, what string, to notice.State, from ...notice.State) error {
	if err := c.tx(ctx, what, id, 0, func() error { return c.transition(id, what, to, from...) }); err != nil {
		return err
	}
	return c.tx(ctx, "barrier", id, 0, func() error { c.barrier(id, to); return nil })
}

func (c *clerk) Resume(ctx context.Context, id int64, _ bool, _ string) error {
	err := c.tx(ctx, "resume", id, 0, func() error { return c.transition(id, "resume", notice.Sending, notice.Paused) })
	if err != nil {
		return err
	}
	return c.Finish(ctx, id)
}

// at returns the row of a number, from 1; nil: there is none.
func at[row any](rows []*row, id int64) *row {
	if id < 1 || id > int64(len(rows)) {
		return nil
	}
	return rows[id-1]
}

// mayBecome reports whether a notice changes its state. One that stands at its goal is left as it is.
func mayBecome(n *ledger.Notice, id int64, what string, to notice.State, from []notice.State) (bool, error) {
	switch {
	case n == nil:
		return false, notice.NotFound("there is no notice %d", id)
	case n.State == to || to == notice.Sending && n.State == notice.Scheduled:
		return false, nil
	case !slices.Contains(from, n.State):
		return false, notice.Conflict("notice %d is %s: there is nothing to %s", id, n.State, what)
	}
	return true, nil
}

// leaseRow is the part of a chunk's row with the lease and the times of its work.
type leaseRow struct {
	id         int64
	lo, hi     int
	epoch      int64
	holder     string
	leaseUntil time.Time // zero: null
	open       bool
	dueAt      time.Time
	counts     notice.Counts
}

func (c *leaseRow) live(now time.Time) bool { return c.leaseUntil.After(now) }

// work returns the result of a sweep: those of the open chunks that are swept, and when it should look again.
func work(now time.Time, open, swept []*leaseRow, notices []*ledger.Notice) (w ledger.Work) {
	w.NextDue = -1
	next := func(t time.Time) {
		if t.After(now) && (w.NextDue < 0 || t.Sub(now) < w.NextDue) {
			w.NextDue = t.Sub(now)
		}
	}
	for _, c := range open {
		next(c.dueAt)
		next(c.leaseUntil)
	}
	slices.SortFunc(swept, func(a, b *leaseRow) int { return cmp.Or(a.dueAt.Compare(b.dueAt), cmp.Compare(a.id, b.id)) })
	for _, c := range swept {
		since := c.leaseUntil
		if since.IsZero() {
			since = c.dueAt
		}
		w.Chunks = append(w.Chunks, ledger.DueChunk{ID: c.id, Epoch: c.epoch, Overdue: max(0, now.Sub(since))})
	}
	for _, n := range notices {
		if n.State == notice.Scheduled {
			next(*n.SendAt)
		}
	}
	return w
}
