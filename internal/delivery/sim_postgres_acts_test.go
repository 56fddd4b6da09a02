package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// act does one thing to both, and compares the answers.
func (p *pair) act() error {
	n := int64(1 + p.draw("notice", len(p.notices)))
	ops := []struct {
		name string
		do   func(n int64) error
	}{
		{"claim", p.claim}, {"claim", p.claim}, {"commit", p.commit}, {"commit", p.commit}, {"commit", p.commit}, {"commit", p.commit},
		{"close", p.close}, {"time", p.time}, {"time", p.time}, {"release", p.release}, {"renew", p.renew}, {"sweep", p.sweep},
		{"stop", p.stop}, {"resume", p.resume}, {"settle", p.settle}, {"settle", p.settle}, {"suppress", p.suppress}, {"erase", p.erase}, {"restore", p.restore},
		{"reschedule", p.reschedule}, {"brake", p.brake}, {"hold", p.hold}, {"return", p.comeBack}, {"return", p.comeBack}, {"add", p.add}, {"amend", p.amend},
	}
	op := ops[p.draw("act", len(ops))]
	p.did = append(p.did, fmt.Sprintf("%s %d", op.name, n))
	return op.do(n)
}

// note adds to the text of the last act.
func (p *pair) note(format string, args ...any) {
	p.did[len(p.did)-1] += " " + fmt.Sprintf(format, args...)
}

// both compares two answers.
func both[T any](what string, m, pg T) error {
	if diff := cmp.Diff(m, pg); diff != "" {
		return fmt.Errorf("%s (-memory +Postgres):\n%s", what, diff)
	}
	return nil
}

// refused compares two errors: the same is refused, and Postgres fails at nothing.
func refused(m, pg error) error {
	if pg != nil && notice.CodeOf(pg) == "" {
		return pg
	}
	return both("the error", fmt.Sprint(notice.CodeOf(m)), fmt.Sprint(notice.CodeOf(pg)))
}

func (p *pair) release(n int64) error {
	a := everybody
	a.Body = p.memory.notice(n).Body
	if a.Choice.Customers, a.Pins = []string{}, pairPins; a.Body.Amends != "" {
		a.Amends = p.notices[p.memory.amended(p.memory.notice(n)).ID-1]
	}
	for _, c := range p.memory.customers {
		a.Choice.Customers = append(a.Choice.Customers, c.id)
	}
	pg, err := p.db.Release(p.ctx, p.notices[n-1], a, ledger.Press{Domain: "example.net", Who: "op"})
	p.memory.drawn = map[int]bool{}
	rows, _ := p.pool.Query(p.ctx, `SELECT lo FROM chunk WHERE notice_id = $1 AND canary`, p.notices[n-1])
	drawn, drawErr := pgx.CollectRows(rows, pgx.RowTo[int])
	for _, seq := range drawn {
		p.memory.drawn[seq] = true
	}
	m, mErr := p.s.Release(p.ctx, n, everybody, ledger.Press{Domain: "example.net", Who: "op"})
	if err := errors.Join(drawErr, refused(mErr, err)); err != nil {
		return err
	}
	if !m || !pg {
		return both("the release", m, pg)
	}
	rows, _ = p.pool.Query(p.ctx, `SELECT id FROM chunk WHERE notice_id = $1 ORDER BY lo`, p.notices[n-1])
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	p.chunks = append(p.chunks, ids...)
	return err
}

// mostAmended bounds how many notices a pair has.
const mostAmended = 8

// amend drafts an amendment of a notice, and releases it.
func (p *pair) amend(n int64) error {
	if len(p.notices) >= mostAmended {
		return nil
	}
	of := p.memory.notice(n).Body
	b := simBody(fmt.Sprintf("%s.n%d", p.prefix, len(p.notices)+1))
	b.Kind, b.Incident, b.Phase, b.Amends, b.Corrections = of.Kind, of.Incident, of.Phase, of.Key, simTexts
	p.memory.draft(b, simTexts)
	id, _, err := p.db.PutDraft(p.ctx, ledger.Draft{Body: b, Texts: simTexts, Who: "op"})
	if err != nil {
		return err
	}
	p.notices = append(p.notices, id)
	return p.release(int64(len(p.notices)))
}

// of is a chunk of a notice in memory; nil: it is not released.
func (p *pair) of(n int64) *chunkRow {
	all := slices.DeleteFunc(p.memory.chunksOf(p.memory.notice(n)), func(c *chunkRow) bool { return c.lo == c.hi }) // of a release that was taken back
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all[p.draw("chunk", len(all))]
}

