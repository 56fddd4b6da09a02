package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// statusSQL reads notices and their counts in one statement, so in one snapshot: while workers go on,
// the counts add up. A chunk's own counts are exact while it has no lease; a leased one is counted anew (there are few:
// one per task under way). Where the rows were dropped, their counts were kept.
var statusSQL = `
	SELECT n.id, n.key, i.key, i.kind, n.body->>'phase', coalesce(n.body->>'reminder_of', ''), n.state, n.reason, n.customers, n.recipients,
		n.recipients - coalesce((SELECT recipients FROM plan WHERE id = n.plan_id), n.recipients), n.by_language, n.suppressed, n.newcomers, n.fallback, n.later_choice,
		n.created_at, n.created_by, n.send_at, n.expires_at, n.held_until, n.released_at, n.released_by,
		least(k.first, n.kept_first_sent_at), greatest(k.last, n.kept_last_sent_at), n.rows_dropped_at, coalesce(n.kept_counts, k.counts), n.only_to,
		coalesce((SELECT key FROM notice WHERE id = n.amends), ''), coalesce((SELECT key FROM notice WHERE amends = n.id), ''),
		CASE WHEN ` + awaitingSQL + ` THEN n.asked END,
		n.approved_by, n.override, n.canary, n.trial,
		CASE WHEN n.canary > 0 AND n.plan_id IS NOT NULL THEN (SELECT ` + sumOfCounts + ` FROM chunk WHERE notice_id = n.id AND canary) END,` + bouncesColumns + `
	FROM notice n
	JOIN incident i ON i.id = n.incident_id
	CROSS JOIN LATERAL (SELECT ` + sumOfCounts + ` AS counts, min(first_sent_at) AS first, max(last_sent_at) AS last FROM (
		SELECT counts, first_sent_at, last_sent_at FROM chunk WHERE notice_id = n.id AND lease_until IS NULL
		UNION ALL SELECT counts, first_sent_at, last_sent_at FROM (` + leasedSQL + `) l) c) k `

// awaitingSQL is the condition that the release of a "notice n" waits for approval: the plan that was shown still stands.
const awaitingSQL = `n.state = 'draft' AND n.asked IS NOT NULL
			AND EXISTS (SELECT FROM plan WHERE notice_id = n.id AND state = 'frozen' AND encode(digest, 'hex') = n.asked->>'plan')`

// sumOfCounts sums the counts of chunks by state.
const sumOfCounts = `
	ARRAY[coalesce(sum(counts[1]), 0), coalesce(sum(counts[2]), 0), coalesce(sum(counts[3]), 0), coalesce(sum(counts[4]), 0), coalesce(sum(counts[5]), 0),
		coalesce(sum(counts[6]), 0), coalesce(sum(counts[7]), 0), coalesce(sum(counts[8]), 0), coalesce(sum(counts[9]), 0)]::int[]`

// Status returns where a notice stands, by its key or number.
func (db *DB) Status(ctx context.Context, ref string) (s notice.Status, err error) {
	id, err := db.Find(ctx, ref)
	if err != nil {
		return s, err
	}
	rows, _ := db.pool.Query(ctx, statusSQL+`WHERE n.id = $1`, id)
	s, err = pgx.CollectExactlyOneRow(rows, scanStatus)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, notice.NotFound("there is no notice %q", ref)
	}
	if err != nil {
		return s, fmt.Errorf("read the status of notice %d: %w", id, err)
	}
	if s.Together, err = together(ctx, db.pool, s); err != nil {
		return s, err
	}
	if s.State.Finished() {
		s.ReachedByNeither, err = db.missedSoon(ctx, id, s.Kind)
		return s, err
	}
	now, err := db.Senders(ctx)
	if s.Disagree = now.Disagree; len(now.OnlyTo) > 0 {
		s.OnlyTo = now.OnlyTo
	}
	return s, err
}

