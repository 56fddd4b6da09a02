// Package delivery gets a notice to every mailbox that is owed it, and to none twice: claim, attempt, retry, sweep. A
// Worker goes by the ledger alone; the queue only tells it where to look. docs/guarantees.md states the protocol.
package delivery

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Ledger has the methods of package ledger that a Worker needs.
type Ledger interface {
	Sweeper
	Notice(ctx context.Context, id int64) (ledger.Notice, error)
	BounceKeys(ctx context.Context) ([][]byte, error)
	Mails(ctx context.Context, noticeID int64, numbers []int) (map[int][]byte, error)
	Claim(ctx context.Context, chunkID int64, holder string) (ledger.Claim, bool, error)
	Renew(ctx context.Context, chunkID, epoch int64) (bool, error)
	Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) (granted []bool, err error)
	Brake(ctx context.Context, noticeID int64, r notice.Refusals, first time.Duration) (held bool, err error)
	CloseChunk(ctx context.Context, c ledger.Claim) (owed bool, err error)
	Lease() time.Duration
	DotGrace() time.Duration
}

// Sweeper knows the work that is due.
type Sweeper interface {
	Sweep(ctx context.Context) (ledger.Work, error)
}

// Sender carries mails to relays; package send implements it.
type Sender interface {
	Submit(notice.Job) // returns at once
	Halt()             // ends every job of which no dot was written
}

// sweep puts the work that is due by Postgres into the queue, and returns in how long more falls due (below zero:
// nothing is known to). The next sweep brings again all that Redis does not take now.
func sweep(ctx context.Context, l Sweeper, q ledger.Queue, logger *slog.Logger) (next time.Duration, err error) {
	asking, asked := context.WithTimeout(ctx, 2*askTimeout)
	work, err := l.Sweep(asking)
	asked()
	if err != nil {
		return -1, err
	}
	if err := work.Enqueue(ctx, q); err != nil {
		return -1, err
	}
	if len(work.Chunks) > 0 {
		logger.Debug("swept", slog.Int("chunks", len(work.Chunks)))
	}
	return work.NextDue, nil
}
