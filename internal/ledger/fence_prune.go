package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// prunedWorker stands for all workers that were pruned. Workers come and go, each with a number of marks of its own. Those
// that have made none for a long time are pruned. A restored ledger must be recognised all the same, though nobody may
// remember their marks but a worker that comes back, or an old mirror. So the number of each stays in mark_pruned, which is
// read by its key alone. Their sum stays in mark_number, as that of the worker "pruned", which the mirrors keep like any other.
const prunedWorker = "pruned"

// PruneMarks drops the numbers of workers that have made no mark for so long, and returns how many. There are never more.
func (db *DB) PruneMarks(ctx context.Context, idle time.Duration) (workers int, more bool, err error) {
	err = db.pool.QueryRow(ctx, `
		WITH gone AS (
			DELETE FROM mark_number WHERE changed_at < clock_timestamp() - $1::interval AND worker NOT IN ($2, $3) RETURNING worker, number
		), kept AS (
			INSERT INTO mark_pruned AS p (worker, number) SELECT worker, number FROM gone
			ON CONFLICT (worker) DO UPDATE SET number = p.number + excluded.number
		), summed AS (
			INSERT INTO mark_number AS m (worker, number) SELECT $2, sum(number) FROM gone HAVING count(*) > 0
			ON CONFLICT (worker) DO UPDATE SET number = m.number + excluded.number, changed_at = clock_timestamp()
		)
		SELECT count(*) FROM gone`, idle, prunedWorker, standbyNote).Scan(&workers)
	return workers, false, wrap(err, "prune the numbers of marks")
}

// lost returns the numbers that the ledger lacks, by worker. had are those that it had a moment ago; of workers that were
// pruned it still knows the marks, and pruned are those of them that are at hand.
func lost(ctx context.Context, q querier, had, numbers map[string]int64) (lost map[string]int64, pruned []string, err error) {
	lost = beyond(had, numbers)
	if len(lost) == 0 {
		return nil, nil, nil
	}
	rows, _ := q.Query(ctx, `SELECT worker, number FROM mark_pruned WHERE worker = ANY($1)`, slices.Collect(maps.Keys(lost)))
	var worker string
	var number int64
	_, err = pgx.ForEachRow(rows, []any{&worker, &number}, func() error {
		if _, back := had[worker]; !back && number >= lost[worker] {
			delete(lost, worker)
			pruned = append(pruned, worker)
		}
		return nil
	})
	return lost, pruned, wrap(err, "read the numbers of pruned workers")
}

// prunedMarks is how many marks a worker had made when it was pruned; 0 = it was not.
func prunedMarks(ctx context.Context, q querier, worker string) (number int64, err error) {
	err = q.QueryRow(ctx, `SELECT number FROM mark_pruned WHERE worker = $1`, worker).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return number, wrap(err, "read the marks of a pruned worker")
}

// total returns the number of this worker's marks, by that of its row. Where it seems to be less than least the worker may have
// been pruned, and have come back: then it counts on from there. errLost says that it has not.
func (db *DB) total(ctx context.Context, q querier, number, least int64) (int64, error) {
	if n := number + db.fence.before.Load(); n >= least {
		return n, nil
	}
	before, err := prunedMarks(ctx, q, db.fence.worker)
	if err != nil {
		return 0, fmt.Errorf("count the marks of this worker: %w", err)
	}
	db.fence.before.Store(before)
	if number+before < least {
		return 0, errLost
	}
	return number + before, nil
}
