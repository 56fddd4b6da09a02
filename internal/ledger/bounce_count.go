package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// countReturn counts a mail that came back with a class, or a complaint, under the domain of its mailbox. It is the last statement of
// its transaction, so that those that wait for the domain's row wait for no other lock.
func countReturn(ctx context.Context, tx pgx.Tx, noticeID int64, key, class string) error {
	return exec(ctx, tx, "count a report", `
		INSERT INTO bounce_count AS b (notice_id, domain, class, mails) VALUES ($1, $2, $3, 1)
		ON CONFLICT (notice_id, domain, class) DO UPDATE SET mails = b.mails + 1`, noticeID, domainOf(key), class)
}

// domainOf returns the domain of an address key; "" for that of an erased mailbox.
func domainOf(key string) string {
	if i := strings.LastIndexByte(key, '@'); i >= 0 {
		return key[i+1:]
	}
	return ""
}

// A domain is warned of once policyMin mails came back from it, refused by policy, and more than one of policyPart that left to it.
const (
	policyMin  = 3
	policyPart = 20
)

// warnOfPolicy has the log of a notice say, once for each domain, that too many of its mails there came back, refused by policy: it is
// the sender, its DNS or the content that is wrong. To count the mails that left reads all of the plan. So it is done when the answer
// can be another one, or a quarter more came back. It is no transaction: attempts under way must not wait for it.
func (db *DB) warnOfPolicy(ctx context.Context, noticeID int64, domain string) (warned bool, err error) {
	defer func() { err = wrap(err, "look at what a domain refuses by policy") }()
	var back int
	err = db.pool.QueryRow(ctx, `
		UPDATE bounce_count SET look_at = mails + greatest(mails / 4, 1)
		WHERE notice_id = $1 AND domain = $2 AND domain <> '' AND class = 'policy' AND mails >= greatest(look_at, $3) AND warned_at IS NULL
		RETURNING mails`, noticeID, domain, policyMin).Scan(&back)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	to, err := mailsTo(ctx, db.pool, []int64{noticeID}, []string{domain})
	if err != nil {
		return false, err
	}
	if m := to[domain]; back*policyPart <= m.left {
		// So many are needed at least. With the last bound it is noticed in any case once all have left.
		next := min(max(m.left/policyPart+1, back+back/4), m.all/policyPart+1)
		_, err = db.pool.Exec(ctx, `UPDATE bounce_count SET look_at = $3 WHERE notice_id = $1 AND domain = $2 AND class = 'policy'`, noticeID, domain, next)
		return false, err
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE bounce_count SET warned_at = clock_timestamp() WHERE notice_id = $1 AND domain = $2 AND class = 'policy' AND warned_at IS NULL`, noticeID, domain)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		warned = true
		return recordAct(ctx, tx, noticeID, notice.System, "warn", fmt.Sprintf("%d of %d mails to %s came back, refused by policy", back, to[domain].left, domain))
	})
	return warned && err == nil, err
}

// mails are how many of a notice go to a domain, and how many of these left.
type mails struct{ all, left int }

// mailsTo counts the mails of notices to some domains.
func mailsTo(ctx context.Context, q querier, noticeIDs []int64, domains []string) (map[string]mails, error) {
	rows, _ := q.Query(ctx, named(`
		SELECT r.domain, count(*), count(*) FILTER (WHERE get_bit(c.sent, r.seq - c.lo) = 1 OR r.seq = ANY (o.gone))
		FROM chunk c
		CROSS JOIN LATERAL (SELECT ARRAY(SELECT seq FROM outcome
			WHERE notice_id = c.notice_id AND seq >= c.lo AND seq < c.hi AND state IN ({sent}, {uncertain}, {bounced})) AS gone) o
		CROSS JOIN LATERAL (SELECT seq, split_part(address_key, '@', -1) AS domain FROM recipients_in(c.plan_id, c.lo, c.hi)
			WHERE reason = '' AND split_part(address_key, '@', -1) = ANY ($2) OFFSET 0) r
		WHERE c.notice_id = ANY ($1) GROUP BY 1`), noticeIDs, domains)
	all := map[string]mails{}
	var domain string
	var m mails
	_, err := pgx.ForEachRow(rows, []any{&domain, &m.all, &m.left}, func() error {
		all[domain] = m
		return nil
	})
	return all, err
}

// bouncesByDomain adds to a report how much came back from each domain: from those from which most did, and how many more there are.
func bouncesByDomain(ctx context.Context, tx pgx.Tx, noticeIDs []int64, b *notice.Bounces) error {
	rows, _ := tx.Query(ctx, `
		SELECT domain, class, sum(mails)::int FROM bounce_count WHERE notice_id = ANY ($1) AND mails > 0 GROUP BY 1, 2`, noticeIDs)
	classes := map[string]map[string]int{}
	var domain, class string
	var n int
	_, err := pgx.ForEachRow(rows, []any{&domain, &class, &n}, func() error {
		if classes[domain] == nil {
			classes[domain] = map[string]int{}
		}
		classes[domain][class] = n
		return nil
	})
	if err != nil || len(classes) == 0 {
		return err
	}
	listed := b.ListDomains(classes)
	to, err := mailsTo(ctx, tx, noticeIDs, listed)
	for i, d := range b.ByDomain {
		b.ByDomain[i].Mails = to[d.Domain].left
	}
	return err
}

// hideDomain counts the returned mails of a delivery that is being erased under no domain.
func hideDomain(ctx context.Context, tx pgx.Tx, noticeID int64, seq int, key string) error {
	domain := domainOf(key)
	if domain == "" {
		return nil
	}
	return exec(ctx, tx, "count reports under no domain", `
		WITH moved AS (SELECT CASE WHEN complains THEN 'complaint' ELSE class END AS class, count(*)::int AS mails FROM bounce
			WHERE notice_id = $1 AND seq = $2 AND (changed OR complains) GROUP BY 1),
		less AS (UPDATE bounce_count b SET mails = b.mails - m.mails FROM moved m WHERE b.notice_id = $1 AND b.domain = $3 AND b.class = m.class AND b.mails > m.mails),
		gone AS (DELETE FROM bounce_count b USING moved m WHERE b.notice_id = $1 AND b.domain = $3 AND b.class = m.class AND b.mails <= m.mails)
		INSERT INTO bounce_count AS b (notice_id, domain, class, mails) SELECT $1, '', class, mails FROM moved
		ON CONFLICT (notice_id, domain, class) DO UPDATE SET mails = b.mails + excluded.mails`, noticeID, seq, domain)
}

// hideDomains is hideDomain for all of a notice.
func hideDomains(ctx context.Context, tx pgx.Tx, noticeID int64) error {
	return exec(ctx, tx, "count reports under no domain", `
		WITH gone AS (DELETE FROM bounce_count WHERE notice_id = $1 AND domain <> '' RETURNING class, mails)
		INSERT INTO bounce_count AS b (notice_id, domain, class, mails) SELECT $1, '', class, sum(mails) FROM gone GROUP BY class
		ON CONFLICT (notice_id, domain, class) DO UPDATE SET mails = b.mails + excluded.mails`, noticeID)
}

// bouncesColumns are how many mails of notice n came back, by class, and the domains that were warned of.
const bouncesColumns = `
	coalesce((SELECT jsonb_object_agg(b.class, b.mails) FROM (SELECT class, sum(mails) AS mails FROM bounce_count WHERE notice_id = n.id GROUP BY class) b), '{}'),
	ARRAY(SELECT domain FROM bounce_count WHERE notice_id = n.id AND warned_at IS NOT NULL ORDER BY domain)`
