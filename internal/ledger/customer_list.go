package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Customers returns a page of the customers by id, or of those that the page asks for; empty, never nil, where there is
// none.
func (db *DB) Customers(ctx context.Context, p notice.CustomerPage) ([]notice.Customer, error) {
	if !storable(p.After) || !storable(p.Text) {
		return []notice.Customer{}, nil
	}
	rows, _ := db.pool.Query(ctx, `
		SELECT id, name, email, alternate_email, language, time_zone, attributes FROM customer
		WHERE id > $1
			AND ($2 = '' OR strpos(lower(concat_ws(E'\n', id, name, email, alternate_email)), lower($2)) > 0
				OR EXISTS (SELECT FROM jsonb_each_text(attributes) a WHERE strpos(lower(a.value), lower($2)) > 0))
			AND ($3 = '' OR email_key = $3 OR alternate_email_key = $3)
		ORDER BY id LIMIT $4`, p.After, p.Text, p.AddressKey, p.Limit)
	all, err := pgx.AppendRows([]notice.Customer{}, rows, pgx.RowToStructByPos[notice.Customer])
	return all, wrap(err, "list customers")
}
