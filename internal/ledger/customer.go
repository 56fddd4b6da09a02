package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Customer returns the customer with that external id; a notice.Error of class not_found where there is none.
func (db *DB) Customer(ctx context.Context, id string) (c notice.Customer, err error) {
	if !storable(id) {
		return c, noCustomer()
	}
	err = db.pool.QueryRow(ctx, `
		SELECT id, name, email, alternate_email, language, time_zone, attributes FROM customer WHERE id = $1`, id).
		Scan(&c.ID, &c.Name, &c.Email, &c.AlternateEmail, &c.Language, &c.TimeZone, &c.Attributes)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, noCustomer()
	}
	if err != nil {
		return c, fmt.Errorf("read a customer: %w", err)
	}
	return c, nil
}

// PutCustomer keeps a customer, in the place of the one with the same id if there is one, and reports whether it
// is new. An attribute with an empty value is absent: it is not kept.
func (db *DB) PutCustomer(ctx context.Context, row notice.CustomerRow) (created bool, err error) {
	c := row.Customer
	if column, reason := unfit(c); reason != "" {
		return false, notice.Invalid(column, "%s", reason)
	}
	err = db.pool.QueryRow(ctx, `
		INSERT INTO customer AS c (id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, email_key = excluded.email_key,
			alternate_email = excluded.alternate_email, alternate_email_key = excluded.alternate_email_key,
			language = excluded.language, time_zone = excluded.time_zone, attributes = excluded.attributes,
			updated_at = clock_timestamp()
		RETURNING xmax = 0`, // a row that was there has been locked by this transaction before it was updated
		c.ID, c.Name, c.Email, row.EmailKey, c.AlternateEmail, row.AlternateEmailKey, c.Language, c.TimeZone, present(c.Attributes)).
		Scan(&created)
	if err != nil {
		return false, fmt.Errorf("keep a customer: %w", err)
	}
	return created, nil
}

// AttributeNames returns the name of every attribute that some customer has, sorted bytewise. It reads all customers.
func (db *DB) AttributeNames(ctx context.Context) ([]string, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT name FROM (SELECT DISTINCT jsonb_object_keys(attributes) AS name FROM customer) k ORDER BY name COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("list the attributes: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the attributes: %w", err)
	}
	return names, nil
}

// noCustomer does not repeat the id: whoever asked knows it, and an id may be a name.
func noCustomer() error { return notice.NotFound("there is no such customer") }

// present returns the attributes that have a value; never nil, because the column holds an object.
func present(attributes map[string]string) map[string]string {
	kept := make(map[string]string, len(attributes))
	for name, value := range attributes {
		if value != "" {
			kept[name] = value
		}
	}
	return kept
}

// storable reports whether Postgres can hold s as text: what it can't hold stands nowhere in the ledger.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// maxID keeps an id well below the third of a page, 2,704 bytes, that an index entry can take.
const maxID = 1000

// unfit says which column can't be kept as it is, and why; reason is "" for a customer that can. One such row
// would otherwise fail the statement that it shares with all others of a file.
func unfit(c notice.Customer) (column, reason string) {
	if c.ID == "" {
		return "id", "is empty"
	}
	if len(c.ID) > maxID {
		return "id", fmt.Sprintf("is longer than %d bytes", maxID)
	}
	for _, f := range [...]struct{ column, value string }{
		{"id", c.ID}, {"name", c.Name}, {"email", c.Email}, {"alternate_email", c.AlternateEmail},
		{"language", c.Language}, {"time_zone", c.TimeZone},
	} {
		if !storable(f.value) {
			return f.column, "is not UTF-8, or holds a zero byte"
		}
	}
	for name, value := range c.Attributes {
		if !storable(name) || !storable(value) {
			return strings.ToValidUTF8(name, "\uFFFD"), "is not UTF-8, or holds a zero byte"
		}
	}
	return "", ""
}
