package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Share is a part of a relay's quota that a process took for itself.
type Share struct {
	Mails  int
	Bucket time.Time // that it is counted in, for GiveBackQuota
	Until  time.Time // with no mails: when there is room again
}

// quotaUse is a query of how many mails of a relay's quota were taken. It also tells when enough of them are a day old that
// one more may be.
// Mails go by a part for ten minutes, and wait for the leave to write their dot after that: so a bucket of ten minutes counts for
// 24 hours and 30 minutes from its beginning.
func quotaUse(relay, quota string) string {
	return `
		SELECT coalesce(max(upto), 0) AS taken, min(bucket) FILTER (WHERE upto > total - ` + quota + `) + interval '24 hours 30 minutes' AS frees
		FROM (
			SELECT bucket, sum(taken) OVER (ORDER BY bucket) AS upto, sum(taken) OVER () AS total FROM relay_quota
			WHERE relay = ` + relay + ` AND bucket > clock_timestamp() - interval '24 hours 30 minutes') b`
}

// TakeQuota takes as many of the mails that a relay takes in 24 hours as are wanted, or fewer where few are left: others may want
// some. All processes together never take more than the quota.
func (db *DB) TakeQuota(ctx context.Context, relay string, quota, want int) (s Share, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if err := exec(ctx, tx, "lock the quota of "+relay, `SELECT pg_advisory_xact_lock(3, hashtext($1))`, relay); err != nil {
			return err
		}
		var taken int
		var frees *time.Time
		if err := tx.QueryRow(ctx, quotaUse("$1", "$2::bigint"), relay, quota).Scan(&taken, &frees); err != nil {
			return fmt.Errorf("read the quota of %s: %w", relay, err)
		}
		left := quota - taken
		if left <= 0 {
			s.Until = *frees
			return nil
		}
		s.Mails = min(want, max(1, left/8))
		err = tx.QueryRow(ctx, `
			INSERT INTO relay_quota (relay, bucket, taken) VALUES ($1, date_bin('10 minutes', clock_timestamp(), 'epoch'), $2)
			ON CONFLICT (relay, bucket) DO UPDATE SET taken = relay_quota.taken + excluded.taken RETURNING bucket`, relay, s.Mails).Scan(&s.Bucket)
		if err != nil {
			return fmt.Errorf("take of the quota of %s: %w", relay, err)
		}
		return exec(ctx, tx, "forget old counts of "+relay, `DELETE FROM relay_quota WHERE relay = $1 AND bucket < clock_timestamp() - interval '2 days'`, relay)
	})
	return s, err
}

// GiveBackQuota gives back mails of a share that were not handed to the relay.
func (db *DB) GiveBackQuota(ctx context.Context, relay string, s Share) error {
	_, err := db.pool.Exec(ctx, `UPDATE relay_quota SET taken = taken - $3 WHERE relay = $1 AND bucket = $2`, relay, s.Bucket, s.Mails)
	return wrap(err, "give back some of the quota of %s", relay)
}

// Quotas returns how much is used of the quotas of relays that some worker had in the last day, by relay.
func (db *DB) Quotas(ctx context.Context) ([]notice.Quota, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT r.name, r.quota, q.taken, CASE WHEN q.taken >= r.quota THEN q.frees END
		FROM relay r CROSS JOIN LATERAL (`+quotaUse("r.name", "r.quota")+`) q
		WHERE r.quota IS NOT NULL AND r.seen_at > clock_timestamp() - interval '1 day' ORDER BY r.name`)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (q notice.Quota, err error) {
		err = row.Scan(&q.Relay, &q.PerDay, &q.Used, &q.Until)
		q.Until = inUTC(q.Until)
		return q, err
	})
	return all, wrap(err, "read the quotas of relays")
}
