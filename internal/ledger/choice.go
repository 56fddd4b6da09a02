package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Choice says which customers are on an audience. The zero Choice is all of them.
type Choice struct {
	Filter    notice.Filter
	Customers []string               // of these alone, by external id; nil: of all
	Notice    int64                  // of those who stood on that notice's rows, whatever became of the rows; 0: of all
	States    []notice.DeliveryState // of the notice's rows: those in one of these states alone; nil: all
	New       *Choice                // besides those, the customers that this chooses who stood on no row of it; nil: nobody
}

// layOutStood fills "stood", which the conditions of c read, with the customers on the notices that it goes back to. A
// table with a key keeps the conditions fast: no plan was good for 200,000 ids out of jsonb.
func layOutStood(ctx context.Context, tx pgx.Tx, c Choice) error {
	if c.Notice == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE stood (
			notice_id bigint, customer_id text COLLATE "C", chosen boolean, PRIMARY KEY (notice_id, customer_id)
		) ON COMMIT DROP`)
	if err != nil {
		return fmt.Errorf("make the table of who stood on an earlier notice: %w", err)
	}
	for at := &c; at != nil && at.Notice != 0; at = at.New {
		plan, err := planOf(ctx, tx, at.Notice)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, inPlan(plan, `
			INSERT INTO stood SELECT s.notice_id, s.customer_id, bool_or(s.chosen) FROM (
				SELECT $1::bigint AS notice_id, c->>'id' AS customer_id, `+stoodSQL("$1", "$2")+` AS chosen
				FROM recipient r, jsonb_array_elements(r.customers) c WHERE r.plan_id = {plan} AND r.role <> 'added') s
			WHERE s.chosen OR $3 GROUP BY 1, 2 ON CONFLICT DO NOTHING`), at.Notice, at.States, at.New != nil)
		if err != nil {
			return fmt.Errorf("read who stood on notice %d: %w", at.Notice, err)
		}
	}
	return nil
}

// stoodSQL is the condition that "recipient r" has a row of a notice in one of some states, or in any where these are NULL. The
// parameters that hold the two are named.
func stoodSQL(id, states string) string {
	return `(` + states + `::smallint[] IS NULL OR r.seq IN (
		SELECT d.seq FROM (SELECT id FROM chunk WHERE notice_id = ` + id + ` OFFSET 0) k
		CROSS JOIN LATERAL (SELECT seq, state FROM delivery WHERE chunk_id = k.id OFFSET 0) d WHERE d.state = ANY(` + states + `)))`
}

// sql is the choice as a condition over "customer c", true or false, never NULL.
func (c Choice) sql(args *[]any) (string, error) {
	source, err := c.source(args)
	if err != nil {
		return "", err
	}
	filter, err := filterSQL(c.Filter, args)
	return "(" + source + " AND " + filter + ")", err
}

// source is the condition without the filter.
func (c Choice) source(args *[]any) (string, error) {
	switch {
	case c.Customers != nil:
		return "c.id = ANY(" + bind(args, c.Customers) + "::text[])", nil
	case c.Notice != 0:
		stood := "EXISTS (SELECT FROM stood s WHERE s.notice_id = " + bind(args, c.Notice) + " AND s.customer_id = c.id"
		if c.New == nil {
			return stood + " AND s.chosen)", nil
		}
		also, err := c.New.sql(args)
		return "(" + stood + " AND s.chosen) OR NOT " + stood + ") AND " + also + ")", err
	}
	return "true", nil
}

// excluded counts the customers that a choice leaves out, by reason; chosen are the others.
func (c Choice) excluded(ctx context.Context, tx pgx.Tx, chosen int) (map[string]int, error) {
	counts := map[string]int{}
	if c.Customers == nil && c.Notice == 0 && c.Filter.Op == notice.FilterAll {
		return counts, nil
	}
	var args []any
	source, err := c.source(&args)
	if err != nil {
		return nil, err
	}
	var all, within int
	err = tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE `+source+`) FROM customer c`, args...).Scan(&all, &within)
	if err != nil {
		return nil, fmt.Errorf("count whom the audience leaves out: %w", err)
	}
	if all > within {
		counts[c.sourceExcludes()] = all - within
	}
	if within > chosen {
		counts[notice.ExcludedByFilter] = within - chosen
	}
	return counts, nil
}

// Outside says why a customer is not on an audience: one of the Excluded constants, or notice.UnknownCustomer.
func (db *DB) Outside(ctx context.Context, c Choice, id string) (why string, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if err := layOutStood(ctx, tx, c); err != nil {
			return err
		}
		var args []any
		source, err := c.source(&args)
		if err != nil {
			return err
		}
		var within bool
		err = tx.QueryRow(ctx, `SELECT `+source+` FROM customer c WHERE c.id = `+bind(&args, id), args...).Scan(&within)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			why = notice.UnknownCustomer
		case err != nil:
			return fmt.Errorf("look for a customer outside the audience: %w", err)
		case within:
			why = notice.ExcludedByFilter
		default:
			why = c.sourceExcludes()
		}
		return nil
	})
	return why, err
}

// sourceExcludes names the reason for which the source of a choice leaves customers out.
func (c Choice) sourceExcludes() string {
	if c.Notice != 0 {
		return notice.ExcludedByNotice
	}
	return notice.ExcludedByList
}

// UnknownCustomers looks for ids that no customer has: it returns the place in ids of the first, -1 for none, and how
// many there are.
func (db *DB) UnknownCustomers(ctx context.Context, ids []string) (first, n int, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT coalesce(min(i), 0) - 1, count(*) FROM unnest($1::text[]) WITH ORDINALITY AS l(id, i)
		WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = l.id)`, ids).Scan(&first, &n)
	return first, n, wrap(err, "look for unknown customers")
}

// Listed returns the list of customers that a draft goes to, or a notice that has not begun, by id; never nil. It leaves
// out customers that were erased since the draft was made.
func (db *DB) Listed(ctx context.Context, id int64) ([]string, error) {
	rows, _ := db.pool.Query(ctx, `SELECT customer_id FROM listed WHERE notice_id = $1 ORDER BY customer_id`, id)
	ids, err := pgx.AppendRows([]string{}, rows, pgx.RowTo[string])
	return ids, wrap(err, "read the list of notice %d", id)
}

// keepList makes these the customers that a draft is listed for, in the place of all earlier ones. Erasures are delayed
// where there are any: one that runs meanwhile must not leave an id behind.
func keepList(ctx context.Context, tx pgx.Tx, id int64, ids []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM listed WHERE notice_id = $1`, id); err != nil {
		return fmt.Errorf("forget the list of notice %d: %w", id, err)
	}
	if len(ids) == 0 {
		return nil
	}
	return exec(ctx, tx, fmt.Sprintf("keep the list of notice %d", id), `
		INSERT INTO listed SELECT $1, c.id FROM customer c WHERE c.id = ANY($2::text[]) ON CONFLICT DO NOTHING`, id, ids)
}
