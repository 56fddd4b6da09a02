package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
)

// BenchmarkAmend amends a notice to many in flight. Half of the mails have left, one in fifty of them in vain, and four
// chunks stand at open marks. It prints how long the plan and the release of the amendment take. The release is one
// transaction: no mail of the incident leaves meanwhile.
func BenchmarkAmend(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			*benchRows = rows
			for b.Loop() {
				s, err := local.Start(b.Context(), local.Options{})
				if err != nil {
					b.Fatal(err)
				}
				amendInFlight(newPartBench(b, s.DatabaseURL))
				s.Close()
			}
		})
	}
}

func amendInFlight(p *partBench) {
	ctx := p.b.Context()
	chunks := p.chunks(ctx, p.release("v1", ledger.Choice{}, true))
	for _, chunk := range chunks[:len(chunks)/2] {
		p.flight(chunk, true)
	}
	for _, chunk := range chunks[len(chunks)/2:][:4] {
		p.flight(chunk, false)
	}
	body := notice.Body{Key: "v2", Incident: "v1", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Amends: "v1",
		Corrections: map[string]notice.Text{"en": {Subject: "correction", Body: "c"}}}
	id, _, err := p.db.PutDraft(ctx, ledger.Draft{Body: body, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "bench"})
	p.must(err)
	a := all(body)
	a.Pins = amendPins{}
	a.Amends, err = p.db.Find(ctx, "v1")
	p.must(err)
	var plan notice.Plan
	p.time("plan of the amendment", true, func() (err error) { plan, err = p.db.Freeze(ctx, id, a); return err })
	var before string
	p.must(p.pool.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&before))
	p.time("amend", true, func() error { _, err := p.db.Take(ctx, id, press(plan.Digest)); return err })
	var wal float64
	p.must(p.pool.QueryRow(ctx, `SELECT (pg_current_wal_insert_lsn() - $1::pg_lsn)::float8`, before).Scan(&wal))
	st, err := p.db.Status(ctx, "v2")
	p.must(err)
	if st.Recipients != *benchRows || st.Together.Corrections < *benchRows*2/5 {
		p.b.Fatalf("the amendment has %d recipients and %d corrections", st.Recipients, st.Together.Corrections)
	}
	fmt.Printf("\n%d recipients in %d chunks, %d of them get the correction\n", st.Recipients, len(chunks), st.Together.Corrections)
	for _, step := range []string{"plan", "release", "plan of the amendment", "amend"} {
		fmt.Printf("%-24s %8.2f s\n", step, p.times[step][0]/1e3)
	}
	fmt.Printf("%-24s %8.1f MB\n", "WAL of amend", wal/1e6)
}

// flight marks all mails of a chunk. Where they are answered, the chunk is closed; else its marks stay open.
func (p *partBench) flight(chunk int64, answered bool) {
	ctx := p.b.Context()
	c, ok, err := p.worker.Claim(ctx, chunk, "bench")
	if err != nil || !ok {
		p.b.Fatalf("claim chunk %d: %v, %v", chunk, ok, err)
	}
	for due := range slices.Chunk(c.Due, 64) {
		var marks []ledger.Attempt
		var outcomes []ledger.Outcome
		for _, d := range due {
			m := attempt(c, d.Seq)
			o := ledger.Outcome{Attempt: m, State: notice.DeliverySent, Heard: time.Now(), Answer: notice.Answer{Code: 250, Text: "2.0.0 Ok: queued as 4ZAB12xyz"}}
			if d.Seq%50 == 0 {
				o.State, o.Answer = notice.DeliveryFailed, notice.Answer{Code: 550, Text: "5.1.1 No such user"}
			}
			marks, outcomes = append(marks, m), append(outcomes, o)
		}
		_, err = p.worker.Commit(ctx, marks, nil)
		if err == nil && answered {
			_, err = p.worker.Commit(ctx, nil, outcomes)
		}
		p.must(err)
	}
	if answered {
		_, err = p.worker.CloseChunk(ctx, c)
		p.must(err)
	}
}