// together sums up a notice, those that it amends, and those that amend it; nil where there is none.
func together(ctx context.Context, q querier, s notice.Status) (*notice.Together, error) {
	if s.Amends == "" && s.AmendedBy == "" {
		return nil, nil
	}
	ids, err := collect[int64](ctx, q, `
		WITH RECURSIVE chain AS (
			SELECT id, amends FROM notice WHERE id = $1 UNION SELECT n.id, n.amends FROM chain c JOIN notice n ON n.id = c.amends OR n.amends = c.id)
		SELECT id FROM chain ORDER BY id`, s.Number)
	var corrections int
	var all []notice.Status
	if err == nil {
		rows, _ := q.Query(ctx, statusSQL+`WHERE n.id = ANY($1) ORDER BY n.id`, ids)
		all, err = pgx.CollectRows(rows, scanStatus)
	}
	if err == nil {
		err = q.QueryRow(ctx, `SELECT coalesce(sum(bit_count(corrects & ~stopped)), 0) FROM chunk WHERE notice_id = $1`, ids[len(ids)-1]).Scan(&corrections)
	}
	return notice.SumUp(all, corrections), wrap(err, "sum up the amendments of notice %d", s.Number)
}

// Notices returns a page of notices by number, the newest first.
func (db *DB) Notices(ctx context.Context, p notice.Page) ([]notice.Status, error) {
	rows, _ := db.pool.Query(ctx, statusSQL+`
		WHERE ($1 = 0 OR n.id < $1) AND ($2 = '' OR i.key = $2) AND (NOT $4 OR n.state IN ('scheduled', 'sending', 'paused', 'held'))
		ORDER BY n.id DESC LIMIT $3`, p.Before, p.Incident, p.Limit, p.Unfinished)
	all, err := pgx.CollectRows(rows, scanStatus)
	return all, wrap(err, "list the notices")
}

func scanStatus(row pgx.CollectableRow) (s notice.Status, err error) {
	var counts, tried []int
	var canary notice.Canary
	var back map[string]int
	var warned []string
	err = row.Scan(&s.Number, &s.Key, &s.Incident, &s.Kind, &s.Phase, &s.ReminderOf, &s.State, &s.Reason, &s.Customers, &s.Recipients, &s.Added,
		&s.ByLanguage, &s.Suppressed, &s.Newcomers, &s.Fallback, &s.LaterChoice, &s.CreatedAt, &s.CreatedBy, &s.SendAt, &s.ExpiresAt, &s.HeldUntil, &s.ReleasedAt, &s.ReleasedBy,
		&s.FirstSentAt, &s.LastSentAt, &s.RowsDroppedAt, &counts, (*[]string)(&s.OnlyTo), &s.Amends, &s.AmendedBy,
		&s.AwaitingApproval, &s.ApprovedBy, &s.Override, &canary.Mailboxes, &canary.Waits, &tried, &back, &warned)
	if err != nil {
		return s, err
	}
	s.HeldUntil = endOf(s.HeldUntil)
	s.Counts = notice.Counts(counts).ByName()
	if canary.Mailboxes > 0 {
		var sum notice.Counts
		copy(sum[:], tried)
		canary.Counts, s.Canary = sum.ByName(), &canary
	}
	s.Bounces = notice.NewBounces(back, warned, s.Counts)
	s.RatePerS = rate(s)
	return s, nil
}

// rate is mails accepted per second from the first to the last; 0 where that time is too short to be measured.
func rate(s notice.Status) float64 {
	if s.FirstSentAt == nil || s.LastSentAt == nil {
		return 0
	}
	sent := s.Counts[notice.DeliverySent.String()] + s.Counts[notice.DeliveryBounced.String()]
	span := s.LastSentAt.Sub(*s.FirstSentAt)
	if sent < 2 || span < notice.Measurable {
		return 0
	}
	return math.Round(10*float64(sent-1)/span.Seconds()) / 10 // the first began the time
}