func (p *pair) claim(n int64) error {
	c := p.of(n)
	if c == nil {
		return nil
	}
	m, mOK, _ := p.s.Claim(p.ctx, c.id, "w")
	pg, ok, err := p.db.Claim(p.ctx, p.chunks[c.id-1], "w")
	if err != nil || !ok || !mOK {
		return refusedOr(err, "the claim", mOK, ok)
	}
	p.epochs[pg.Epoch] = m.Epoch
	p.claims = append(p.claims, twoClaims{m, pg})
	due := func(c ledger.Claim) (all []string) {
		for _, d := range c.Due {
			all = append(all, fmt.Sprintf("%d after %d, corrects %v, mail %d to %s, not through %q", d.Seq, d.Tries, d.Corrects, d.Mail, d.Recipient.Address, d.Shuns))
		}
		return all
	}
	return both("due are", due(m), due(pg))
}

func refusedOr(err error, what string, m, pg bool) error {
	if err != nil {
		return err
	}
	return both(what, m, pg)
}

// someClaim is one of the last, most often the last of all.
func (p *pair) someClaim() (c twoClaims, ok bool) {
	if len(p.claims) == 0 {
		return c, false
	}
	back := p.draw("claim", 4) / 2
	return p.claims[max(0, len(p.claims)-1-back)], true
}

func (p *pair) renew(int64) error {
	c, ok := p.someClaim()
	if !ok {
		return nil
	}
	m, _ := p.s.Renew(p.ctx, c.m.ChunkID, c.m.Epoch)
	pg, err := p.db.Renew(p.ctx, c.p.ChunkID, c.p.Epoch)
	return refusedOr(err, "the lease", m, pg)
}

func (p *pair) close(int64) error {
	c, ok := p.someClaim()
	if !ok {
		return nil
	}
	if p.draw("rest", 4) == 0 {
		c.m.Rest, c.p.Rest = 30*time.Second, 30*time.Second
	}
	m, _ := p.s.CloseChunk(p.ctx, c.m)
	pg, err := p.db.CloseChunk(p.ctx, c.p)
	return refusedOr(err, "something is owed", m, pg)
}

// commit marks some of the deliveries of a claim, or asks again, and answers some that were asked for before.
func (p *pair) commit(int64) error {
	var marks [2][]ledger.Attempt
	var outcomes [2][]ledger.Outcome
	now := map[ledger.Attempt]bool{}
	if c, ok := p.someClaim(); ok {
		for _, d := range c.m.Due {
			if p.draw("mark", 2) == 1 {
				continue
			}
			at := twoAttempts{ledger.Attempt{NoticeID: c.m.NoticeID, ChunkID: c.m.ChunkID, Seq: d.Seq, Epoch: c.m.Epoch},
				ledger.Attempt{NoticeID: c.p.NoticeID, ChunkID: c.p.ChunkID, Seq: d.Seq, Epoch: c.p.Epoch}}
			now[at.m] = true
			at.m.Again = p.draw("again", 3) == 0
			at.p.Again = at.m.Again
			marks[0], marks[1] = append(marks[0], at.m), append(marks[1], at.p)
			p.asked = append(p.asked, at)
			p.note("mark %d/%d %v", at.m.ChunkID, at.m.Seq, at.m.Again)
		}
	}
	for i := len(p.asked) - 1; i >= max(0, len(p.asked)-8); i-- {
		at := p.asked[i]
		at.m.Again, at.p.Again = false, false
		if now[at.m] || p.draw("answer", 3) != 0 {
			continue
		}
		now[at.m] = true
		o := ledger.Outcome{State: []notice.DeliveryState{notice.DeliverySent, notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain}[p.draw("state", 4)],
			Heard: time.Now(), Delay: time.Duration(p.draw("delay", 2)) * 40 * time.Second, Answer: notice.Answer{Code: 1}}
		if p.draw("of the relay", 4) == 0 {
			o.Answer = notice.Answer{Code: 554, Relay: "main"}
		}
		o.NoDot = definite(o.State) && p.draw("no dot", 2) == 0
		for k, a := range []ledger.Attempt{at.m, at.p} {
			o.Attempt = a
			outcomes[k] = append(outcomes[k], o)
		}
		p.note("%s %d/%d", o.State, at.m.ChunkID, at.m.Seq)
	}
	m, _ := p.s.Commit(p.ctx, marks[0], outcomes[0])
	pg, err := p.db.Commit(p.ctx, marks[1], outcomes[1])
	if err != nil {
		return err
	}
	return both("granted are", m, pg)
}

