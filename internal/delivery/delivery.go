// Package delivery gets a notice to every mailbox that is owed it, and to none twice: release, expand, attempt,
// retry, sweep. The Desk takes an operator's decisions; a Worker carries them out. Both go by the ledger alone;
// the queue only tells a worker where to look. docs/guarantees.md states the protocol.
package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Ledger is what a Worker needs of package ledger.
type Ledger interface {
	Sweeper
	Notice(ctx context.Context, id int64) (ledger.Notice, error)
	Expand(ctx context.Context, id int64) (due []int64, done bool, err error)
	Finish(ctx context.Context, id int64) error
	Claim(ctx context.Context, chunkID int64, holder string) (ledger.Claim, bool, error)
	Renew(ctx context.Context, chunkID, epoch int64) (bool, error)
	Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) (granted []bool, err error)
	CloseChunk(ctx context.Context, c ledger.Claim) (owed bool, err error)
	Lease() time.Duration
	DotGrace() time.Duration
}

// Sweeper knows what is due.
type Sweeper interface {
	Sweep(ctx context.Context) (ledger.Work, error)
}

// Queue tells workers what to look at next.
type Queue interface {
	EnqueueChunk(ctx context.Context, id int64, generation string, urgent bool) error
	EnqueueExpand(ctx context.Context, id int64, generation string) error
}

// Sender makes one SMTP transaction. An error means that no relay could be reached and nothing was tried.
type Sender interface {
	Send(ctx context.Context, m notice.Mail, p notice.Permit) (notice.Answer, error)
}

// sweep puts what Postgres says is due into the queue, and returns when something more falls due (below zero:
// nothing is known to). What Redis does not take now the next sweep brings again.
func sweep(ctx context.Context, l Sweeper, q Queue, logger *slog.Logger) (next time.Duration, err error) {
	asking, asked := context.WithTimeout(ctx, 2*askTimeout)
	work, err := l.Sweep(asking)
	asked()
	if err != nil {
		return -1, err
	}
	for _, id := range work.Expand {
		if err := q.EnqueueExpand(ctx, id, expandGeneration()); err != nil {
			return -1, err
		}
	}
	for _, c := range work.Chunks {
		if err := q.EnqueueChunk(ctx, c.ID, chunkGeneration(c), c.Urgent); err != nil {
			return -1, err
		}
	}
	if n := len(work.Chunks) + len(work.Expand); n > 0 {
		logger.Debug("swept", slog.Int("chunks", len(work.Chunks)), slog.Int("expansions", len(work.Expand)))
	}
	return work.NextDue, nil
}

// firstGeneration is that of a chunk that was never claimed and is due just now.
const firstGeneration = "0.0"

// chunkGeneration names a task of a chunk, so that one in the queue is not joined by a second at each sweep, and
// yet one that a lost worker or Redis took away is replaced: it changes with each claim, and, while nobody claims,
// after half a minute, then each time that the wait has doubled, and from a quarter of an hour on at each quarter.
func chunkGeneration(c ledger.DueChunk) string {
	doubled := bits.Len(uint(min(c.Overdue, 15*time.Minute) / (30 * time.Second)))
	return fmt.Sprintf("%d.%d", c.Epoch, doubled+int(c.Overdue/(15*time.Minute)))
}

// expandGeneration changes twice a minute.
func expandGeneration() string {
	return fmt.Sprint(time.Now().Unix() / 30)
}
