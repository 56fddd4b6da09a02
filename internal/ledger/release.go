package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Press is the decision to release a plan.
type Press struct {
	Digest  string   // of the plan, as Freeze named it
	Domain  string   // the domain at the end of the Message-IDs
	Who     string   // releases it
	Allowed []string // the checks that were overruled, by name
	// MaxRecipients is the most that a notice may mail if its audience is resolved at sending. The plan is not taken then.
	MaxRecipients int
	Reminders     []Draft   // that are made with the release
	ApproveFrom   int       // from so many mails on another person than the authors has to approve; 0: from none
	Approval      *Approval // nil: it is not approved
	Canary        int       // as of notice.Releasing

	releasedBy, approvedBy, override string // these stay with the notice
}

// pressTries is how often a release plans anew where its plan was replaced or dropped before it could take it.
const pressTries = 3

// Release plans a draft, as Freeze does, and takes that plan. A notice that was released before is left as it is, and
// released is false. The digest of p is not used.
func (db *DB) Release(ctx context.Context, id int64, a Audience, p Press) (released bool, err error) {
	err = db.planAndTake(ctx, id, a, notice.Invalid("audience", "nobody matches it: no customer would be told"), func(digest string) (err error) {
		p.Digest = digest
		released, err = db.Take(ctx, id, p)
		return err
	})
	if errors.Is(err, errReleased) {
		return false, nil
	}
	return released, err
}

// planAndTake freezes a plan, judges it, and has it taken by its digest: again where it was replaced or dropped before that.
// nobody is the error for a plan without customers.
func (db *DB) planAndTake(ctx context.Context, id int64, a Audience, nobody error, take func(digest string) error) error {
	a.Unseen = true
	for range pressTries {
		plan, err := db.Freeze(ctx, id, a)
		switch {
		case err != nil:
			return err
		case plan.Customers == 0:
			return nobody
		}
		if err := a.Judge(); err != nil {
			return err
		}
		if err := take(plan.Digest); notice.CodeOf(err) != notice.CodePlanChanged {
			return err
		}
	}
	return errReplanned
}

var errReplanned = notice.Conflict("the notice was planned by others all the while: release it again")

// Take lets a draft go to the plan with that digest: nobody is added or lost since the plan was frozen. The time that it takes
// grows with the number of chunks alone. The list of suppressions is asked again. A notice that was released before
// is left as it is, and released is false; so is a draft that waits for approval now. A notice.Error of class plan_changed says that the
// draft's plan is another one, or none.
func (db *DB) Take(ctx context.Context, id int64, p Press) (released bool, err error) {
	err = db.inTxAnew(ctx, func(tx pgx.Tx) error {
		released = false
		// The fence is locked before any notice, so that one that is raised meanwhile holds this release.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM fence FOR SHARE`); err != nil {
			return fmt.Errorf("lock the fence: %w", err)
		}
		n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
		if err != nil || n.State.Released() {
			return err
		}
		if !slices.Contains(p.Allowed, notice.CheckPast) {
			if err := notLate(ctx, tx, n); err != nil {
				return err
			}
		}
		if p.Canary, err = p.canaryOf(ctx, tx, n); err != nil {
			return err
		}
		plan, err := lockPlan(ctx, tx, n, p.Digest)
		if err != nil {
			return err
		}
		mailed := plan.recipients - plan.unmailed()
		if p.MaxRecipients > 0 {
			mailed = p.MaxRecipients
		}
		waits, err := p.admit(ctx, tx, n, mailed)
		if err != nil || waits {
			return err
		}
		released = true
		if p.MaxRecipients > 0 {
			err = db.releaseUnresolved(ctx, tx, n, plan, p)
		} else {
			err = db.take(ctx, tx, n, plan, p)
		}
		if err != nil {
			return err
		}
		return remind(ctx, tx, n, p, mailed)
	})
	if err != nil {
		return false, err
	}
	return released, nil
}

func notLate(ctx context.Context, tx pgx.Tx, n Notice) error {
	var late bool
	if err := tx.QueryRow(ctx, `SELECT coalesce($1 <= clock_timestamp(), false)`, n.ExpiresAt).Scan(&late); err != nil {
		return fmt.Errorf("compare expires_at with the clock: %w", err)
	}
	if late {
		return notice.Invalid("expires_at", "has gone by: nothing would be sent")
	}
	return nil
}

// frozenPlan is a plan that can be taken.
type frozenPlan struct {
	id         int64
	madeAt     time.Time
	recipients int
	byLanguage map[string]int
	suppressed map[string]int
	canaries   []int32 // its rows in the order in which a canary takes them; nil: a version of before made it
}

// unmailed is how many rows are not to be mailed: the first ones.
func (p frozenPlan) unmailed() int {
	n := p.recipients
	for _, k := range p.byLanguage {
		n -= k
	}
	return n
}