// time goes by: in Postgres all that was moves into the past.
func (p *pair) time(int64) error {
	d := []time.Duration{25 * time.Second, 61 * time.Second, 16 * time.Minute}[p.draw("span", 3)]
	p.note("%v", d)
	p.skip += d
	for table, columns := range map[string][]string{"chunk": {"lease_until", "due_at"}, "outcome": {"due_at", "at", "owed_at"},
		"notice": {"released_at", "send_at", "expires_at", "began_at", "brake_since"}, "act": {"at"}, "suppression": {"added_at"}} {
		for _, c := range columns {
			if err := p.move(table, c, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// move has the times of a column be so much earlier, in the log of acts too, which a trigger keeps as it is.
func (p *pair) move(table, column string, d time.Duration) error {
	return pgx.BeginFunc(p.ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(p.ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(p.ctx, `UPDATE `+table+` SET `+column+` = `+column+` - $1::interval`, d)
		return err
	})
}

func (p *pair) sweep(int64) error {
	_, _ = p.s.Sweep(p.ctx)
	_, err := p.db.Sweep(p.ctx)
	return err
}

func (p *pair) stop(n int64) error {
	if p.draw("cancel", 3) == 0 {
		p.note("cancel")
		return refused(p.s.Cancel(p.ctx, n, "op"), p.db.Cancel(p.ctx, p.notices[n-1], "op"))
	}
	return refused(p.s.Pause(p.ctx, n, "op"), p.db.Pause(p.ctx, p.notices[n-1], "op"))
}

func (p *pair) resume(n int64) error {
	leave := p.draw("leave failed", 2) == 0
	p.note("leave failed %v", leave)
	return refused(p.s.Resume(p.ctx, n, leave, "op"), p.db.Resume(p.ctx, p.notices[n-1], leave, "op"))
}

// brake holds a notice for refusals like all that commit has heard, and has it go on most often.
func (p *pair) brake(n int64) error {
	r := notice.Refusals{RefusedAlike: notice.RefusedAlike{Code: 1}, N: 20, Broad: p.draw("broad", 3) > 0}
	first := time.Duration(p.draw("first", 2)) * time.Hour
	p.note("broad %v since %v", r.Broad, first)
	m, _ := p.s.Brake(p.ctx, n, r, first)
	pg, err := p.db.Brake(p.ctx, p.notices[n-1], r, first)
	if err := refusedOr(err, "held", m, pg); err != nil || p.draw("resume", 3) == 0 {
		return err
	}
	return p.resume(n)
}

// mailbox is one of those that there were at first.
func (p *pair) mailbox() string {
	return fmt.Sprintf("%s.m%d@example.com", p.prefix, p.draw("mailbox", 3))
}

func (p *pair) settle(n int64) error {
	s := notice.Settlement{Requeue: p.draw("requeue", 4) > 0}
	s.Sent = !s.Requeue
	key := ""
	switch p.draw("all", 4) {
	case 0:
		s.AllUncertain = true
	case 1:
		s.State, s.Code = notice.DeliveryFailed.String(), p.draw("code", 3) // answers have 1
	default:
		key = p.mailbox()
		s.Address = key
	}
	s.Force = s.Requeue && p.draw("force", 4) == 0
	p.note("requeue %v by force %v %s", s.Requeue, s.Force, strings.TrimPrefix(key, p.prefix))
	m, mErr := p.s.Settle(p.ctx, n, s, key, "op")
	pg, err := p.db.Settle(p.ctx, p.notices[n-1], s, key, "op")
	if err := refused(mErr, err); err != nil {
		return err
	}
	return both("settled are", m.Changed, pg.Changed)
}

func (p *pair) suppress(int64) error {
	key := p.mailbox()
	scope := []notice.Scope{notice.ScopeAll, notice.ScopeNotUrgent}[p.draw("scope", 2)]
	p.note("%s for %s", strings.TrimPrefix(key, p.prefix), scope)
	if p.memory.listed[key].scope == notice.ScopeAll && scope != notice.ScopeAll {
		return nil // that is refused
	}
	_ = p.s.Suppress(p.ctx, key, scope)
	_, _, err := p.db.Suppress(p.ctx, notice.SuppressionRow{Key: key, Reason: "request", Scope: scope}, "op")
	return err
}

func (p *pair) erase(int64) error {
	if len(p.memory.customers) < 3 {
		return nil
	}
	id := p.memory.customers[p.draw("customer", len(p.memory.customers))].id
	p.note("%s", strings.TrimPrefix(id, p.prefix))
	_ = p.s.DeleteCustomer(p.ctx, id)
	return p.db.DeleteCustomer(p.ctx, id)
}

// restore has a notice held as after a restore, and an operator let go of it.
func (p *pair) restore(n int64) error {
	switch p.memory.notice(n).State {
	case notice.Scheduled, notice.Sending, notice.Paused:
	default:
		return nil
	}
	p.memory.notice(n).State = notice.Held
	if _, err := p.pool.Exec(p.ctx, `UPDATE notice SET state = 'held', reason = 'restored', held_until = NULL WHERE id = $1`, p.notices[n-1]); err != nil {
		return err
	}
	send := p.draw("send", 2) == 0
	p.note("send %v", send)
	return refused(p.s.Unhold(p.ctx, n, send, false, "op"), p.db.Unhold(p.ctx, p.notices[n-1], send, false, "op"))
}
