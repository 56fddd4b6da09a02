package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// outcomesSQL counts the deliveries of the notices $1 by language, state and reason: $2 is that of mails which were sent later than at the
// first attempt. It does as the view "delivery" does, but a chunk at a time: the deliveries of a chunk that ended alike are bits, and so are its
// recipients in a language. Of a delivery nothing is read but its recipient, and its outcome where it has one.
var outcomesSQL = named(`
	SELECT l.text, x.state, x.reason, x.relay, x.code, x.enhanced, min(x.reply), sum(bit_count(x.bits & l.bits))::int
	FROM notice n
	CROSS JOIN LATERAL (SELECT lo, hi, epoch, dots, sent, stopped, (dots & ~dots)::varbit AS z FROM chunk WHERE notice_id = n.id OFFSET 0) c
	CROSS JOIN LATERAL (
		WITH o AS MATERIALIZED (
			SELECT s.state, CASE s.state WHEN {sending} THEN '' WHEN {sent} THEN CASE WHEN o.tries > 0 THEN $2 ELSE '' END ELSE coalesce(o.bounce, o.reason) END AS reason,
				CASE WHEN s.answered THEN o.relay ELSE '' END AS relay, CASE WHEN s.answered THEN o.code ELSE 0 END AS code,
				CASE WHEN s.answered THEN o.enhanced ELSE '' END AS enhanced,
				coalesce(min(o.reply) FILTER (WHERE s.answered), '') AS reply, bit_or(set_bit(c.z, o.seq - c.lo, 1))::varbit AS bits
			FROM outcome o
			CROSS JOIN LATERAL (SELECT CASE WHEN o.state = {bounced} THEN {bounced} WHEN get_bit(c.sent, o.seq - c.lo) = 1 THEN {sent}
				WHEN get_bit(c.dots, o.seq - c.lo) = 1 AND o.state IN ({queued}, {deferred}) AND o.epoch < c.epoch THEN {sending} ELSE o.state END AS state) e
			CROSS JOIN LATERAL (SELECT e.state, e.state IN ({deferred}, {failed}, {uncertain}, {bounced}) AS answered) s
			WHERE o.notice_id = n.id AND o.seq >= c.lo AND o.seq < c.hi GROUP BY 1, 2, 3, 4, 5
		), h AS MATERIALIZED (
			SELECT c.sent & ~have AS sent, c.dots & ~(c.sent | have) AS sending, c.stopped & ~(c.sent | c.dots | have) AS stopped,
				~(c.sent | c.dots | c.stopped | have) AS queued
			FROM (SELECT coalesce(bit_or(bits), c.z)::varbit AS have FROM o) o
		)
		SELECT state, reason, relay, code, enhanced, reply, bits FROM o
		UNION ALL SELECT v.state, '', '', 0, '', '', v.bits FROM h CROSS JOIN LATERAL (VALUES ({sent}, h.sent), ({sending}, h.sending), ({queued}, h.queued)) v(state, bits)
		UNION ALL SELECT {cancelled}, r.why, '', 0, '', '', r.bits FROM h CROSS JOIN LATERAL (` + stoppedSQL + `) r
	) x(state, reason, relay, code, enhanced, reply, bits)
	CROSS JOIN LATERAL (SELECT text, bit_or(set_bit(c.z, seq - c.lo, 1))::varbit AS bits
		FROM recipients_in(n.plan_id, c.lo, c.hi) r GROUP BY text) l
	WHERE n.id = ANY ($1)
	GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(bit_count(x.bits & l.bits)) > 0
	ORDER BY 8 DESC, 1, 2, 3, 4, 5, 6`)

// stoppedSQL says of the deliveries of a chunk that were stopped before they had an outcome why, as stop_reason does for one.
const stoppedSQL = `
	SELECT CASE WHEN r.address_key LIKE 'erased:%' THEN '` + notice.ReasonErased + `' WHEN n.state = 'cancelled' THEN n.reason
			WHEN EXISTS (SELECT FROM suppression s WHERE s.address_key IN (r.address_key, '*@' || split_part(r.address_key, '@', -1))
				AND s.scope = ANY (scopes(n.body))) THEN '` + notice.ReasonSuppressionList + `'
			ELSE '` + notice.ReasonSuperseded + `' END AS why, bit_or(set_bit(c.z, r.seq - c.lo, 1))::varbit AS bits
	FROM recipients_in(n.plan_id, c.lo, CASE WHEN bit_count(h.stopped) > 0 THEN c.hi ELSE c.lo END) r
	WHERE get_bit(h.stopped, r.seq - c.lo) = 1 GROUP BY 1`

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
