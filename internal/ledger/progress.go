package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Progress returns how many mails of a notice relays took over time. A 250 that a later notice of the relay took back counts too. It reads the
// answers of the notice, a row for some dozens of mails.
func (db *DB) Progress(ctx context.Context, noticeID int64) (p notice.Progress, err error) {
	var first, last *time.Time
	err = db.pool.QueryRow(ctx, `SELECT min(first_sent_at), max(last_sent_at) FROM chunk WHERE notice_id = $1`, noticeID).Scan(&first, &last)
	if err != nil || first == nil || last == nil {
		return p, wrap(err, "look for the first mail of notice %d", noticeID)
	}
	p = notice.NewProgress(first.UTC(), last.UTC())
	rows, _ := db.pool.Query(ctx, `
		SELECT floor(extract(epoch FROM at - $2) / $3)::int AS span, relay, sum(cardinality(seqs))::int
		FROM answer WHERE notice_id = $1 GROUP BY 1, 2 ORDER BY 2, 1`, noticeID, p.From, p.Width.Seconds())
	var span, n int
	var relay string
	_, err = pgx.ForEachRow(rows, []any{&span, &relay, &n}, func() error {
		p.Add(span, relay, n)
		return nil
	})
	return p, wrap(err, "read the progress of notice %d", noticeID)
}

// DomainProgress returns how many mails of a notice go to each of the domains with the most, and how many of them left. It reads all of its plan.
func (db *DB) DomainProgress(ctx context.Context, noticeID int64, most int) ([]notice.DomainProgress, error) {
	rows, _ := db.pool.Query(ctx, named(`
		SELECT r.domain, count(*), count(*) FILTER (WHERE get_bit(c.sent, r.seq - c.lo) = 1 OR r.seq = ANY (o.gone))
		FROM (SELECT id, plan_id, notice_id, lo, hi, sent FROM chunk WHERE notice_id = $1 OFFSET 0) c
		CROSS JOIN LATERAL (SELECT ARRAY(SELECT seq FROM outcome
			WHERE notice_id = c.notice_id AND seq >= c.lo AND seq < c.hi AND state IN ({sent}, {uncertain}, {bounced})) AS gone) o
		CROSS JOIN LATERAL (SELECT seq, CASE WHEN address_key LIKE '%@%' THEN split_part(address_key, '@', -1) ELSE '' END AS domain
			FROM recipients_in(c.plan_id, c.lo, c.hi) WHERE reason = '' OFFSET 0) r
		GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $2`), noticeID, most)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d notice.DomainProgress, err error) {
		return d, row.Scan(&d.Domain, &d.Mails, &d.Left)
	})
	return all, wrap(err, "count the domains of notice %d", noticeID)
}
