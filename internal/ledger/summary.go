package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// outcomesSQL counts the deliveries of the notices $1 by language, state and reason. It does not read the answers
// to sent mails, because there may be 200,000: only whether the first attempt succeeded. Each row's partners are look-ups, as
// in reportSQL.
const outcomesSQL = `
	SELECT r.text, d.state,
		CASE WHEN d.state <> 2 THEN d.reason WHEN o.tries > 0 THEN $2 ELSE '' END AS reason,
		CASE WHEN d.state IN (3, 4, 5, 8) THEN coalesce(o.relay, '') ELSE '' END AS relay,
		CASE WHEN d.state IN (3, 4, 5, 8) THEN coalesce(o.code, 0) ELSE 0 END AS code,
		CASE WHEN d.state IN (3, 4, 5, 8) THEN coalesce(o.enhanced, '') ELSE '' END AS enhanced,
		coalesce(min(o.reply) FILTER (WHERE d.state IN (3, 4, 5, 8)), ''), count(*)
	FROM notice n
	CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id OFFSET 0) c
	CROSS JOIN LATERAL (SELECT seq, state, reason FROM delivery WHERE chunk_id = c.id OFFSET 0) d
	LEFT JOIN LATERAL (SELECT tries, relay, code, enhanced, reply FROM outcome WHERE notice_id = n.id AND seq = d.seq OFFSET 0) o ON true
	CROSS JOIN LATERAL (SELECT text FROM recipient WHERE plan_id = n.plan_id AND seq = d.seq OFFSET 0) r
	WHERE n.id = ANY ($1)
	GROUP BY 1, 2, 3, 4, 5, 6
	ORDER BY count(*) DESC, 1, 2, 3, 4, 5, 6`

// Report returns the report on a notice, by its key or number.
func (db *DB) Report(ctx context.Context, ref string) (notice.Report, error) {
	id, err := db.Find(ctx, ref)
	if err != nil {
		return notice.Report{}, err
	}
	return db.report(ctx, `WHERE n.id = $1`, id)
}

// IncidentReport returns the report on all notices of the incident with that key.
func (db *DB) IncidentReport(ctx context.Context, incident string) (notice.Report, error) {
	r, err := db.report(ctx, `WHERE i.key = $1 ORDER BY n.id`, incident)
	if err == nil && len(r.Notices) == 0 {
		return r, notice.NotFound("there is no notice of an incident %q", incident)
	}
	return r, err
}

// report reads notices and their deliveries in one snapshot.
func (db *DB) report(ctx context.Context, which string, arg any) (r notice.Report, err error) {
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, statusSQL+which, arg)
		notices, err := pgx.CollectRows(rows, scanStatus)
		if err != nil {
			return err
		}
		if len(notices) == 1 {
			if notices[0].Together, err = together(ctx, tx, notices[0]); err != nil {
				return err
			}
		}
		r = notice.NewReport(notices)
		if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&r.AsOf); err != nil {
			return err
		}
		r.AsOf = r.AsOf.UTC()
		var ids []int64
		for _, st := range notices {
			ids = append(ids, st.Number)
		}
		if len(notices) > 0 {
			by, all, err := missed(ctx, tx, notices[0].Number, notices[0].Kind)
			if err != nil {
				return err
			}
			r.ReachedByNeither = all
			for i := range r.Notices {
				neither := by[r.Notices[i].Number]
				r.Notices[i].ReachedByNeither = &neither
			}
		}
		rows, _ = tx.Query(ctx, outcomesSQL, ids, notice.ReasonRetried)
		var language string
		var o notice.Outcomes
		_, err = pgx.ForEachRow(rows, []any{&language, &o.State, &o.Reason, &o.Relay, &o.SMTPCode, &o.Enhanced, &o.SMTPText, &o.Count}, func() error {
			r.Add(language, o)
			return nil
		})
		if err != nil {
			return err
		}
		return bouncesByDomain(ctx, tx, ids, &r.Bounces)
	})
	return r, wrap(err, "read a report")
}
