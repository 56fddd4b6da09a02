package ledger

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// tidyPage is how many customers are brought up to date at once.
const tidyPage = 1000

// TidyCustomers brings customers that were kept by an earlier version to today's form, which tidy gives them; ids stay.
// It returns how many it changed. One that is changed meanwhile is left, as that was done by today's rules.
func (db *DB) TidyCustomers(ctx context.Context, tidy func(notice.StoredCustomer) notice.StoredCustomer) (changed int, err error) {
	for after, more := "", true; more; {
		err := db.inTx(ctx, func(tx pgx.Tx) error {
			page, err := storedCustomers(ctx, tx, after)
			if err != nil {
				return err
			}
			if more = len(page) == tidyPage; more {
				after = page[len(page)-1].ID
			}
			for _, c := range page {
				want := tidy(c)
				if sameStored(c, want) {
					continue
				}
				_, err := tx.Exec(ctx, `
					UPDATE customer SET name = $2, attributes = $3, email = $4, email_key = $5, email_fault = $6,
						alternate_email = $7, alternate_email_key = $8, alternate_email_fault = $9, updated_at = clock_timestamp()
					WHERE id = $1`, c.ID, want.Name, want.Attributes, want.Email, want.EmailKey, want.EmailFault,
					want.AlternateEmail, want.AlternateEmailKey, want.AlternateEmailFault)
				if err != nil {
					return err
				}
				changed++
			}
			return nil
		})
		if err != nil {
			return changed, fmt.Errorf("bring customers up to date: %w", err)
		}
	}
	return changed, nil
}

func storedCustomers(ctx context.Context, tx pgx.Tx, after string) ([]notice.StoredCustomer, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id, name, email, email_key, email_fault, alternate_email, alternate_email_key, alternate_email_fault, attributes
		FROM customer WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE`, after, tidyPage)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c notice.StoredCustomer, err error) {
		err = row.Scan(&c.ID, &c.Name, &c.Email, &c.EmailKey, &c.EmailFault,
			&c.AlternateEmail, &c.AlternateEmailKey, &c.AlternateEmailFault, &c.Attributes)
		return c, err
	})
}

func sameStored(a, b notice.StoredCustomer) bool {
	return a.Name == b.Name && a.Email == b.Email && a.EmailKey == b.EmailKey && a.EmailFault == b.EmailFault &&
		a.AlternateEmail == b.AlternateEmail && a.AlternateEmailKey == b.AlternateEmailKey &&
		a.AlternateEmailFault == b.AlternateEmailFault && maps.Equal(a.Attributes, b.Attributes)
}

// CustomerFaults lists values that earlier versions kept and today's rules refuse, most of each kind at most. They are
// addresses, ids with a fault by judge, and notices' keys that differ by case alone.
func (db *DB) CustomerFaults(ctx context.Context, most int, judge func(id string) string) ([]notice.CustomerFault, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT id, field, fault FROM customer CROSS JOIN LATERAL (
			VALUES ('email', email_fault), ('alternate_email', alternate_email_fault)) AS f(field, fault)
		WHERE (email_fault <> '' OR alternate_email_fault <> '') AND fault <> '' ORDER BY id, field DESC LIMIT $1`, most)
	faults, err := pgx.AppendRows([]notice.CustomerFault{}, rows, pgx.RowToStructByPos[notice.CustomerFault])
	if err != nil {
		return nil, fmt.Errorf("list the addresses that are refused: %w", err)
	}
	rows, _ = db.pool.Query(ctx, `SELECT id FROM customer ORDER BY id`)
	var id string
	found := 0
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		if reason := judge(id); reason != "" && found < most {
			faults = append(faults, notice.CustomerFault{Subject: id, Field: "id", Reason: reason})
			found++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the ids that are refused: %w", err)
	}
	rows, _ = db.pool.Query(ctx, `
		SELECT max(key), 'key', 'differs by case alone from notice ' || min(key) FROM notice GROUP BY lower(key) HAVING count(*) > 1 ORDER BY 1 LIMIT $1`, most)
	faults, err = pgx.AppendRows(faults, rows, pgx.RowToStructByPos[notice.CustomerFault])
	if err != nil {
		return nil, fmt.Errorf("list the keys that differ by case: %w", err)
	}
	return faults, nil
}
