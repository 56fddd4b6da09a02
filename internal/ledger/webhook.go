package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// How long the ledger keeps a receiver that no server names any more, and messages that are done with.
const (
	webhookForgotten = 24 * time.Hour
	webhookKept      = 30 * 24 * time.Hour
)

// KeepWebhooks says which receivers a server has in its settings: from now on they are told. Those that none has had for a day are
// forgotten with their messages, and so are old messages. It is to be called every minute or so.
func (db *DB) KeepWebhooks(ctx context.Context, all []notice.Webhook) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		for _, w := range all {
			_, err := tx.Exec(ctx, `
				INSERT INTO webhook (name, events) VALUES ($1, $2)
				ON CONFLICT (name) DO UPDATE SET events = excluded.events, seen_at = clock_timestamp()`, w.Name, w.Events)
			if err != nil {
				return err
			}
		}
		gone, err := collect[string](ctx, tx, `DELETE FROM webhook WHERE seen_at < clock_timestamp() - $1::interval RETURNING name`, webhookForgotten)
		if err != nil {
			return err
		}
		for _, name := range gone {
			if err := recordOther(ctx, tx, leaver, "forget webhook", name+", which no settings have had for a day"); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `DELETE FROM webhook_message WHERE due_at IS NULL AND at < clock_timestamp() - $1::interval`, webhookKept)
		return err
	})
	return wrap(err, "keep the webhooks")
}

const messageColumns = `id, webhook, event_id::text, event, at, data, tries, status, fault, delivered_at, given_up_at`

func scanMessage(row pgx.CollectableRow) (m notice.WebhookMessage, err error) {
	err = row.Scan(&m.Number, &m.Webhook, &m.ID, &m.Event, &m.At, &m.Data, &m.Tries, &m.Status, &m.Fault, &m.DeliveredAt, &m.GivenUpAt)
	m.At, m.DeliveredAt, m.GivenUpAt = m.At.UTC(), inUTC(m.DeliveredAt), inUTC(m.GivenUpAt)
	return m, err
}

// TakeWebhook takes the oldest message that is due for a receiver, for as long as the lease: nobody else takes it meanwhile. ok is
// false where none is due.
func (db *DB) TakeWebhook(ctx context.Context, name string, lease time.Duration) (m notice.WebhookMessage, ok bool, err error) {
	rows, _ := db.pool.Query(ctx, `
		UPDATE webhook_message SET tries = tries + 1, due_at = clock_timestamp() + $2::interval
		WHERE id = (SELECT id FROM webhook_message WHERE webhook = $1 AND due_at <= clock_timestamp() ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING `+messageColumns, name, lease)
	m, err = pgx.CollectExactlyOneRow(rows, scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, false, nil
	}
	return m, err == nil, wrap(err, "take a message for webhook %s", name)
}

