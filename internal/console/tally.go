package console

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"tocsin/internal/notice"
)

const (
	tallyAtOnce  = 10_000 // a report on so many recipients is counted while its reader waits
	tallyTimeout = 10 * time.Minute
	mostTallies  = 100
)

// tallies counts large reports apart from their pages: to look at each of 1,000,000 deliveries takes many seconds. One is counted at a time.
// A page shows the last count, with its own time.
type tallies struct {
	log  *slog.Logger
	turn chan struct{}

	mu sync.Mutex
	of map[string]tally // by the path of the page
}

type tally struct {
	report   notice.Report
	counting bool
	took     time.Duration
	ended    time.Time // the last count, whether it went well or not
}

func newTallies(log *slog.Logger) *tallies {
	return &tallies{log: log, turn: make(chan struct{}, 1), of: map[string]tally{}}
}

// counted returns the report on notices with these statuses, and another one that has the same counted by language and by outcome. The latter
// may be older where that takes long; its AsOf is zero before the first count.
func (t *tallies) counted(r *http.Request, statuses []notice.Status, count func(context.Context) (notice.Report, error)) (now, tables notice.Report, err error) {
	now = notice.NewReport(statuses)
	now.AsOf = time.Now().UTC()
	if now.Recipients <= tallyAtOnce {
		tables, err = count(r.Context())
		return tables, tables, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := r.URL.Path
	last := t.of[key]
	stale := !maps.Equal(last.report.Counts, now.Counts) && time.Since(last.ended) > lazier*last.took
	if stale && !last.counting && len(t.of) < mostTallies+1 {
		last.counting = true
		t.of[key] = last
		go t.count(context.WithoutCancel(r.Context()), key, count)
	}
	return now, last.report, nil
}

func (t *tallies) count(ctx context.Context, key string, count func(context.Context) (notice.Report, error)) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	ctx, cancel := context.WithTimeout(ctx, tallyTimeout)
	defer cancel()
	began := time.Now()
	report, err := count(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.of[key]
	last.counting, last.took, last.ended = false, time.Since(began), time.Now()
	if err != nil {
		t.log.Error("a report can't be counted", slog.Any("error", err))
	} else {
		last.report = report
	}
	t.of[key] = last
	if len(t.of) > mostTallies {
		maps.DeleteFunc(t.of, func(other string, o tally) bool { return other != key && !o.counting })
	}
}
