package ledger

import (
	"context"
	"regexp"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// CustomersNamed returns the customers with names that begin with a text, in any case, by id; empty, never nil, where
// there is none.
func (db *DB) CustomersNamed(ctx context.Context, begin string, limit int) ([]notice.Customer, error) {
	if !storable(begin) || begin == "" {
		return []notice.Customer{}, nil
	}
	// Not LIKE: a plan for any pattern could not use the index.
	rows, _ := db.pool.Query(ctx, `
		SELECT id, name, email, alternate_email, language, time_zone, attributes FROM (
			SELECT * FROM customer WHERE name <> '' AND left(lower(name), 200) ~>=~ left(lower($1), 200)
				AND left(lower(name), 200) ~<=~ (left(lower($1), 200) || U&'\+10FFFF') LIMIT 10 * $2 OFFSET 0) c
		ORDER BY id LIMIT $2`, begin, limit)
	all, err := pgx.AppendRows([]notice.Customer{}, rows, pgx.RowToStructByPos[notice.Customer])
	return all, wrap(err, "look for names")
}

// Entries returns the deliveries of noticeIDs[i] and seqs[i], the newest first, as a history has them. One that is not there is left out.
func (db *DB) Entries(ctx context.Context, noticeIDs []int64, seqs []int) ([]notice.HistoryEntry, error) {
	rows, _ := db.pool.Query(ctx, `WITH stands AS (SELECT * FROM unnest($1::bigint[], $2::int[]) AS s(notice_id, seq))`+entriesSQL, noticeIDs, seqs)
	all, err := pgx.AppendRows([]notice.HistoryEntry{}, rows, scanEntry)
	return all, wrap(err, "read deliveries")
}

// queueID is the form of the ids that relays give to mails.
var queueID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{4,98}[A-Za-z0-9]$`)

// queueIDNotices is in how many notices, the newest, an id is looked for.
const queueIDNotices = 50

// FindQueueID returns the deliveries, ten at most, for which a relay answered with that id of its queue: of one notice, or for 0 of the
// newest. No index has the replies, as the workers would pay for it with each mail; they are read notice by notice until one has it.
func (db *DB) FindQueueID(ctx context.Context, id string, noticeID int64) (noticeIDs []int64, seqs []int, err error) {
	if !queueID.MatchString(id) {
		return nil, nil, nil
	}
	rows, _ := db.pool.Query(ctx, `
		SELECT n.id, f.seq
		FROM (SELECT id FROM notice WHERE released_at IS NOT NULL AND rows_dropped_at IS NULL AND $2::bigint IN (0, id)
			ORDER BY released_at DESC, id DESC LIMIT $4) n
		CROSS JOIN LATERAL (
			SELECT u.seq FROM (SELECT seqs, replies FROM answer WHERE notice_id = n.id AND strpos(array_to_string(replies, ' '), $1) > 0 OFFSET 0) a,
				unnest(a.seqs, a.replies) AS u(seq, reply) WHERE u.reply ~ $3
			UNION ALL SELECT seq FROM outcome WHERE notice_id = n.id AND strpos(reply, $1) > 0 AND reply ~ $3) f
		LIMIT 10`, id, noticeID, `(^|[^A-Za-z0-9])`+regexp.QuoteMeta(id)+`($|[^A-Za-z0-9])`, queueIDNotices)
	var found int64
	var seq int
	_, err = pgx.ForEachRow(rows, []any{&found, &seq}, func() error {
		noticeIDs, seqs = append(noticeIDs, found), append(seqs, seq)
		return nil
	})
	return noticeIDs, seqs, wrap(err, "look for the id of a relay's queue")
}

// Timeline returns the events of a delivery, the oldest first. Of attempts that were not the last, the ledger keeps the
// number alone.
func (db *DB) Timeline(ctx context.Context, noticeID int64, seq int) ([]notice.Event, error) {
	rows, _ := db.pool.Query(ctx, `
		WITH o AS (SELECT * FROM outcome WHERE notice_id = $1 AND seq = $2), n AS (SELECT * FROM notice WHERE id = $1)
		SELECT released_at AS at, 'released', released_by, 0, '', '', 0, -1 FROM n WHERE released_at IS NOT NULL
		UNION ALL SELECT began_at, 'began', '', 0, '', '', 0, -1 FROM n WHERE began_at IS NOT NULL
		UNION ALL SELECT coalesce(sent_at, at), '', relay, code, enhanced, coalesce(nullif(reply, ''), bounce, reason), tries, state FROM o
		UNION ALL SELECT a.added_at, 'added', a.added_by, 0, '', '', 0, -1 FROM n JOIN added a ON a.plan_id = n.plan_id AND a.seq = $2
		UNION ALL SELECT owed_at, 'requeued', '', 0, '', '', 0, -1 FROM o WHERE owed_at IS NOT NULL
			AND NOT EXISTS (SELECT FROM n JOIN added a ON a.plan_id = n.plan_id AND a.seq = $2 WHERE a.added_at > o.owed_at)
		UNION ALL SELECT due_at, 'due', '', 0, '', '', 0, -1 FROM o WHERE due_at IS NOT NULL AND state IN (0, 3)
		UNION ALL SELECT delivered_at, 'delivered', coalesce(delivered_by, ''), 0, '', '', 0, -1 FROM o WHERE delivered_at IS NOT NULL
		UNION ALL SELECT a.at, 'accepted', a.relay, a.code, a.enhanced, u.reply, 0, -1 FROM answer a, unnest(a.seqs, a.replies) AS u(seq, reply)
			WHERE a.notice_id = $1 AND a.chunk_id = (SELECT id FROM chunk WHERE notice_id = $1 AND lo <= $2 ORDER BY lo DESC LIMIT 1)
				AND $2 = ANY (a.seqs) AND u.seq = $2
		UNION ALL SELECT at, kind, remote, code, status, diagnostic, 0, -1 FROM bounce WHERE notice_id = $1 AND seq = $2
		ORDER BY at`, noticeID, seq)
	all, err := pgx.AppendRows([]notice.Event{}, rows, func(row pgx.CollectableRow) (e notice.Event, err error) {
		var state notice.DeliveryState
		err = row.Scan(&e.At, &e.Kind, &e.By, &e.SMTPCode, &e.Enhanced, &e.Text, &e.Attempts, &state)
		if e.At = e.At.UTC(); e.Kind == "" {
			e.Kind = state.String()
		}
		return e, err
	})
	return all, wrap(err, "read what happened to a delivery")
}