// SettleWebhook records the outcome of a try. One that failed is due again after wait. It is given up where it has
// been tried for longer than patience, or the receiver wants no more of it; the log says so.
func (db *DB) SettleWebhook(ctx context.Context, m notice.WebhookMessage, a notice.WebhookAnswer, wait, patience time.Duration) (givenUp bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			UPDATE webhook_message SET status = $2, fault = $3,
				delivered_at = CASE WHEN $3 = '' THEN clock_timestamp() END,
				given_up_at = CASE WHEN $3 <> '' AND ($4 OR since < clock_timestamp() - $6::interval) THEN clock_timestamp() END,
				due_at = CASE WHEN $3 <> '' AND NOT ($4 OR since < clock_timestamp() - $6::interval) THEN clock_timestamp() + $5::interval END
			WHERE id = $1 AND due_at IS NOT NULL RETURNING given_up_at IS NOT NULL`, m.Number, a.Status, a.Fault, a.Gone, wait, patience).Scan(&givenUp)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // another server has settled it
		}
		if err == nil && givenUp {
			err = recordOther(ctx, tx, leaver, "give up webhook", fmt.Sprintf("%s: %s %s after %d tries: %s", m.Webhook, m.Event, m.ID, m.Tries, a.Fault))
		}
		return err
	})
	return givenUp && err == nil, wrap(err, "settle message %d of webhook %s", m.Number, m.Webhook)
}

// Webhooks returns the receivers by name, with how each stands.
func (db *DB) Webhooks(ctx context.Context) ([]notice.Webhook, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT w.name, w.events, w.seen_at, count(m.due_at), min(m.at) FILTER (WHERE m.due_at IS NOT NULL), count(m.given_up_at), max(m.delivered_at),
			coalesce((SELECT fault FROM webhook_message WHERE webhook = w.name AND delivered_at IS NULL AND fault <> '' ORDER BY id DESC LIMIT 1), '')
		FROM webhook w LEFT JOIN webhook_message m ON m.webhook = w.name GROUP BY w.name ORDER BY w.name`)
	all, err := pgx.AppendRows([]notice.Webhook{}, rows, func(row pgx.CollectableRow) (w notice.Webhook, err error) {
		err = row.Scan(&w.Name, &w.Events, &w.SeenAt, &w.Waiting, &w.OldestAt, &w.GivenUp, &w.DeliveredAt, &w.Fault)
		w.SeenAt, w.OldestAt, w.DeliveredAt = w.SeenAt.UTC(), inUTC(w.OldestAt), inUTC(w.DeliveredAt)
		return w, err
	})
	return all, wrap(err, "list the webhooks")
}

// TestWebhook writes a test message for a receiver.
func (db *DB) TestWebhook(ctx context.Context, name, who string) (m notice.WebhookMessage, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			INSERT INTO webhook_message (webhook, event_id, event, data) SELECT name, gen_random_uuid(), 'test', '{}' FROM webhook WHERE name = $1
			RETURNING `+messageColumns, name)
		if m, err = pgx.CollectExactlyOneRow(rows, scanMessage); errors.Is(err, pgx.ErrNoRows) {
			return unknownWebhook(ctx, tx, name)
		} else if err != nil {
			return fmt.Errorf("write a test message for webhook %s: %w", name, err)
		}
		return recordOther(ctx, tx, who, "test webhook", name)
	})
	return m, err
}

// WebhookMessage returns a message of a receiver.
func (db *DB) WebhookMessage(ctx context.Context, name string, number int64) (notice.WebhookMessage, error) {
	rows, _ := db.pool.Query(ctx, `SELECT `+messageColumns+` FROM webhook_message WHERE webhook = $1 AND id = $2`, name, number)
	m, err := pgx.CollectExactlyOneRow(rows, scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, notice.NotFound("webhook %q has no message %d", name, number)
	}
	return m, wrap(err, "read message %d of webhook %s", number, name)
}

// RetryWebhook has all messages of a receiver be tried at once, those that were given up too, and returns how many those are.
func (db *DB) RetryWebhook(ctx context.Context, name, who string) (n int, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE webhook_message SET since = clock_timestamp(), due_at = least(due_at, clock_timestamp()), given_up_at = NULL
			WHERE webhook = $1 AND delivered_at IS NULL`, name)
		if err != nil {
			return fmt.Errorf("retry webhook %s: %w", name, err)
		}
		if n = int(tag.RowsAffected()); n == 0 {
			var there bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM webhook WHERE name = $1)`, name).Scan(&there); err != nil || there {
				return err
			}
			return unknownWebhook(ctx, tx, name)
		}
		return recordOther(ctx, tx, who, "retry webhook", fmt.Sprintf("%s, %d messages", name, n))
	})
	return n, err
}

// unknownWebhook is the error about a receiver that the ledger does not know.
func unknownWebhook(ctx context.Context, q querier, name string) error {
	names, err := collect[string](ctx, q, `SELECT name FROM webhook ORDER BY name`)
	if err != nil {
		return err
	}
	return notice.NotFound("there is no webhook %q; the settings of serve have: %s", name, strings.Join(names, ", "))
}
