package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// keeper keeps the recipients of a plan.
type keeper interface {
	add(r *recipient)
	// batch returns a function that writes all recipients added since the last batch; more may be added meanwhile.
	batch() (write func(ctx context.Context) error)
}

// forgetful keeps nothing: the counts are all that is wanted.
type forgetful struct{}

func (forgetful) add(*recipient) {}

func (forgetful) batch() func(context.Context) error {
	return func(context.Context) error { return nil }
}

// frozenRows keeps the recipients of a plan, and where each customer stands. A row that was added stands for nobody: copyAdded has those.
type frozenRows struct {
	tx            pgx.Tx
	plan          int64
	rows, members copied
	sieve         sieve
}

func (f *frozenRows) add(r *recipient) {
	f.rows.begin(14)
	f.rows.int64(f.plan)
	f.rows.int32(r.seq)
	if r.reason == "" || r.reason == notice.ReasonSuppressionList {
		f.rows.text(r.mailbox)
		f.sieve.add(mailboxKey(r.mailbox))
	} else {
		f.rows.null() // no usable mailbox
	}
	for _, column := range [...]string{r.Address, r.role, r.reason, r.text, r.Language, r.TimeZone} {
		f.rows.text(column)
	}
	f.rows.jsonb(r.frozen)
	for _, number := range [...]int{r.mail, r.correction} {
		if number > 0 {
			f.rows.int16(number)
		} else {
			f.rows.null()
		}
	}
	f.rows.bool(r.Newcomer)
	f.rows.bool(r.owedOld)
	if r.role == roleAdded {
		return
	}
	for i := range r.Customers {
		f.members.begin(3)
		f.members.text(r.Customers[i].ID)
		f.members.int64(f.plan)
		f.members.int32(r.seq)
		f.sieve.add(customerKey(r.Customers[i].ID))
	}
}

func (f *frozenRows) batch() func(context.Context) error {
	rows, members := f.rows.cut(), f.members.cut()
	return func(ctx context.Context) error {
		err := rows.into(ctx, f.tx, "recipient (plan_id, seq, address_key, address, role, reason, text, language, time_zone, customers, mail, correction, newcomer, owed_old)")
		if err == nil {
			err = members.into(ctx, f.tx, "member (customer_id, plan_id, seq)")
		}
		if err != nil {
			return fmt.Errorf("freeze the recipients of plan %d: %w", f.plan, err)
		}
		return nil
	}
}

// mailboxes keeps in a temporary table which mailboxes would be mailed.
type mailboxes struct {
	tx   pgx.Tx
	rows copied
}

// toBeMailed are the mailboxes that were kept there.
const toBeMailed = `SELECT mailbox FROM looked`

// frozenIn are the mailboxes that a plan has mailed.
func frozenIn(plan int64) string {
	return fmt.Sprintf(`SELECT address_key AS mailbox FROM recipient WHERE plan_id = %d AND reason = ''`, plan)
}

func newMailboxes(ctx context.Context, tx pgx.Tx) (*mailboxes, error) {
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE looked (mailbox text COLLATE "C") ON COMMIT DROP`); err != nil {
		return nil, fmt.Errorf("make the table of mailboxes: %w", err)
	}
	return &mailboxes{tx: tx}, nil
}

func (m *mailboxes) add(r *recipient) {
	if r.reason == "" {
		m.rows.begin(1)
		m.rows.text(r.mailbox)
	}
}

func (m *mailboxes) batch() func(context.Context) error {
	rows := m.rows.cut()
	return func(ctx context.Context) error {
		if err := rows.into(ctx, m.tx, "looked (mailbox)"); err != nil {
			return fmt.Errorf("keep the mailboxes: %w", err)
		}
		return nil
	}
}
