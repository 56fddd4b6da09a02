package ledger

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/notice"
)

// Standing is how the whole ledger stands, cheaply enough to be asked every few seconds.
type Standing struct {
	Notices    map[notice.State]int // those that are released and not finished, by state
	Deliveries notice.Counts        // of unfinished notices, and of those that began within a day
	OldestOwed time.Duration        // how long a sending notice has owed the oldest of its deliveries; 0: none is owed
	Overdue    time.Duration        // how long the chunk that has been due for longest waits for a worker; 0: none does
	Braked     int                  // notices that are held since a relay refuses everybody
	AtCanary   int                  // notices that are held after their canary
	Awaiting   int                  // releases that wait for another person to approve them
	Fenced     bool                 // the ledger came from a backup, and releases are held
	Failovers  int                  // promotions of standbys that needed no hand
	Standbys   int                  // how many standbys have every commit, so that a failover to them needs no hand
	// Refusing is how many domains were warned of within a day, since too many mails of a notice came back, refused by policy.
	Refusing int
	// Due is how many mails could leave now: those of due and leased chunks, in notices that are sending or begin within soon.
	Due int
	// Untold is, by the name of a webhook, for how many seconds the oldest message waits that its receiver was not told.
	Untold map[string]float64
}

// soon is how long before a notice begins its mails count as due: a worker needs that time to start.
const soon = 2 * time.Minute

// Standing asks the counts of chunks, which for a leased one are those of before its lease. It looks in the first open
// chunks of each notice for the delivery that is owed for longest: those of a notice become owed together, but for those that an
// operator requeued.
func (db *DB) Standing(ctx context.Context) (s Standing, err error) {
	var counts []int
	err = db.pool.QueryRow(ctx, named(`
		WITH recent AS (
			SELECT id, state, trial, greatest(released_at, send_at) AS owed_at FROM notice
			WHERE state <> 'draft' AND (state NOT IN ('sent', 'cancelled')
				OR greatest(released_at, send_at) > clock_timestamp() - interval '1 day'))
		SELECT
			coalesce((SELECT jsonb_object_agg(state, n) FROM (
				SELECT state, count(*) n FROM recent WHERE state NOT IN ('sent', 'cancelled') GROUP BY state) s), '{}'),
			(SELECT `+sumOfCounts+`
				FROM chunk JOIN recent n ON n.id = notice_id),
			coalesce((SELECT clock_timestamp() - min(coalesce(d.owed_at, n.owed_at)) FROM recent n
				CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id AND open AND NOT `+waitsSQL("chunk", "n")+` ORDER BY lo LIMIT 4) c
				CROSS JOIN LATERAL (SELECT owed_at, state FROM delivery WHERE chunk_id = c.id OFFSET 0) d
				WHERE n.state = 'sending' AND d.state IN ({queued}, {sending}, {deferred})), interval '0'),
			coalesce((SELECT clock_timestamp() - min(coalesce(c.lease_until, c.due_at)) FROM chunk c JOIN recent n ON n.id = c.notice_id
				WHERE c.open AND n.state = 'sending' AND c.due_at <= clock_timestamp() AND NOT `+waitsSQL("c", "n")+`
					AND (c.lease_until IS NULL OR c.lease_until < clock_timestamp())), interval '0'),
			(SELECT count(*) FROM notice WHERE `+brakedSQL+`), (SELECT count(*) FROM notice WHERE `+atCanarySQL+`), (SELECT count(*) FROM notice n WHERE `+awaitingSQL+`),
			coalesce((SELECT up FROM fence), false), coalesce((SELECT failovers FROM fence), 0), coalesce((SELECT cardinality(standbys) FROM fence), 0),
			(SELECT count(*) FROM bounce_count WHERE warned_at > clock_timestamp() - interval '1 day'),
			coalesce((SELECT sum(counts[1] + counts[2] + counts[4]) FROM chunk c JOIN notice n ON n.id = c.notice_id
				WHERE c.open AND NOT `+waitsSQL("c", "n")+` AND (c.lease_until IS NOT NULL OR c.due_at <= clock_timestamp() + $1::interval)
					AND (n.state = 'sending' OR n.state = 'scheduled' AND n.send_at <= clock_timestamp() + $1::interval)), 0),
			(SELECT jsonb_object_agg(name, extract(epoch FROM coalesce(clock_timestamp() - (
				SELECT min(at) FROM webhook_message WHERE webhook = name AND due_at IS NOT NULL), interval '0'))) FROM webhook)`), soon).
		Scan(&s.Notices, &counts, &s.OldestOwed, &s.Overdue, &s.Braked, &s.AtCanary, &s.Awaiting, &s.Fenced, &s.Failovers, &s.Standbys, &s.Refusing, &s.Due, &s.Untold)
	if err != nil {
		return s, fmt.Errorf("ask how the ledger stands: %w", err)
	}
	copy(s.Deliveries[:], counts)
	return s, nil
}
