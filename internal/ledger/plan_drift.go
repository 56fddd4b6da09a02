package ledger

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Drift counts how the mails that would go now differ from a plan of a draft, which was shown and does not stand any
// more. It plans anew, and keeps nothing. It returns nil where the rows of that plan are not known, or not any more.
func (db *DB) Drift(ctx context.Context, id int64, a Audience, digest string) (d *notice.Drift, err error) {
	sum, err := hex.DecodeString(digest)
	if err != nil {
		return nil, notice.Invalid("plan", "is no digest of a plan")
	}
	err = db.writing(ctx, a, func(tx, read pgx.Tx, now int64) error {
		var shown int64
		err := tx.QueryRow(ctx, `SELECT id FROM plan WHERE notice_id = $1 AND digest = $2 AND state <> 'taken' ORDER BY id DESC LIMIT 1`, id, sum).Scan(&shown)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for the plan that was shown: %w", err)
		}
		amended, err := findAmended(ctx, tx, a)
		if err != nil {
			return err
		}
		if _, err := startPlan(ctx, tx, id, a, amended, now); err != nil {
			return err
		}
		s := survey{audience: a, amended: amended, rows: &frozenRows{tx: tx, plan: now}}
		if _, err := s.run(ctx, read); err != nil {
			return err
		}
		// Not collected while it is read, nor in part before.
		var whole bool
		err = tx.QueryRow(ctx, inPlan(shown, `SELECT recipients = (SELECT count(*) FROM recipient WHERE plan_id = {plan}) FROM plan p WHERE id = {plan} AND NOT rows_gone FOR KEY SHARE`)).Scan(&whole)
		if errors.Is(err, pgx.ErrNoRows) {
			return errDryRun
		}
		if err == nil && whole {
			d, err = driftBetween(ctx, tx, shown, now)
		}
		if err != nil {
			return fmt.Errorf("compare with the plan that was shown: %w", err)
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return d, err
}

// driftBetween compares two plans of a notice, customer by customer.
func driftBetween(ctx context.Context, tx pgx.Tx, shown, now int64) (*notice.Drift, error) {
	d := notice.Drift{Examples: map[string][]string{}}
	// Customers that were erased can't be named.
	if err := tx.QueryRow(ctx, inPlan(shown, `SELECT coalesce(sum(erased), 0) FROM recipient WHERE plan_id = {plan}`)).Scan(&d.Lost); err != nil {
		return nil, err
	}
	rows, _ := tx.Query(ctx, inPlan(shown, strings.ReplaceAll(`
		WITH row AS (SELECT r.plan_id, c->>'id' AS id, r.address_key, r.text FROM recipient r, jsonb_array_elements(r.customers) c
			WHERE r.plan_id IN ({plan}, {now}) AND r.role <> '`+roleAdded+`'),
		changed AS (
			SELECT coalesce(s.id, n.id) AS id, CASE WHEN s.id IS NULL THEN 'added' WHEN n.id IS NULL THEN 'lost'
				WHEN s.address_key IS DISTINCT FROM n.address_key THEN 'other_address' WHEN s.text <> n.text THEN 'other_language' END AS how
			FROM (SELECT * FROM row WHERE plan_id = {plan}) s FULL JOIN (SELECT * FROM row WHERE plan_id = {now}) n ON n.id = s.id)
		SELECT how, count(*), (array_agg(id ORDER BY id))[1:$1] FROM changed WHERE how IS NOT NULL GROUP BY how`, "{now}", strconv.FormatInt(now, 10))), notice.DriftExamples)
	var how string
	var n int
	var ids []string
	_, err := pgx.ForEachRow(rows, []any{&how, &n, &ids}, func() error {
		*map[string]*int{"added": &d.Added, "lost": &d.Lost, "other_address": &d.Address, "other_language": &d.Language}[how] += n
		d.Examples[how] = ids
		return nil
	})
	return &d, err
}
