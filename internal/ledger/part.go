package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The tables recipient and member have a part for each range of plans. A statement names its plan as a number, {plan}: it is planned for
// the one part that has its rows, locks that, and costs the same however many there are. With a parameter in its place it would be planned
// for all of them. Where the plans are found by the statement itself, functions of the schema such as recipient_at do so.

// inPlan writes the number of a plan into a statement.
func inPlan(plan int64, sql string) string {
	return strings.ReplaceAll(sql, "{plan}", strconv.FormatInt(plan, 10))
}

// planOf is the plan of a notice; 0 where it has none.
func planOf(ctx context.Context, q querier, noticeID int64) (plan int64, err error) {
	err = q.QueryRow(ctx, `SELECT coalesce(plan_id, 0) FROM notice WHERE id = $1`, noticeID).Scan(&plan)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return plan, wrap(err, "look for the plan of notice %d", noticeID)
}

const (
	partRows  = 1_000_000 // a part takes plans until it has so many recipients,
	partPlans = 1000      // or so many plans;
	ownRows   = 100_000   // and a plan of so many (Options.OwnRows) has one of its own.
)

// partLock and the first number of a part are an advisory lock: the writers of plans there share it, and a process that drops the
// part has it alone. The two below are for all processes that make parts, and for all that drop them.
const (
	partLock  = int64(0x746f637100000000)
	partsMade = partLock - 1
	partsGone = partLock - 2
)

// nextPlan returns the number of a plan, which has tables of its own if it is to be alone. Its part is there, made ahead of the transaction
// that writes the plan, so that no release and no worker waits for it: attaching a table keeps nobody from reading or writing the others.
// The session of tx keeps the part: nobody drops it until releaseLocks.
func nextPlan(ctx context.Context, tx pgx.Tx, alone bool) (plan int64, err error) {
	var lo, hi int64
	var rows int
	var shares bool
	if err := exec(ctx, tx, "lock the making of parts", `SELECT pg_advisory_xact_lock($1)`, partsMade); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `
		SELECT lo, hi, (SELECT coalesce(sum(recipients), 0) FROM plan WHERE id >= lo AND NOT rows_gone), plan_number(0)
		FROM part ORDER BY lo DESC LIMIT 1`).Scan(&lo, &hi, &rows, &plan)
	if err == nil && plan < hi && rows < partRows && !alone {
		shares, err = keepPart(ctx, tx, lo)
	}
	if err != nil {
		return 0, fmt.Errorf("look for the part of the next plan: %w", err)
	}
	from := hi
	if shares {
		from = lo
	}
	if plan < from {
		if err := tx.QueryRow(ctx, `SELECT plan_number($1)`, from).Scan(&plan); err != nil {
			return 0, err
		}
	}
	if shares {
		return plan, nil
	}
	plans := int64(partPlans)
	if alone {
		plans = 1
	}
	if err := makePart(ctx, tx, plan, plan+plans); err != nil {
		return 0, err
	}
	_, err = keepPart(ctx, tx, plan)
	return plan, err
}

// keepPart has a session keep a part, unless that goes.
func keepPart(ctx context.Context, tx pgx.Tx, lo int64) (kept bool, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_try_advisory_lock_shared($1)`, partLock+lo).Scan(&kept)
	if err == nil && kept { // a later statement: nobody lets it go from here on
		err = tx.QueryRow(ctx, `SELECT NOT going FROM part WHERE lo = $1`, lo).Scan(&kept)
	}
	return kept, wrap(err, "keep part %d", lo)
}

// partTables are those that have parts, by plan_id.
var partTables = [...]string{"recipient", "member"}

func makePart(ctx context.Context, tx pgx.Tx, lo, hi int64) error {
	return exec(ctx, tx, "make a part", `SELECT make_part($1, $2)`, lo, hi)
}

func partName(table string, lo int64) string { return table + "_" + strconv.FormatInt(lo, 10) }

// expects estimates how many recipients the plan of an audience will have.
func (db *DB) expects(ctx context.Context, a Audience) (n int, err error) {
	switch of := max(a.Amends, a.Choice.Notice); {
	case a.Choice.Customers != nil:
		return len(a.Choice.Customers), nil
	case of != 0:
		err = db.pool.QueryRow(ctx, `SELECT recipients FROM notice WHERE id = $1`, of).Scan(&n)
	default:
		var args []any
		filter, err := filterSQL(a.Choice.Filter, &args)
		if err != nil {
			return 0, err
		}
		var plans []struct {
			Plan struct {
				Rows int `json:"Plan Rows"`
			}
		}
		if err := db.pool.QueryRow(ctx, `EXPLAIN (FORMAT JSON) SELECT FROM customer c WHERE `+filter, args...).Scan(&plans); err != nil || len(plans) == 0 {
			return 0, wrap(err, "estimate an audience")
		}
		return plans[0].Plan.Rows, nil
	}
	return n, wrap(err, "estimate an audience")
}
