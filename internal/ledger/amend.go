package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Amendable returns why an amendment can't stop the notice, nil where it can. by is the key of another one that has; "": none has.
func (n Notice) Amendable(amendment notice.Body, by string) error {
	refuse := func(format string, args ...any) error {
		e := notice.Conflict(format, args...)
		e.Field = "amends"
		return e
	}
	waits := n.State == notice.Scheduled || n.State == notice.Paused && !n.Began && n.SendAt != nil
	switch {
	case n.Incident != amendment.Incident:
		return notice.Invalid("incident", "is %q, and notice %q is of incident %q: leave it out", amendment.Incident, n.Key, n.Incident)
	case n.State == notice.Draft:
		return refuse("notice %q is a draft, of which nothing has left: change that, and send it", n.Key)
	case by != "":
		return refuse("notice %q was amended by %q already: amend that one", n.Key, by)
	case n.RowsDroppedAt != nil:
		return refuse("the rows of notice %q were dropped because they were old: who got it is not known any more", n.Key)
	case waits:
		return refuse("notice %q waits for its time, and nothing of it has left: take it back (tocsin notice take-back %s) and change it", n.Key, n.Key)
	case n.State == notice.Cancelled:
		return refuse("notice %q is cancelled (%s): send a notice of its own to those who got it, with audience: {notice: %s, state: [sent, uncertain, bounced]}", n.Key, n.Reason, n.Key)
	case n.State == notice.Held && n.Reason == notice.ReasonRestored:
		return refuse("notice %q is held since the ledger was restored from a backup, and who got it is not known: say that first (tocsin notice unhold %s --uncertain)", n.Key, n.Key)
	case !n.Planned:
		return refuse("notice %q is held since it could not leave, and nothing of it has left: take it back (tocsin notice take-back %s) and change it", n.Key, n.Key)
	}
	return nil
}

// lockAmended locks the notice that a draft amends, its reminders, its incident, and the chunks of all notices of that: an amendment stops them, and overtakes others.
// Somebody who holds chunks may wait for the row of a notice, to finish it or to have it sent again; that ends as a deadlock, and one of the two is tried anew.
func lockAmended(ctx context.Context, tx pgx.Tx, n Notice) (a Notice, reminders []int64, err error) {
	a, by, err := readAmended(ctx, tx, n.Body.Amends, "FOR NO KEY UPDATE OF n")
	if err == nil {
		err = a.Amendable(n.Body, by)
	}
	if err != nil {
		return a, nil, err
	}
	if reminders, err = remindersOf(ctx, tx, a); err != nil {
		return a, nil, err
	}
	if _, err := tx.Exec(ctx, `SELECT 1 FROM incident WHERE key = $1 FOR NO KEY UPDATE`, n.Incident); err != nil {
		return a, nil, fmt.Errorf("lock incident %q: %w", n.Incident, err)
	}
	return a, reminders, exec(ctx, tx, "lock the chunks of the incident", `
		SELECT c.id FROM chunk c JOIN notice o ON o.id = c.notice_id JOIN incident i ON i.id = o.incident_id WHERE i.key = $1 ORDER BY c.id FOR UPDATE OF c`, n.Incident)
}

// amend stops the notice that a draft amends, and lays the chunks of the draft over the same rows. All of it is in the transaction
// of the release. The stopped mails end cancelled: amended. A row is a correction if an earlier version arrived, or may have; an answer
// that comes later changes the stopped notice alone. Suppressed rows stay so, and rows with customers who were all erased are
// stopped from the start. Where a mark of the stopped notice is open, the amendment waits for its dot, as a later phase does.
// It brings the counts of the plan up to date.
func (db *DB) amend(ctx context.Context, tx pgx.Tx, n Notice, p *frozenPlan, press Press) (noCanary int, err error) {
	rows, err := p.look(ctx, tx)
	if err != nil {
		return 0, err
	}
	a, reminders, err := lockAmended(ctx, tx, n)
	if err != nil {
		return 0, err
	}
	var same bool
	err = tx.QueryRow(ctx, `SELECT amends = (SELECT plan_id FROM notice WHERE id = $2) AND recipients = (SELECT max(hi) FROM chunk WHERE notice_id = $2) FROM plan WHERE id = $1`,
		p.id, a.ID).Scan(&same)
	if err != nil {
		return 0, fmt.Errorf("compare the plan of notice %d with that of notice %d: %w", n.ID, a.ID, err)
	}
	if !same {
		return 0, &notice.Error{Code: notice.CodePlanChanged, Message: fmt.Sprintf("notice %q has other rows than the plan that was shown: look at it again", a.Key)}
	}
	if err := stopAmended(ctx, tx, a.ID); err != nil {
		return 0, err
	}
	if err := endReminders(ctx, tx, reminders, n.Key); err != nil {
		return 0, err
	}
	chunks, err := db.layAmendment(ctx, tx, n.ID, p.id, a.ID, rows.erased)
	if err != nil {
		return 0, err
	}
	if err := p.recount(ctx, tx, n.ID, rows); err != nil {
		return 0, err
	}
	if len(p.byLanguage) == 0 {
		return 0, notice.Conflict("notice %q reached nobody, and owes nothing to anybody: there is nothing to amend", a.Key)
	}
	var corrections int
	if err := tx.QueryRow(ctx, `SELECT sum(bit_count(corrects & ~stopped)) FROM chunk WHERE id = ANY($1)`, chunks).Scan(&corrections); err != nil {
		return 0, fmt.Errorf("count the corrections: %w", err)
	}
	return 0, recordAct(ctx, tx, a.ID, press.Who, "amend", fmt.Sprintf("by notice %s, which corrects %d", n.Key, corrections))
}

