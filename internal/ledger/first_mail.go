package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// reachedSQL selects the deliveries of a notice ($1, with the plan {plan}) to the mailboxes $2 that got a mail, or may have got one.
// It looks up the mailboxes together, and then each chunk once: a look at each delivery would cost more than the rest of a
// claim. Chunks have 256 rows (ChunkSize) at most.
var reachedSQL = named(`
	WITH r AS MATERIALIZED (SELECT seq, address_key FROM recipient WHERE plan_id = {plan} AND address_key = ANY($2))
	SELECT r.seq, r.address_key
	FROM (SELECT k.part, c.lo, c.hi, c.sent | coalesce(o.reached, c.sent) | (c.dots & ~coalesce(o.settled, c.dots & ~c.dots)) AS bits
		FROM (SELECT DISTINCT seq / 256 AS part FROM r) k
		CROSS JOIN LATERAL (SELECT * FROM chunk WHERE notice_id = $1 AND lo > (k.part - 1) * 256 AND lo < (k.part + 1) * 256 OFFSET 0) c
		CROSS JOIN LATERAL (
			SELECT bit_or(set_bit(c.dots & ~c.dots, seq - c.lo, 1)) FILTER (WHERE state IN ({sent}, {uncertain}, {bounced})) AS reached,
				bit_or(set_bit(c.dots & ~c.dots, seq - c.lo, 1)) FILTER (WHERE epoch >= c.epoch OR state NOT IN ({queued}, {deferred})) AS settled
			FROM outcome WHERE notice_id = $1 AND seq >= c.lo AND seq < c.hi OFFSET 0) o OFFSET 0) c
	JOIN r ON r.seq / 256 = c.part AND r.seq >= c.lo AND r.seq < c.hi
	WHERE get_bit(c.bits, r.seq - c.lo) = 1`)

// MostReferred is how many earlier mails a mail refers to at most: the first, and those that were released last.
const MostReferred = 10

// earlier is a notice of an incident that was released before another one.
type earlier struct {
	ID, Plan      int64
	Token, Domain string
}

// refer sets the threads of mails: the incident's earlier mails that their mailboxes got, or may have got. places maps the mailboxes to their mails in all.
func (p claimed) refer(ctx context.Context, tx pgx.Tx, noticeID int64, all []Due, places map[string]int) error {
	if len(places) == 0 {
		return nil
	}
	rows, _ := tx.Query(ctx, `
		SELECT o.id, o.plan_id, o.message_token, o.message_domain FROM notice o JOIN notice me ON me.id = $1
		WHERE o.incident_id = $2 AND (o.released_at, o.id) < (me.released_at, me.id) AND o.plan_id IS NOT NULL AND o.rows_dropped_at IS NULL ORDER BY o.released_at, o.id`,
		noticeID, p.incident)
	notices, err := pgx.CollectRows(rows, pgx.RowToStructByPos[earlier])
	if err != nil {
		return fmt.Errorf("look for the incident's earlier notices: %w", err)
	}
	last := max(0, len(notices)-(MostReferred-1))
	without := maps.Clone(places) // mailboxes that got nothing yet
	for _, e := range notices[:last] {
		if err := referTo(ctx, tx, []earlier{e}, all, without); err != nil {
			return err
		}
		maps.DeleteFunc(without, func(_ string, place int) bool { return len(all[place].Thread) > 0 })
		if len(without) == 0 {
			break
		}
	}
	return referTo(ctx, tx, notices[last:], all, places)
}

// referTo adds the mails of notices to the threads of mails to the same mailboxes, in one round trip.
func referTo(ctx context.Context, tx pgx.Tx, notices []earlier, all []Due, places map[string]int) error {
	if len(notices) == 0 {
		return nil
	}
	var batch pgx.Batch
	mailboxes := slices.Collect(maps.Keys(places))
	for _, e := range notices {
		n := Notice{MessageToken: e.Token, MessageDomain: e.Domain}
		batch.Queue(inPlan(e.Plan, reachedSQL), e.ID, mailboxes).Query(func(rows pgx.Rows) error {
			var seq int
			var mailbox string
			_, err := pgx.ForEachRow(rows, []any{&seq, &mailbox}, func() error {
				due := &all[places[mailbox]]
				due.Thread = append(due.Thread, n.MessageID(seq))
				return nil
			})
			return err
		})
	}
	return wrap(tx.SendBatch(ctx, &batch).Close(), "look for the incident's earlier mails")
}