// lockPlan locks the plan of a draft if it has that digest. An erasure that runs meanwhile has dropped it, or finds the chunks.
func lockPlan(ctx context.Context, tx pgx.Tx, n Notice, digest string) (p frozenPlan, err error) {
	sum, err := hex.DecodeString(digest)
	if err != nil {
		return p, notice.Invalid("plan", "is no digest of a plan")
	}
	err = tx.QueryRow(ctx, `
		SELECT id, made_at, recipients, by_language, suppressed, canaries FROM plan
		WHERE notice_id = $1 AND state = 'frozen' AND digest = $2 AND body = (SELECT body FROM notice WHERE id = $1) FOR UPDATE`, n.ID, sum).
		Scan(&p.id, &p.madeAt, &p.recipients, &p.byLanguage, &p.suppressed, &p.canaries)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, &notice.Error{Code: notice.CodePlanChanged, Message: fmt.Sprintf("the plan of notice %q that was shown does not stand any more: look at it again", n.Key)}
	}
	if err != nil {
		return p, fmt.Errorf("lock the plan of notice %d: %w", n.ID, err)
	}
	return p, nil
}

// take releases a notice to a plan: chunks over all of its recipients. Of those who are not to be mailed the outcome is known.
func (db *DB) take(ctx context.Context, tx pgx.Tx, n Notice, p frozenPlan, press Press) error {
	lay := layPlanned
	if n.Body.Amends != "" {
		lay = db.amend
	}
	canary, err := lay(ctx, tx, n, &p, press)
	if err != nil {
		return err
	}
	// A notice that is younger than the backup is unknown to a restored ledger: its key may have gone out before.
	tag, err := tx.Exec(ctx, `
		UPDATE notice SET state = CASE WHEN f.up THEN 'held' WHEN send_at > clock_timestamp() THEN 'scheduled' ELSE 'sending' END,
			reason = CASE WHEN f.up THEN 'restored' ELSE '' END,
			released_at = coalesce(released_at, clock_timestamp()), released_by = CASE WHEN released_at IS NULL THEN $2 ELSE released_by END,
			approved_by = CASE WHEN released_at IS NULL THEN $7 ELSE approved_by END, override = CASE WHEN released_at IS NULL THEN $8 ELSE override END,
			message_domain = CASE WHEN released_at IS NULL THEN $3 ELSE message_domain END, plan_id = p.id,
			customers = p.customers, recipients = p.recipients, by_language = $5, suppressed = $6,
			newcomers = p.newcomers, fallback = p.fallback, later_choice = p.later_choice,
			amends = (SELECT a.id FROM notice a WHERE a.key = notice.body->>'amends'), canary = $9, trial = $9 > 0
		FROM fence f, plan p WHERE notice.id = $1 AND p.id = $4`,
		n.ID, press.releasedBy, press.Domain, p.id, p.byLanguage, p.suppressed, press.approvedBy, press.override, canary)
	if err != nil {
		return fmt.Errorf("release notice %d: %w", n.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("release notice %d: the ledger has no fence: run `tocsin migrate`", n.ID)
	}
	if _, err := tx.Exec(ctx, `UPDATE plan SET state = 'taken' WHERE id = $1`, p.id); err != nil {
		return fmt.Errorf("take plan %d: %w", p.id, err)
	}
	// In a planned hold it is held from the start, not only once the next sweep has come by.
	_, err = tx.Exec(ctx, `
		UPDATE notice SET state = 'held', reason = h.reason, held_until = h.until_at
		FROM (`+holdNow+` ORDER BY until_at DESC LIMIT 1) h WHERE id = $2 AND state = 'sending'`, db.opts.DotGrace, n.ID)
	if err != nil {
		return fmt.Errorf("hold notice %d: %w", n.ID, err)
	}
	if err := db.begin(ctx, tx, n.ID); err != nil {
		return err
	}
	what := "release"
	if n.State.Released() {
		what = "leave"
	}
	return recordAct(ctx, tx, n.ID, press.Who, what, fmt.Sprintf("%d recipients", p.recipients)+overruled(press.Allowed))
}

// overruled is how the log of a notice names checks that were overruled.
func overruled(checks []string) string {
	if len(checks) == 0 {
		return ""
	}
	return ", allowed: " + strings.Join(checks, ", ")
}

// listMargin covers those who were writing to the list of suppressions when a plan was begun.
const listMargin = time.Minute

// unmailedSQL are the rows r of plan {plan} that are not to be mailed as it was shown, the first $1. Each is looked up by its key:
// statistics that don't know the plan yet would have all of its rows read.
const unmailedSQL = `generate_series(0, $1::int - 1) g(seq)
		CROSS JOIN LATERAL (SELECT seq, reason, address_key FROM recipient WHERE plan_id = {plan} AND seq = g.seq OFFSET 0) r`

// askListAgain asks the list of suppressions for mailboxes that have come and gone since the plan was made. It returns the rows of
// mailboxes that have come, and brings the plan's counts up to date.
func askListAgain(ctx context.Context, tx pgx.Tx, p *frozenPlan, scopes []notice.Scope) (late []int32, err error) {
	unmailed := p.unmailed()
	late, err = collect[int32](ctx, tx, inPlan(p.id, `
		SELECT c.seq FROM (`+coveredSQL(`SELECT {plan}::bigint AS id, {plan}::bigint AS plan_id, $2::text[] AS scopes`, `s.added_at > $1`)+`) c
		CROSS JOIN LATERAL (SELECT FROM recipient WHERE plan_id = {plan} AND seq = c.seq AND reason = '' OFFSET 0) r`),
		p.madeAt.Add(-listMargin), scopes)
	if err == nil {
		err = p.setReason(ctx, tx, late, notice.ReasonSuppressionList, 1)
	}
	if err != nil {
		return nil, fmt.Errorf("look for new suppressions: %w", err)
	}
	gone, err := collect[int32](ctx, tx, inPlan(p.id, `
		SELECT r.seq FROM `+unmailedSQL+` WHERE r.reason = '`+notice.ReasonSuppressionList+`' AND NOT `+suppressedSQL("r.address_key", scopes)), unmailed)
	if err == nil {
		err = p.setReason(ctx, tx, gone, "", -1)
	}
	return late, wrap(err, "look for suppressions that have gone")
}

// setReason gives rows of the plan a reason, and counts each of them as suppressed (1) or as not any more (-1).
func (p *frozenPlan) setReason(ctx context.Context, tx pgx.Tx, seqs []int32, reason string, by int) error {
	if len(seqs) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, inPlan(p.id, `
		UPDATE recipient SET reason = $2 FROM (
			SELECT r.place FROM unnest($1::int[]) g(seq)
			CROSS JOIN LATERAL (SELECT ctid AS place FROM recipient WHERE plan_id = {plan} AND seq = g.seq OFFSET 0) r OFFSET 0) found
		WHERE plan_id = {plan} AND recipient.ctid = found.place RETURNING text`), seqs, reason)
	var text string
	_, err := pgx.ForEachRow(rows, []any{&text}, func() error {
		p.byLanguage[text] -= by
		p.suppressed[notice.ReasonSuppressionList] += by
		return nil
	})
	for _, counts := range []map[string]int{p.byLanguage, p.suppressed} {
		maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
	}
	return err
}

