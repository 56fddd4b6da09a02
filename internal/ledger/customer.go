package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	return readCustomer(ctx, db.pool, id, "")
}

// readCustomer reads a customer and locks the row as lock says.
func readCustomer(ctx context.Context, q querier, id, lock string) (c notice.Customer, err error) {
	err = q.QueryRow(ctx, `
		SELECT id, name, email, alternate_email, language, time_zone, attributes FROM customer WHERE id = $1 `+lock, id).
		Scan(&c.ID, &c.Name, &c.Email, &c.AlternateEmail, &c.Language, &c.TimeZone, &c.Attributes)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, noCustomer()
	}
	return c, wrap(err, "read a customer")
}

// PutCustomer keeps a customer, in the place of the one with the same id if there is one, and reports whether it
// is new. An attribute with an empty value is absent: it is not kept. It returns the customer as kept: attributes have
// the spelling that their names had first.
func (db *DB) PutCustomer(ctx context.Context, row notice.CustomerRow) (kept notice.Customer, created bool, err error) {
	if column, reason := unfit(row.Customer); reason != "" {
		return kept, false, notice.Invalid(column, "%s", reason)
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if row.Customer.Attributes, err = spelled(ctx, tx, row.Customer.Attributes); err != nil {
			return err
		}
		if created, err = upsert(ctx, tx, row); err != nil {
			return err
		}
		if created {
			return recordPress(ctx, tx, "add customer", "")
		}
		return recordPress(ctx, tx, "change customer", "")
	})
	return row.Customer, created, wrap(err, "keep a customer")
}

func upsert(ctx context.Context, tx pgx.Tx, row notice.CustomerRow) (created bool, err error) {
	c := row.Customer
	err = tx.QueryRow(ctx, `
		INSERT INTO customer AS c (id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, email_key = excluded.email_key, email_fault = '',
			alternate_email = excluded.alternate_email, alternate_email_key = excluded.alternate_email_key, alternate_email_fault = '',
			language = excluded.language, time_zone = excluded.time_zone, attributes = excluded.attributes,
			updated_at = clock_timestamp()
		RETURNING xmax = 0`, // a row that was there has been locked by this transaction before it was updated
		c.ID, c.Name, c.Email, row.EmailKey, c.AlternateEmail, row.AlternateEmailKey, c.Language, c.TimeZone, c.Attributes).
		Scan(&created)
	return created, err
}

// PatchCustomer changes the fields that the row gives of the customer with its id, and returns the customer as kept. It
// returns a notice.Error of class not_found where there is none.
func (db *DB) PatchCustomer(ctx context.Context, row notice.CustomerRow) (kept notice.Customer, err error) {
	if column, reason := unfit(row.Customer); reason != "" {
		return kept, notice.Invalid(column, "%s", reason)
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if kept, err = patch(ctx, tx, row); err != nil {
			return err
		}
		return recordPress(ctx, tx, "change customer", "")
	})
	return kept, wrap(err, "change a customer")
}

func patch(ctx context.Context, tx pgx.Tx, row notice.CustomerRow) (notice.Customer, error) {
	c, err := readCustomer(ctx, tx, row.Customer.ID, "FOR UPDATE")
	if err != nil {
		return c, err
	}
	if row.Given&notice.GivenAttributes != 0 {
		c.Attributes = map[string]string{}
	}
	given, err := spelled(ctx, tx, row.Customer.Attributes)
	if err != nil {
		return c, err
	}
	maps.Copy(c.Attributes, given)
	for name, value := range row.Customer.Attributes {
		if value == "" {
			maps.DeleteFunc(c.Attributes, func(have, _ string) bool { return strings.EqualFold(have, name) })
		}
	}
	for _, f := range []struct {
		field notice.Fields
		to    *string
		value string
	}{
		{notice.GivenName, &c.Name, row.Customer.Name}, {notice.GivenEmail, &c.Email, row.Customer.Email},
		{notice.GivenAlternateEmail, &c.AlternateEmail, row.Customer.AlternateEmail},
		{notice.GivenLanguage, &c.Language, row.Customer.Language}, {notice.GivenTimeZone, &c.TimeZone, row.Customer.TimeZone},
	} {
		if row.Given&f.field != 0 {
			*f.to = f.value
		}
	}
	_, err = tx.Exec(ctx, `
		UPDATE customer SET name = $2, language = $3, time_zone = $4, attributes = $5, updated_at = clock_timestamp(),
			email = $6, email_key = CASE WHEN $7 THEN $8 ELSE email_key END, email_fault = CASE WHEN $7 THEN '' ELSE email_fault END,
			alternate_email = $9, alternate_email_key = CASE WHEN $10 THEN $11 ELSE alternate_email_key END,
			alternate_email_fault = CASE WHEN $10 THEN '' ELSE alternate_email_fault END
		WHERE id = $1`, c.ID, c.Name, c.Language, c.TimeZone, c.Attributes,
		c.Email, row.Given&notice.GivenEmail != 0, row.EmailKey,
		c.AlternateEmail, row.Given&notice.GivenAlternateEmail != 0, row.AlternateEmailKey)
	return c, err
}

