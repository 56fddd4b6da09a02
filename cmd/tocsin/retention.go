package main

import (
	"context"
	"log/slog"
	"time"
)

// The intervals at which old rows and plans are looked for, and the pause after each slice of them. The pause leaves
// Postgres to the sending.
const (
	retentionEvery = time.Hour
	plansEvery     = time.Minute
	marksIdle      = 30 * 24 * time.Hour // the least for which the number of marks of a worker that makes none is kept
	retentionPause = 100 * time.Millisecond
)

// drop has rows dropped that are older than keep, a slice at a time, until ctx ends; keep 0 keeps them for ever. Several
// processes may do it.
func drop(ctx context.Context, what string, keep, every time.Duration,
	slice func(context.Context, time.Duration) (rows int, more bool, err error), logger *slog.Logger) {
	dropped := 0
	for keep > 0 && ctx.Err() == nil {
		rows, more, err := slice(ctx, keep)
		pause := retentionPause
		switch dropped += rows; {
		case err != nil && ctx.Err() == nil:
			logger.Warn("drop "+what+", trying again", slog.Any("error", err))
			pause = time.Minute
		case !more:
			if dropped > 0 {
				logger.Info("dropped "+what, slog.Int("rows", dropped))
			}
			dropped, pause = 0, every
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