// stopAmended cancels a locked notice: all that it owes, or comes to owe.
func stopAmended(ctx context.Context, tx pgx.Tx, id int64) error {
	if _, err := tx.Exec(ctx, `UPDATE notice SET state = 'cancelled', reason = $2, held_until = NULL WHERE id = $1`, id, notice.ReasonAmended); err != nil {
		return fmt.Errorf("stop notice %d: %w", id, err)
	}
	return barrier(ctx, tx, id, true)
}

// layAmendment makes the chunks of an amendment from those of the notice that it stops.
func (db *DB) layAmendment(ctx context.Context, tx pgx.Tx, id, plan, amended int64, erased []int32) (chunks []int64, err error) {
	chunks, err = collect[int64](ctx, tx, named(`
		INSERT INTO chunk (notice_id, plan_id, lo, hi, open, due_at, dots, sent, stopped, corrects, untold, counts)
		SELECT $2, $3, c.lo, c.hi, true, clock_timestamp(), z, z, coalesce(e.bits, z), x.corrects, c.untold, ARRAY[c.hi - c.lo, 0, 0, 0, 0, 0, 0, 0, 0]
		FROM (`+correctsSQL+`) x JOIN chunk c ON c.id = x.id
		CROSS JOIN LATERAL (SELECT (c.dots & ~c.dots)::varbit AS z) z
		CROSS JOIN LATERAL (SELECT bit_or(set_bit(z, seq - c.lo, 1))::varbit AS bits FROM unnest($4::int[]) seq WHERE seq >= c.lo AND seq < c.hi) e
		ORDER BY c.lo RETURNING id`), amended, id, plan, erased)
	if err != nil {
		return nil, fmt.Errorf("make the chunks of notice %d: %w", id, err)
	}
	_, err = tx.Exec(ctx, named(`
		INSERT INTO outcome (notice_id, seq, state, reason)
		SELECT $2, o.seq, {suppressed}, o.reason FROM (SELECT * FROM chunk WHERE notice_id = $1 OFFSET 0) c
		CROSS JOIN LATERAL (SELECT seq, reason FROM outcome WHERE notice_id = $1 AND seq >= c.lo AND seq < c.hi AND state = {suppressed}
			AND get_bit(c.sent, seq - c.lo) = 0 OFFSET 0) o`), amended, id)
	if err != nil {
		return nil, fmt.Errorf("leave suppressed what was so in notice %d: %w", amended, err)
	}
	_, err = tx.Exec(ctx, named(`
		INSERT INTO outcome (notice_id, seq, state, due_at)
		SELECT $2, s, {queued}, clock_timestamp() + $3::interval FROM (SELECT * FROM chunk WHERE notice_id = $1 AND lease_until IS NOT NULL OFFSET 0) c
		CROSS JOIN LATERAL generate_series(c.lo, c.hi - 1) s
		LEFT JOIN LATERAL (SELECT seq, epoch FROM outcome WHERE notice_id = $1 AND seq = s OFFSET 0) o ON true
		WHERE get_bit(c.dots, s - c.lo) = 1 AND CASE WHEN o.seq IS NULL THEN get_bit(c.sent, s - c.lo) = 0 ELSE o.epoch < c.epoch END
		ON CONFLICT DO NOTHING`), amended, id, db.opts.DotGrace)
	if err != nil {
		return nil, fmt.Errorf("wait for the marks of notice %d: %w", amended, err)
	}
	if err := cancelStopped(ctx, tx, chunks); err != nil {
		return nil, err
	}
	return chunks, recount(ctx, tx, chunks)
}

// amendedRows are the rows of the plan of an amendment.
type amendedRows struct {
	byLanguage map[string]int // all of them
	erased     []int32        // those without customers
}

// look reads the rows of a locked plan.
func (p frozenPlan) look(ctx context.Context, tx pgx.Tx) (all amendedRows, err error) {
	all.byLanguage = map[string]int{}
	rows, _ := tx.Query(ctx, inPlan(p.id, `
		SELECT text, count(*), coalesce(array_agg(seq) FILTER (WHERE address_key LIKE 'erased:%'), '{}') FROM recipient WHERE plan_id = {plan} GROUP BY text`))
	var text string
	var n int
	var erased []int32
	_, err = pgx.ForEachRow(rows, []any{&text, &n, &erased}, func() error {
		all.byLanguage[text] = n
		all.erased = append(all.erased, erased...)
		return nil
	})
	return all, wrap(err, "read the rows of plan %d", p.id)
}

// recount counts the rows of a plan as the rows of the amended notice stand now: those to be mailed by language, the others by reason.
func (p *frozenPlan) recount(ctx context.Context, tx pgx.Tx, id int64, all amendedRows) error {
	p.byLanguage, p.suppressed = all.byLanguage, map[string]int{}
	rows, _ := tx.Query(ctx, inPlan(p.id, named(`
		SELECT r.text, x.reason, count(*) FROM (
			SELECT seq, reason FROM outcome WHERE notice_id = $1 AND state = {suppressed}
			UNION ALL SELECT seq, '`+notice.ReasonErased+`' FROM unnest($2::int[]) seq WHERE NOT EXISTS (SELECT FROM outcome WHERE notice_id = $1 AND seq = seq.seq AND state = {suppressed})) x
		CROSS JOIN LATERAL (SELECT text FROM recipient WHERE plan_id = {plan} AND seq = x.seq OFFSET 0) r GROUP BY 1, 2`)), id, all.erased)
	var text, reason string
	var n int
	_, err := pgx.ForEachRow(rows, []any{&text, &reason, &n}, func() error {
		p.suppressed[reason] += n
		if p.byLanguage[text] -= n; p.byLanguage[text] == 0 {
			delete(p.byLanguage, text)
		}
		return nil
	})
	return wrap(err, "count the rows of plan %d", p.id)
}
