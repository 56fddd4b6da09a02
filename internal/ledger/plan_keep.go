package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// keeper keeps the recipients of a plan, a batch after the other.
type keeper interface {
	keep(ctx context.Context, batch []recipient) error
}

// forgetful keeps nothing: the counts are all that is wanted.
type forgetful struct{}

func (forgetful) keep(context.Context, []recipient) error { return nil }

// frozenRows keeps the recipients of a plan, and where each customer stands.
type frozenRows struct {
	tx   pgx.Tx
	plan int64
}

func (f frozenRows) keep(ctx context.Context, batch []recipient) error {
	recipients := pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) {
		r := &batch[i]
		var key any // none: no usable mailbox
		if r.reason == "" || r.reason == notice.ReasonSuppressionList {
			key = r.mailbox
		}
		return []any{f.plan, r.seq, key, r.Address, r.role, r.reason, r.text, r.Language, r.TimeZone, r.frozen}, nil
	})
	_, err := f.tx.CopyFrom(ctx, pgx.Identifier{"recipient"},
		[]string{"plan_id", "seq", "address_key", "address", "role", "reason", "text", "language", "time_zone", "customers"}, recipients)
	if err != nil {
		return fmt.Errorf("freeze the recipients of plan %d: %w", f.plan, err)
	}
	var members [][]any
	for i := range batch {
		for _, id := range batch[i].ids {
			members = append(members, []any{id, f.plan, batch[i].seq})
		}
	}
	_, err = f.tx.CopyFrom(ctx, pgx.Identifier{"member"}, []string{"customer_id", "plan_id", "seq"}, pgx.CopyFromRows(members))
	if err != nil {
		return fmt.Errorf("freeze the customers of plan %d: %w", f.plan, err)
	}
	return nil
}

// mailboxes keeps in a temporary table which mailboxes would be mailed.
type mailboxes struct{ tx pgx.Tx }

// toBeMailed are the mailboxes that were kept there.
const toBeMailed = `SELECT mailbox FROM looked`

// frozenIn are the mailboxes that a plan has mailed.
func frozenIn(plan int64) string {
	return fmt.Sprintf(`SELECT address_key AS mailbox FROM recipient WHERE plan_id = %d AND reason = ''`, plan)
}

func newMailboxes(ctx context.Context, tx pgx.Tx) (mailboxes, error) {
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE looked (mailbox text COLLATE "C") ON COMMIT DROP`); err != nil {
		return mailboxes{}, fmt.Errorf("make the table of mailboxes: %w", err)
	}
	return mailboxes{tx}, nil
}

func (m mailboxes) keep(ctx context.Context, batch []recipient) error {
	var rows [][]any
	for i := range batch {
		if batch[i].reason == "" {
			rows = append(rows, []any{batch[i].mailbox})
		}
	}
	if _, err := m.tx.CopyFrom(ctx, pgx.Identifier{"looked"}, []string{"mailbox"}, pgx.CopyFromRows(rows)); err != nil {
		return fmt.Errorf("keep the mailboxes: %w", err)
	}
	return nil
}
