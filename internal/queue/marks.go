package queue

import (
	"context"
	"fmt"
	"strconv"
)

// Marks returns how many marks each worker has made on a ledger, as far as Redis knows.
func (q *Queue) Marks(ctx context.Context, ledger string) (map[string]int64, error) {
	kept, err := q.redis.HGetAll(ctx, marksKey(ledger)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the marks in Redis: %w", err)
	}
	numbers := map[string]int64{}
	for worker, text := range kept {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the marks in Redis: %q is no number", text)
		}
		numbers[worker] = n
	}
	return numbers, nil
}

// KeepMarks keeps the numbers of some workers.
func (q *Queue) KeepMarks(ctx context.Context, ledger string, numbers map[string]int64) error {
	fields := map[string]any{}
	for worker, n := range numbers {
		fields[worker] = n
	}
	if err := q.redis.HSet(ctx, marksKey(ledger), fields).Err(); err != nil {
		return fmt.Errorf("keep the marks in Redis: %w", err)
	}
	return nil
}

// DropMarks forgets the numbers of some workers.
func (q *Queue) DropMarks(ctx context.Context, ledger string, workers []string) error {
	if err := q.redis.HDel(ctx, marksKey(ledger), workers...).Err(); err != nil {
		return fmt.Errorf("drop marks in Redis: %w", err)
	}
	return nil
}

func marksKey(ledger string) string { return "tocsin:marks:" + ledger }