// spelled returns the attributes that have a value, with the spelling that their names had first; never nil, because the
// column holds an object.
func spelled(ctx context.Context, tx pgx.Tx, attributes map[string]string) (map[string]string, error) {
	names := map[string]string{}
	for name, value := range attributes {
		if value != "" {
			names[strings.ToLower(name)] = name
		}
	}
	first, err := spellings(ctx, tx, names)
	if err != nil {
		return nil, err
	}
	kept := make(map[string]string, len(names))
	for folded, name := range names {
		kept[first[folded]] = attributes[name]
	}
	return kept, nil
}

// spellings returns the first spelling of attributes' names, by lower case; for those that come now for the first time
// that is this one.
func spellings(ctx context.Context, tx pgx.Tx, names map[string]string) (map[string]string, error) {
	first := map[string]string{}
	if len(names) == 0 {
		return first, nil
	}
	var folded, spelled []string
	for _, f := range slices.Sorted(maps.Keys(names)) {
		folded, spelled = append(folded, f), append(spelled, names[f])
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO attribute_name SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING`, folded, spelled)
	if err != nil {
		return nil, fmt.Errorf("keep the names of attributes: %w", err)
	}
	rows, _ := tx.Query(ctx, `SELECT folded, name FROM attribute_name WHERE folded = ANY($1::text[])`, folded)
	var f, name string
	_, err = pgx.ForEachRow(rows, []any{&f, &name}, func() error {
		first[f] = name
		return nil
	})
	return first, wrap(err, "read the names of attributes")
}

// AttributeNames returns the name of every attribute that some customer has, sorted bytewise. It reads all customers.
func (db *DB) AttributeNames(ctx context.Context) ([]string, error) {
	names, err := collect[string](ctx, db.pool, `
		SELECT name FROM (SELECT DISTINCT jsonb_object_keys(attributes) AS name FROM customer) k ORDER BY name COLLATE "C"`)
	return names, wrap(err, "list the attributes")
}

// Anybody reports whether a filter holds for any customer.
func (db *DB) Anybody(ctx context.Context, f notice.Filter) (found bool, err error) {
	var args []any
	where, err := filterSQL(f, &args)
	if err != nil {
		return false, err
	}
	if err := db.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM customer c WHERE `+where+`)`, args...).Scan(&found); err != nil {
		return false, fmt.Errorf("look for a customer: %w", err)
	}
	return found, nil
}

// UnknownDomain looks for a domain at which no customer has an address, neither the first nor the alternate: it returns
// one, "" for none, and the closest domain that some customer has.
func (db *DB) UnknownDomain(ctx context.Context, domains []string) (missing, closest string, err error) {
	const known = `SELECT substring(email_key from '[^@]*$') AS d FROM customer UNION SELECT substring(alternate_email_key from '[^@]*$') FROM customer`
	err = db.pool.QueryRow(ctx, `SELECT coalesce(min(d), '') FROM unnest($1::text[]) d WHERE d NOT IN (`+known+`)`, domains).Scan(&missing)
	if err != nil {
		return "", "", fmt.Errorf("look for an unknown domain: %w", err)
	}
	if missing == "" {
		return "", "", nil
	}
	all, err := collect[string](ctx, db.pool, `SELECT d FROM (`+known+`) k WHERE d <> '' LIMIT 10000`)
	if err != nil {
		return missing, "", fmt.Errorf("list the domains of customers: %w", err)
	}
	return missing, notice.Closest(missing, all), nil
}

// noCustomer does not repeat the id: the caller knows it, and an id may be a name.
func noCustomer() error { return notice.NotFound("there is no such customer") }

// storable reports whether Postgres can hold s as text: a text that it can't hold stands nowhere in the ledger.
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
