package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin/internal/notice"
)

// Audience says who is to be told, and how the recipients that are found are judged.
type Audience struct {
	Body            notice.Body // that of the draft which was looked at
	Choice          Choice
	FilterText      string // its filter in its parenthesised form
	Broken          Broken // the mailboxes that are down
	DefaultLanguage string
	// Match returns the language of the text for a customer who wants that one, and whether it is theirs.
	Match func(want string) (text string, exact bool)
	// Each is called for every recipient to be mailed, in the order of seq. Its error ends the planning.
	Each func(r notice.Recipient, text string) error
	// Also, where it is there, is called for a recipient who may get the mail of a newcomer in the end, as one.
	Also func(r notice.Recipient, text string) error
	// Pins, where there are any, number the compiled mails that Freeze keeps with the plan.
	Pins Pins
	// Suppressed, where there is one, is called for every recipient that is not to be mailed, before all who are.
	Suppressed func(r notice.Recipient, reason string)
	// Judge says after the last of them why the notice must not go out like this: such a plan is not kept.
	Judge func() error
	// Earlier are the notices of the incident that the mails show.
	Earlier []notice.Earlier
	// Amends is the number of the notice that the draft is to stop: the plan has its rows. 0: the draft is no amendment.
	Amends int64
	// Unseen says that nobody will look at the plan: its comparison with an earlier notice is left out.
	Unseen bool
	// Progress, where there is one, is told now and then how many of all customers have been planned.
	Progress func(customers int)
}

// errDryRun rolls back changes that were only tried.
var errDryRun = errors.New("dry run")

// Plan is the dry run of a body: it does all that Freeze does, but keeps nothing.
func (db *DB) Plan(ctx context.Context, a Audience) (p notice.Plan, err error) {
	err = db.planning(ctx, func(tx, read pgx.Tx) error {
		earlier, err := previous(ctx, tx, a.Body)
		if err != nil {
			return err
		}
		s := survey{audience: a, rows: forgetful{}}
		if s.amended, err = findAmended(ctx, tx, a); err != nil {
			return err
		}
		if earlier.comparable() {
			if s.rows, err = newMailboxes(ctx, tx); err != nil {
				return err
			}
		}
		if p, err = s.run(ctx, read); err != nil {
			return err
		}
		return lookAround(ctx, tx, read, a, &p, earlier, toBeMailed)
	})
	return p, err
}