// ChunkSize is how many deliveries a chunk covers: one queue task, one lease.
const ChunkSize = 256

// layPlanned makes the chunks of a notice that is released to a plan, after it has asked the list of suppressions again. It returns how many
// mailboxes the canary has.
func layPlanned(ctx context.Context, tx pgx.Tx, n Notice, p *frozenPlan, press Press) (canary int, err error) {
	unmailed := p.unmailed()
	late, err := askListAgain(ctx, tx, p, n.Body.Scopes())
	if err != nil {
		return 0, err
	}
	drawn, err := p.draw(ctx, tx, n.Key, press.Canary)
	if err != nil {
		return 0, err
	}
	return len(drawn), layChunks(ctx, tx, n, *p, unmailed, late, drawn)
}

// layChunks makes the chunks of a notice, and the outcomes of the rows that are not to be mailed: the first ones, and some
// that came on the list of suppressions late. Each of its canary is a chunk.
func layChunks(ctx context.Context, tx pgx.Tx, n Notice, p frozenPlan, unmailed int, late, canary []int32) error {
	lo, hi, alone := chunksAround(p.recipients, canary)
	_, err := tx.Exec(ctx, `
		INSERT INTO chunk (notice_id, plan_id, lo, hi, canary, open, due_at, dots, sent, stopped, counts)
		SELECT $1, $2, lo, hi, canary, true, greatest($6, clock_timestamp()), z, z, z, ARRAY[hi - lo, 0, 0, 0, 0, 0, 0, 0, 0]
		FROM unnest($3::int[], $4::int[], $5::bool[]) c(lo, hi, canary)
		CROSS JOIN LATERAL (SELECT repeat('0', hi - lo)::varbit AS z) z ORDER BY lo`, n.ID, p.id, lo, hi, alone, n.SendAt)
	if err != nil {
		return fmt.Errorf("make the chunks of notice %d: %w", n.ID, err)
	}
	_, err = tx.Exec(ctx, inPlan(p.id, named(`
		INSERT INTO outcome (notice_id, seq, state, reason)
		SELECT $2::bigint, r.seq, {suppressed}, r.reason FROM `+unmailedSQL+` WHERE r.reason <> ''
		UNION ALL SELECT $2, seq, {suppressed}, '`+notice.ReasonSuppressionList+`' FROM unnest($3::int[]) seq`)),
		unmailed, n.ID, late)
	if err != nil {
		return fmt.Errorf("settle what is not to be mailed of notice %d: %w", n.ID, err)
	}
	settled, err := collect[int64](ctx, tx, `
		SELECT id FROM chunk WHERE notice_id = $1 AND (lo < $2 OR EXISTS (SELECT FROM unnest($3::int[]) s WHERE s >= lo AND s < hi))`, n.ID, unmailed, late)
	if err != nil {
		return fmt.Errorf("look for what is not to be mailed of notice %d: %w", n.ID, err)
	}
	return recount(ctx, tx, settled)
}
