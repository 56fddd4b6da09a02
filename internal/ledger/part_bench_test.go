package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
)

var (
	benchNotices = flag.Int("bench.notices", 20, "BenchmarkParts: how many large notices are sent, one after the other")
	benchRows    = flag.Int("bench.rows", 100_000, "BenchmarkParts: recipients of each of them")
	benchSmall   = flag.Int("bench.small", 0, "BenchmarkParts: small notices before them, each with tables of its own")
)

// partBench is a ledger that many notices of one size are sent through, without rendering and relays.
type partBench struct {
	b          *testing.B
	pool       *pgxpool.Pool
	db, worker *ledger.DB
	times      map[string][]float64 // milliseconds, a value a notice
	last       int64
}

// partMeasures are the measures, in the order of the report.
var partMeasures = []string{"plan", "release", "claim, mark, record and close", "status", "history of a customer", "history of a mailbox", "a page of mails", "a mail made again"}

// BenchmarkParts compares the last of many large notices with the first, prints how large the tables are, and drops a notice.
func BenchmarkParts(b *testing.B) {
	s, err := local.Start(b.Context(), local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for b.Loop() {
		p := newPartBench(b, s.DatabaseURL)
		for i := range *benchSmall {
			p.send(fmt.Sprint("small", i), those(10*i%*benchRows+1, 10*i%*benchRows+10), false)
		}
		for i := range *benchNotices {
			p.send(fmt.Sprint("large", i), ledger.Choice{}, true)
			p.look(i)
		}
		p.report()
		p.drop()
	}
}

func (p *partBench) must(err error) {
	p.b.Helper()
	if err != nil {
		p.b.Fatal(err)
	}
}

func newPartBench(b *testing.B, url string) *partBench {
	p := &partBench{b: b, times: map[string][]float64{}}
	ctx := b.Context()
	_, err := ledger.Migrate(ctx, url)
	p.must(err)
	p.pool, err = pgxpool.New(ctx, url)
	p.must(err)
	b.Cleanup(p.pool.Close)
	_, err = p.pool.Exec(ctx, `
		INSERT INTO customer (id, name, email, email_key, language, time_zone, attributes)
		SELECT 'c' || i, 'Customer number ' || i, 'user' || i || '@mail.example', 'user' || i || '@mail.example', (ARRAY['en', 'nl', 'de'])[1 + i % 3], 'Europe/Amsterdam',
			jsonb_build_object('plan', (ARRAY['pro', 'free'])[1 + i % 2], 'server', 's' || i % 900, 'seats', (i % 50)::text)
		FROM generate_series(1, $1::int) i ORDER BY i * 7919::bigint % $1`, *benchRows)
	p.must(err)
	_, err = p.pool.Exec(ctx, `ANALYZE`)
	p.must(err)
	p.db, err = ledger.Open(ctx, url, ledger.Options{OwnRows: min(100_000, *benchRows, 10)})
	p.must(err)
	b.Cleanup(p.db.Close)
	p.worker, err = ledger.Open(ctx, url, ledger.Options{Worker: "bench", Process: "bench"})
	p.must(err)
	b.Cleanup(p.worker.Close)
	p.must(p.worker.CompareMarks(ctx))
	return p
}

func (p *partBench) time(what string, measured bool, do func() error) {
	p.b.Helper()
	start := time.Now()
	p.must(do())
	if measured {
		p.times[what] = append(p.times[what], time.Since(start).Seconds()*1e3)
	}
}

// send plans a notice, releases it and has all of it sent.
func (p *partBench) send(key string, c ledger.Choice, measured bool) {
	ctx := p.b.Context()
	p.last = p.release(key, c, measured)
	p.time("claim, mark, record and close", measured, func() error { return p.deliver(ctx, p.last) })
}

// release plans a notice and releases it.
func (p *partBench) release(key string, c ledger.Choice, measured bool) int64 {
	ctx := p.b.Context()
	body := notice.Body{Key: key, Incident: key, Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en"}
	id, _, err := p.db.PutDraft(ctx, ledger.Draft{Body: body, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "bench"})
	p.must(err)
	a := all(body)
	a.Choice = c
	var plan notice.Plan
	p.time("plan", measured, func() (err error) { plan, err = p.db.Freeze(ctx, id, a); return err })
	p.time("release", measured, func() error { _, err := p.db.Take(ctx, id, press(plan.Digest)); return err })
	return id
}

// chunks returns those of a notice, in the order of their rows.
func (p *partBench) chunks(ctx context.Context, id int64) (chunks []int64) {
	p.must(p.pool.QueryRow(ctx, `SELECT array_agg(id ORDER BY lo) FROM chunk WHERE notice_id = $1`, id).Scan(&chunks))
	return chunks
}

// deliver does the work of four workers of the queue, and of the writer with them.
func (p *partBench) deliver(ctx context.Context, id int64) error {
	chunks := p.chunks(ctx, id)
	g, ctx := errgroup.WithContext(ctx)
	for part := range 4 {
		g.Go(func() error {
			for i := part; i < len(chunks); i += 4 {
				if err := p.deliverChunk(ctx, chunks[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (p *partBench) deliverChunk(ctx context.Context, chunk int64) error {
	c, ok, err := p.worker.Claim(ctx, chunk, "bench")
	if err != nil || !ok {
		return fmt.Errorf("claim chunk %d: %v, %w", chunk, ok, err)
	}
	var answered []ledger.Outcome
	for due := range slices.Chunk(c.Due, 64) {
		var marks []ledger.Attempt
		for _, d := range due {
			marks = append(marks, attempt(c, d.Seq))
		}
		if _, err := p.worker.Commit(ctx, marks, answered); err != nil {
			return err
		}
		answered = nil
		for _, m := range marks {
			answered = append(answered, ledger.Outcome{Attempt: m, State: notice.DeliverySent, Heard: time.Now(), Answer: notice.Answer{Code: 250, Text: "2.0.0 Ok: queued as 4ZAB12xyz"}})
		}
	}
	if _, err := p.worker.Commit(ctx, nil, answered); err != nil {
		return err
	}
	_, err = p.worker.CloseChunk(ctx, c)
	return err
}

// look asks the questions of operators, about the notice that was sent last; each is the median of nine.
func (p *partBench) look(nth int) {
	ctx := p.b.Context()
	middle := *benchRows / 2
	for what, do := range map[string]func(i int) error{
		"status":                func(int) error { _, err := p.db.Status(ctx, fmt.Sprint("large", nth)); return err },
		"history of a customer": func(i int) error { _, err := p.db.History(ctx, fmt.Sprint("c", middle+i), ""); return err },
		"history of a mailbox": func(i int) error {
			_, err := p.db.History(ctx, "", fmt.Sprintf("user%d@mail.example", middle+i))
			return err
		},
		"a page of mails": func(i int) error {
			_, err := p.db.Deliveries(ctx, p.last, notice.DeliveryPage{After: middle + 100*i, Limit: 100})
			return err
		},
		"a mail made again": func(i int) error { _, err := p.db.Message(ctx, p.last, middle+i); return err },
	} {
		var took []float64
		for i := range 9 {
			start := time.Now()
			p.must(do(i))
			took = append(took, time.Since(start).Seconds()*1e3)
		}
		slices.Sort(took)
		p.times[what] = append(p.times[what], took[4])
	}
}

func (p *partBench) report() {
	fmt.Printf("\n%d notices of %d recipients, after %d small ones\n%-32s %12s %12s %12s %8s\n", *benchNotices, *benchRows, *benchSmall, "milliseconds", "first", "middle", "last", "last ×")
	for _, what := range partMeasures {
		t := p.times[what]
		first, last := t[0], t[len(t)-1]
		fmt.Printf("%-32s %12.1f %12.1f %12.1f %8.2f\n", what, first, t[len(t)/2], last, last/first)
	}
	var parts, locks int
	p.must(p.pool.QueryRow(p.b.Context(), `SELECT (SELECT count(*) FROM part), current_setting('max_locks_per_transaction')::int`).Scan(&parts, &locks))
	fmt.Printf("%d parts, max_locks_per_transaction %d\n", parts, locks)
	rows, _ := p.pool.Query(p.b.Context(), `
		SELECT CASE WHEN relname ~ '^(recipient|member)_' THEN regexp_replace(relname, '_.*', '') ELSE relname END AS name, sum(pg_table_size(oid))::float8, sum(pg_indexes_size(oid))::float8
		FROM pg_class WHERE relkind = 'r' AND relname ~ '^(recipient_|member_|chunk|outcome|answer|sieve)' GROUP BY 1 ORDER BY 1`)
	for rows.Next() {
		var name string
		var heap, index float64
		p.must(rows.Scan(&name, &heap, &index))
		mails := float64(*benchNotices * *benchRows)
		fmt.Printf("%-12s %8.0f MB, %6.1f bytes a mail, and its indexes %8.0f MB, %6.1f\n", name, heap/1e6, heap/mails, index/1e6, index/mails)
	}
	p.must(rows.Err())
}

// drop drops the rows of the first notice, after a vacuum of its tables.
func (p *partBench) drop() {
	ctx := p.b.Context()
	var part int64
	var heap float64
	p.must(p.pool.QueryRow(ctx, `SELECT p.plan_id, pg_total_relation_size('recipient_' || p.plan_id) + pg_total_relation_size('member_' || p.plan_id) FROM notice p WHERE key = 'large0'`).Scan(&part, &heap))
	for _, table := range []string{"recipient", "member"} {
		p.time("vacuum", true, func() error { _, err := p.pool.Exec(ctx, fmt.Sprintf(`VACUUM %s_%d`, table, part)); return err })
	}
	_, err := p.pool.Exec(ctx, `
		UPDATE notice SET released_at = released_at - interval '2 years' WHERE key = 'large0'`)
	p.must(err)
	_, err = p.pool.Exec(ctx, `UPDATE chunk SET last_sent_at = last_sent_at - interval '2 years' WHERE notice_id = (SELECT id FROM notice WHERE key = 'large0')`)
	p.must(err)
	p.time("drop", true, func() error {
		for more := true; more; {
			if _, more, err = p.db.DropOldRows(ctx, year); err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Printf("the tables of the first notice, %.0f MB: vacuumed in %.0f ms; the notice is dropped in %.0f ms\n", heap/1e6, p.times["vacuum"][0]+p.times["vacuum"][1], p.times["drop"][0])
}