// Freeze is the dry run of a draft. It keeps the audience that it found as the draft's plan, in the place of an earlier
// one. The plan has its digest as a name. A plan that nobody is on, or that Judge refuses, is not kept and has no digest.
func (db *DB) Freeze(ctx context.Context, id int64, a Audience) (p notice.Plan, err error) {
	err = db.writing(ctx, a, func(tx, read pgx.Tx, plan int64) error {
		amended, err := findAmended(ctx, tx, a)
		if err != nil {
			return err
		}
		n, err := startPlan(ctx, tx, id, a, amended, plan)
		if err != nil {
			return err
		}
		rows := frozenRows{tx: tx, plan: plan}
		s := survey{audience: a, amended: amended, texts: n.Texts, rows: &rows, pins: a.Pins}
		if p, err = s.run(ctx, read); err != nil {
			return err
		}
		if !a.Unseen {
			earlier, err := previous(ctx, tx, a.Body)
			if err == nil {
				err = lookAround(ctx, tx, read, a, &p, earlier, frozenIn(plan))
			}
			if err != nil {
				return err
			}
		}
		if p.Customers == 0 || a.Judge() != nil {
			return errDryRun
		}
		if err := rows.sieve.keep(ctx, tx, plan); err != nil {
			return err
		}
		if err := copyAdded(ctx, tx, amended.plan, plan); err != nil {
			return err
		}
		mails, err := keepPins(ctx, tx, plan, a.Pins)
		if err != nil {
			return err
		}
		canaries := s.lots.order(notice.MostCanary)
		digest := s.digest(mails, canaries)
		p.Digest = hex.EncodeToString(digest)
		return keepPlan(ctx, tx, n, plan, p, digest, canaries)
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return p, err
}

// lookAround compares a plan with the customers who are not on it, and with the notice before it.
func lookAround(ctx context.Context, tx, read pgx.Tx, a Audience, p *notice.Plan, earlier *before, mailboxes string) (err error) {
	if a.Amends == 0 {
		if p.Excluded, err = a.Choice.excluded(ctx, read, p.Customers); err != nil {
			return err
		}
	}
	p.Previous, err = earlier.compare(ctx, tx, mailboxes)
	return err
}

// planning calls f with a transaction that keeps erasures waiting, and with one that reads in a single snapshot. The
// snapshot is taken after the first has its lock. Both connections are there before anything is locked: else a transaction that waits for the
// lock could hold the connection that the lock's holder waits for.
func (db *DB) planning(ctx context.Context, f func(tx, read pgx.Tx) error) error {
	return db.withPlanners(ctx, func(writer, reader *pgxpool.Conn) error { return db.plan(ctx, writer, reader, f) })
}

// writing is planning of a plan that is written, under that number.
func (db *DB) writing(ctx context.Context, a Audience, f func(tx, read pgx.Tx, plan int64) error) error {
	expected, err := db.expects(ctx, a)
	if err != nil {
		return err
	}
	return db.withPlanners(ctx, func(writer, reader *pgxpool.Conn) error {
		defer releaseLocks(ctx, writer)
		var plan int64
		err := pgx.BeginFunc(ctx, writer, func(tx pgx.Tx) error {
			plan, err = nextPlan(ctx, tx, expected >= db.opts.OwnRows)
			return err
		})
		if err != nil {
			return fmt.Errorf("make a part for a plan: %w", err)
		}
		return db.plan(ctx, writer, reader, func(tx, read pgx.Tx) error { return f(tx, read, plan) })
	})
}

// withPlanners calls f with two connections, when it is its turn.
func (db *DB) withPlanners(ctx context.Context, f func(writer, reader *pgxpool.Conn) error) error {
	select {
	case db.planners <- struct{}{}:
		defer func() { <-db.planners }()
	case <-ctx.Done():
		return ctx.Err()
	}
	reader, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect for reading the audience: %w", err)
	}
	defer reader.Release()
	writer, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer writer.Release()
	return f(writer, reader)
}

func (db *DB) plan(ctx context.Context, writer, reader *pgxpool.Conn, f func(tx, read pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, writer, func(tx pgx.Tx) error {
		if err := delayErasures(ctx, tx); err != nil {
			return err
		}
		return pgx.BeginTxFunc(ctx, reader, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(read pgx.Tx) error { return f(tx, read) })
	})
	if err != nil {
		return err
	}
	return synced(writer.Conn())
}

// startPlan makes the plan of a draft, or of a notice that is to leave, that its rows are then written for. Nobody else sees it until it is kept, and the
// draft is not locked meanwhile.
func startPlan(ctx context.Context, tx pgx.Tx, id int64, a Audience, amended amended, plan int64) (n Notice, err error) {
	if n, err = draftAsSeen(ctx, tx, id, a.Body, ""); err != nil {
		return n, err
	}
	return n, exec(ctx, tx, fmt.Sprintf("make the plan of notice %d", id), `
		INSERT INTO plan (id, notice_id, state, body, customers, recipients, by_language, suppressed, amends, earlier)
		SELECT $4, id, 'frozen', body, 0, 0, '{}', '{}', nullif($2::bigint, 0), coalesce($3::jsonb, '[]') FROM notice WHERE id = $1`, id, amended.plan, a.Earlier, plan)
}

var errReleased = notice.Conflict("the notice is released already")

// draftAsSeen reads a draft; it is a conflict when that is none any more, or has another body.
func draftAsSeen(ctx context.Context, tx pgx.Tx, id int64, seen notice.Body, lock string) (Notice, error) {
	n, err := readNotice(ctx, tx, id, lock)
	if err != nil {
		return n, err
	}
	if !n.waits() {
		return n, errReleased
	}
	if !reflect.DeepEqual(n.Body, seen) {
		return n, notice.Conflict("notice %q was replaced while it was being planned: look at it again", n.Key)
	}
	return n, nil
}

// keepPlan makes a plan that of its draft, if that is still the one which it was made for.
func keepPlan(ctx context.Context, tx pgx.Tx, seen Notice, plan int64, p notice.Plan, digest []byte, canaries []int32) error {
	n, err := draftAsSeen(ctx, tx, seen.ID, seen.Body, "FOR NO KEY UPDATE OF n")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(n.Texts, seen.Texts) {
		return notice.Conflict("the texts of notice %q were replaced while it was being planned: look at it again", n.Key)
	}
	if err := dropPlan(ctx, tx, n.ID, plan); err != nil {
		return err
	}
	return exec(ctx, tx, fmt.Sprintf("keep the plan of notice %d", n.ID), `
		UPDATE plan SET digest = $2, customers = $3, recipients = $4, by_language = $5, suppressed = $6, canaries = $7,
			newcomers = $8, fallback = $9, later_choice = coalesce($10, '{}'::jsonb), owed_old = $11 WHERE id = $1`,
		plan, digest, p.Customers, p.Recipients, p.ByLanguage, p.Suppressed, canaries, p.Newcomers, p.Fallback, p.LaterChoice, p.OwedOld)
}

// dropPlan drops the plan of a draft, unless it is that one. The draft is locked.
func dropPlan(ctx context.Context, tx pgx.Tx, noticeID, but int64) error {
	return exec(ctx, tx, fmt.Sprintf("drop the earlier plan of notice %d", noticeID),
		`UPDATE plan SET state = 'dropped' WHERE notice_id = $1 AND state = 'frozen' AND id <> $2`, noticeID, but)
}
