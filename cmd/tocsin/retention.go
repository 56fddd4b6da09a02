package main

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/ledger"
)

// How often old rows are looked for, and the pause after each slice of them, which leaves Postgres to the sending.
const (
	retentionEvery = time.Hour
	retentionPause = 100 * time.Millisecond
)

// dropOldRows drops the rows of old notices until ctx ends; keep 0 keeps them for ever. Several processes may do it.
func dropOldRows(ctx context.Context, db *ledger.DB, keep time.Duration, logger *slog.Logger) {
	dropped := 0
	for keep > 0 && ctx.Err() == nil {
		rows, more, err := db.DropOldRows(ctx, keep)
		pause := retentionPause
		switch dropped += rows; {
		case err != nil && ctx.Err() == nil:
			logger.Warn("drop old rows, trying again", slog.Any("error", err))
			pause = time.Minute
		case !more:
			if dropped > 0 {
				logger.Info("dropped old rows", slog.Int("rows", dropped))
			}
			dropped, pause = 0, retentionEvery
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
