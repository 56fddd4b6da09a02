package console

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/notice"
)

// tallyAtOnce is how many recipients are counted while the reader of a page waits.
const tallyAtOnce = 10_000

// tallies counts large reports apart from their pages. A page shows the last count, with its own time.
type tallies struct{ *beside[notice.Report] }

func newTallies(log *slog.Logger) *tallies { return &tallies{newBeside[notice.Report](log)} }

// counted returns the report on notices with these statuses, and another one that has the same counted by language and by outcome. The latter
// may be older where that takes long; its AsOf is zero before the first count.
func (t *tallies) counted(ctx context.Context, page string, statuses []notice.Status, count func(context.Context) (notice.Report, error)) (now, tables notice.Report, err error) {
	now = notice.NewReport(statuses)
	now.AsOf = time.Now().UTC()
	if now.Recipients <= tallyAtOnce {
		tables, err = count(ctx)
		return tables, tables, err
	}
	return now, t.get(ctx, page, now.Counts, count), nil
}
