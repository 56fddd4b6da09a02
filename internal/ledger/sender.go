package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Workers of one ledger have to agree on the setting only_to: one that sends to everybody would mail the customers that the
// others leave out. Each has its patterns in a row. While rows of living processes differ, no worker claims or marks.

// differSQL is whether a living process sends to others than the patterns of that parameter.
func differSQL(parameter string) string {
	return `EXISTS (SELECT FROM sender WHERE alive_until > clock_timestamp() AND only_to <> ` + parameter + `::text[])`
}

// Agree writes down the patterns of this process, and has it claim and mark nothing while another living process says otherwise. A
// worker calls it at least every second: for so long a mark of it may still commit after another has begun that differs.
func (db *DB) Agree(ctx context.Context) error {
	// Committed before the others are read: of two that begin at once, one sees the other.
	tag, err := db.pool.Exec(ctx, `
		INSERT INTO sender AS s (process, only_to, alive_until) VALUES ($1, $2, clock_timestamp() + $3)
		ON CONFLICT (process) DO UPDATE SET only_to = excluded.only_to, alive_until = excluded.alive_until
		WHERE s.alive_until < clock_timestamp() + $3 * 0.75 OR s.only_to <> excluded.only_to`, db.opts.Process, db.onlyTo(), db.opts.Lease)
	if err != nil {
		return fmt.Errorf("write down the patterns of only_to: %w", err)
	}
	if tag.RowsAffected() > 0 {
		if _, err := db.pool.Exec(ctx, `DELETE FROM sender WHERE alive_until < clock_timestamp() - interval '1 hour'`); err != nil {
			return fmt.Errorf("forget processes that have ended: %w", err)
		}
	}
	s, err := senders(ctx, db.pool)
	if err != nil {
		return err
	}
	before := db.disagreement()
	db.disagree.Store(&s.Disagree)
	switch {
	case s.Disagree == before:
	case s.Disagree != "":
		db.opts.Logger.Error("no worker sends: their settings only_to differ", slog.String("senders", s.Disagree))
	default:
		db.opts.Logger.Info("the settings only_to of all workers are the same again")
	}
	return nil
}

// Resign takes back the word of Agree: the process sends no more.
func (db *DB) Resign(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `DELETE FROM sender WHERE process = $1`, db.opts.Process)
	return wrap(err, "say that this process sends no more")
}

// disagreement names processes with different settings, as of the last Agree; "" = there are none.
func (db *DB) disagreement() string {
	if said := db.disagree.Load(); said != nil {
		return *said
	}
	return ""
}

// onlyTo is the setting of this process, never nil.
func (db *DB) onlyTo() notice.OnlyTo { return append(notice.OnlyTo{}, db.opts.OnlyTo...) }

// Senders returns how the processes that are alive and send are set up.
func (db *DB) Senders(ctx context.Context) (notice.Senders, error) { return senders(ctx, db.pool) }

func senders(ctx context.Context, q querier) (s notice.Senders, err error) {
	rows, _ := q.Query(ctx, `SELECT process, only_to FROM sender WHERE alive_until > clock_timestamp() ORDER BY process`)
	var first, process string
	var onlyTo, firsts notice.OnlyTo
	_, err = pgx.ForEachRow(rows, []any{&process, (*[]string)(&onlyTo)}, func() error {
		if first == "" {
			first, firsts = process, onlyTo
		} else if s.Disagree == "" && !slices.Equal(firsts, onlyTo) {
			s.Disagree = fmt.Sprintf("%s sends to %s, and %s to %s", first, firsts, process, onlyTo)
		}
		if len(s.OnlyTo) == 0 {
			s.OnlyTo = onlyTo
		}
		onlyTo = nil
		return nil
	})
	return s, wrap(err, "read the patterns of the workers")
}

// leaveOut suppresses deliveries of a chunk that is being claimed, since the claimer sends to others alone. One with an
// attempt that is unresolved becomes uncertain, as it would where it is stopped.
func leaveOut(ctx context.Context, tx pgx.Tx, noticeID int64, seqs []int32) error {
	if len(seqs) == 0 {
		return nil
	}
	return exec(ctx, tx, "suppress what this worker does not send", named(`
		INSERT INTO outcome AS o (notice_id, seq, state, reason)
		SELECT $1, seq, {suppressed}, '`+notice.ReasonOnlyTo+`' FROM unnest($2::int[]) AS m(seq)
		ON CONFLICT (notice_id, seq) DO UPDATE SET state = CASE WHEN o.unresolved = 0 THEN {suppressed} ELSE {uncertain} END,
			due_at = NULL, at = excluded.at, reason = excluded.reason
		WHERE o.state IN ({queued}, {deferred})`), noticeID, seqs)
}

// keepOnlyTo notes in a notice the patterns of the worker that claims a chunk of it: its mails' subjects follow from them.
func (db *DB) keepOnlyTo(ctx context.Context, tx pgx.Tx, noticeID int64, noted []string) error {
	if slices.Equal(noted, db.opts.OnlyTo) {
		return nil
	}
	return exec(ctx, tx, "note the patterns that a notice is sent under", `UPDATE notice SET only_to = $2 WHERE id = $1`, noticeID, db.onlyTo())
}

// CheckOnlyTo compares the setting only_to with those of the processes that work with the ledger at a Postgres URL. Where that
// can't be asked it finds nothing: Check says why.
func CheckOnlyTo(ctx context.Context, url string, set notice.OnlyTo) (f notice.Findings) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s, err := senders(ctx, conn)
	if err != nil {
		return nil
	}
	switch {
	case s.Disagree != "":
		f.Error("give all of them the same setting, or stop those that are wrong", "no worker sends, since their settings only_to differ: %s", s.Disagree)
	case len(s.OnlyTo) > 0 && !slices.Equal(s.OnlyTo, set):
		f.Warning("a worker with these settings would not send, nor would the others: set TOCSIN_ONLY_TO here too",
			"the workers that are alive send to %s, these settings to %s", s.OnlyTo, set)
	}
	return f
}
