package ledger

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// recordAct keeps an act about a notice with its actor and its origin, in the transaction that does it; who is a
// notice.Actor. The detail names customers and mailboxes by numbers, so that an erasure has nothing to change in the log.
func recordAct(ctx context.Context, tx pgx.Tx, id int64, who, what, detail string) error {
	name, note := notice.SplitActor(who)
	return exec(ctx, tx, fmt.Sprintf("record who did %q", what),
		`INSERT INTO act (notice_id, who, note, what, detail, origin) VALUES ($1, $2, $3, $4, $5, $6)`, id, name, note, what, detail, notice.Origin(ctx))
}

// recordOther is recordAct for an act about no notice.
func recordOther(ctx context.Context, tx pgx.Tx, who, what, detail string) error {
	name, note := notice.SplitActor(who)
	return exec(ctx, tx, fmt.Sprintf("record who did %q", what),
		`INSERT INTO act (who, note, what, detail, origin) VALUES ($1, $2, $3, $4, $5)`, name, note, what, detail, notice.Origin(ctx))
}

// recordPress is recordOther for the actor of ctx.
func recordPress(ctx context.Context, tx pgx.Tx, what, detail string) error {
	who, _ := notice.Pressed(ctx)
	return recordOther(ctx, tx, who, what, detail)
}

// RecordTest keeps that the notice of that key was tested, also where there is no draft of it.
func (db *DB) RecordTest(ctx context.Context, key, who, detail string) error {
	name, note := notice.SplitActor(who)
	_, err := db.pool.Exec(ctx, `
		INSERT INTO act (notice_id, notice_key, who, note, what, detail, origin)
		VALUES ((SELECT id FROM notice WHERE key = $1), $1, $2, $3, 'test', $4, $5)`, key, name, note, detail, notice.Origin(ctx))
	return wrap(err, "record a test of notice %s", key)
}

// Acts returns a page of the log, the newest first. Those about a draft that was deleted are found by its number, and its tests
// by its key.
func (db *DB) Acts(ctx context.Context, p notice.ActPage) ([]notice.Act, error) {
	var id *int64
	if p.Notice != "" {
		found, err := db.Find(ctx, p.Notice)
		if notice.CodeOf(err) == notice.CodeNotFound {
			found, _ = strconv.ParseInt(p.Notice, 10, 64) // 0, of which there is none, where it is a key
		} else if err != nil {
			return nil, err
		}
		id = &found
	}
	rows, _ := db.pool.Query(ctx, `
		SELECT a.id, a.at, a.who, a.note, a.what, coalesce(n.key, a.notice_key, ''), a.detail, a.origin
		FROM act a LEFT JOIN notice n ON n.id = a.notice_id
		WHERE ($1 = 0 OR a.id < $1) AND ($2::bigint IS NULL OR a.notice_id = $2 OR a.notice_id IS NULL AND a.notice_key = $3)
			AND ($4 = '' OR lower(a.who) = lower($4)) AND ($5 = '' OR a.what = $5) AND a.at >= $6
		ORDER BY a.id DESC LIMIT $7`, p.Before, id, p.Notice, p.Who, p.What, p.Since, p.Limit)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[notice.Act])
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	for i := range all {
		all[i].At = all[i].At.UTC()
	}
	return all, nil
}
