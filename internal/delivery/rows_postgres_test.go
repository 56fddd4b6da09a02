package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// TestTheSimulatedLedgerAnswersAsPostgresDoes makes the same random calls on the ledger and on its simulation. Each
// must answer the same, and leave the same rows.
func TestTheSimulatedLedgerAnswersAsPostgresDoes(t *testing.T) {
	t.Parallel()
	const shards, sequences = 2, 100
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			p := openPair(t)
			for i := range sequences {
				if p.play(uint64(shard*sequences + i)); t.Failed() {
					return
				}
			}
		})
	}
}

// pairTimes are so long that the time a test takes is nothing beside them.
var pairTimes = ledger.Options{Lease: 60 * time.Hour, DotGrace: 20 * time.Hour, Gate: 360 * time.Hour}

// pair is a ledger on Postgres and one in memory.
type pair struct {
	t      *testing.T
	pool   *pgxpool.Pool
	rng    *rand.Rand
	real   *ledger.DB
	memory *rowMemory
	sim    *rowSession
	id     int64     // of the notice on Postgres; in memory it is 1
	chunks []int64   // their ids on Postgres, by those in memory less one
	claims [][]epoch // of each chunk
	clock  time.Time
	log    []string
}

// epoch is one claim's, on Postgres and in memory.
type epoch struct{ real, sim int64 }

func openPair(t *testing.T) *pair {
	url := testkit.Postgres(t)
	db, err := ledger.Open(t.Context(), url, pairTimes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p := &pair{t: t, pool: pool, real: db}
	p.exec(`INSERT INTO customer (id, name, email, email_key) VALUES ('c0', 'c0', '', ''), ('c1', 'c1', 'm1@example.com', 'm1@example.com'),
		('c2', 'c2', 'm2@example.com', 'm2@example.com'), ('c3', 'c3', 'm3@example.com', 'm3@example.com'), ('c4', 'c4', 'm3@example.com', 'm3@example.com')`)
	return p
}

func (p *pair) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.pool.Exec(p.t.Context(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

// play makes the calls of a seed.
func (p *pair) play(seed uint64) {
	p.rng, p.log, p.clock = rand.New(rand.NewPCG(seed, 1)), nil, time.Now()
	p.memory = &rowMemory{now: func() time.Time { return p.clock }, opts: pairTimes, chunkSize: 2, sliceSize: 100, customers: []simCustomer{
		{"c0", ""}, {"c1", "m1@example.com"}, {"c2", "m2@example.com"}, {"c3", "m3@example.com"}, {"c4", "m3@example.com"}}}
	p.sim = &rowSession{memory: p.memory, tx: func(_ context.Context, _ string, _, _ int64, do func() error) error { return do() }}
	p.release(seed)
	for range 25 {
		if p.t.Failed() {
			p.t.Logf("seed %d: %q", seed, p.log)
			return
		}
		p.clock = p.clock.Add(time.Millisecond)
		p.step()
		p.compareRows()
	}
	p.exec(`WITH a AS (DELETE FROM act), d AS (DELETE FROM delivery), m AS (DELETE FROM member), r AS (DELETE FROM recipient)
		DELETE FROM chunk`)
	p.exec(`DELETE FROM notice`)
}

func (p *pair) release(seed uint64) {
	b := simBody(fmt.Sprint("n", seed))
	after := func(h int) *time.Time {
		at := p.clock.Add(time.Duration(h) * time.Hour).UTC().Truncate(time.Second)
		return &at
	}
	if p.rng.IntN(5) == 0 {
		b.SendAt = after(10)
	}
	if p.rng.IntN(5) == 0 {
		b.ExpiresAt = after(200)
	}
	id, _, err := p.real.PutDraft(p.t.Context(), ledger.Draft{Body: b, Texts: simTexts, Who: "op"})
	if err != nil {
		p.t.Fatal(err)
	}
	p.id = id
	p.memory.draft(b, simTexts)
	audience := everybody
	audience.Body = b
	for range 2 {
		want, wantErr := p.real.Release(p.t.Context(), p.id, audience, "example.net", "op")
		got, err := p.sim.Release(p.t.Context(), 1, everybody, "example.net", "op")
		p.same("release", want, got, wantErr, err)
		_, want, wantErr = p.real.Expand(p.t.Context(), p.id)
		_, got, err = p.sim.Expand(p.t.Context(), 1)
		p.same("expand", want, got, wantErr, err)
	}
	// A chunk of Postgres holds more than a sequence is worth: make two of it, as they are in memory.
	p.exec(`UPDATE chunk SET hi = 2, counts = '{1,0,0,0,0,0,1,0,0}' WHERE notice_id = $1`, p.id)
	p.exec(`INSERT INTO chunk (notice_id, lo, hi, open, due_at, counts)
		SELECT notice_id, 2, 4, open, due_at, '{2,0,0,0,0,0,0,0,0}' FROM chunk WHERE notice_id = $1`, p.id)
	rows, _ := p.pool.Query(p.t.Context(), `SELECT id FROM chunk WHERE notice_id = $1 ORDER BY lo`, p.id)
	if p.chunks, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		p.t.Fatal(err)
	}
	p.claims = make([][]epoch, len(p.chunks))
}

// same compares two answers to one call.
func (p *pair) same(what string, want, got any, wantErr, gotErr error) {
	p.t.Helper()
	p.log = append(p.log, what)
	if notice.CodeOf(wantErr) != notice.CodeOf(gotErr) || (wantErr == nil) != (gotErr == nil) {
		p.t.Errorf("%s: Postgres says %v, the simulation %v", what, wantErr, gotErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		p.t.Errorf("%s (-Postgres +simulation):\n%s", what, diff)
	}
}

// step makes one call on both.
func (p *pair) step() {
	ctx := p.t.Context()
	c := p.rng.IntN(len(p.chunks))
	simID, realID := int64(c+1), p.chunks[c]
	switch p.rng.IntN(20) {
	case 0, 1, 2:
		want, wantOK, wantErr := p.real.Claim(ctx, realID, "w")
		got, ok, err := p.sim.Claim(ctx, simID, "w")
		if wantOK && ok {
			p.claims[c] = append(p.claims[c], epoch{want.Epoch, got.Epoch})
		}
		p.same(fmt.Sprint("claim ", simID), due(want), due(got), wantErr, err)
		p.same("it was given", wantOK, ok, nil, nil)
	case 3:
		if e, ok := p.claim(c); ok {
			want, wantErr := p.real.Renew(ctx, realID, e.real)
			got, err := p.sim.Renew(ctx, simID, e.sim)
			p.same(fmt.Sprint("renew ", simID), want, got, wantErr, err)
		}
	case 4, 5:
		if e, ok := p.claim(c); ok {
			want, wantErr := p.real.CloseChunk(ctx, ledger.Claim{ChunkID: realID, NoticeID: p.id, Epoch: e.real})
			got, err := p.sim.CloseChunk(ctx, ledger.Claim{ChunkID: simID, NoticeID: 1, Epoch: e.sim})
			p.same(fmt.Sprint("close ", simID), want, got, wantErr, err)
		}
	case 6, 7:
		want, wantErr := p.real.Sweep(ctx)
		got, err := p.sim.Sweep(ctx)
		p.same("sweep", p.work(want, true), p.work(got, false), wantErr, err)
	case 8, 9:
		p.advance()
	case 10:
		p.operate()
	case 11, 12:
		p.settle()
	default:
		p.commit()
	}
}

// claim returns one of a chunk's claims, most often the last.
func (p *pair) claim(c int) (epoch, bool) {
	n := len(p.claims[c])
	if n == 0 {
		return epoch{}, false
	}
	return p.claims[c][max(0, n-1-p.rng.IntN(4)/2*p.rng.IntN(2))], true
}

func due(c ledger.Claim) (all []string) {
	for _, d := range c.Due {
		all = append(all, fmt.Sprint(d.Seq, " tried ", d.Tries, " owed ", d.Waited.Round(time.Hour), " ", d.Text, d.Recipient.Address, len(d.Recipient.Customers)))
	}
	return all
}

func (p *pair) work(w ledger.Work, real bool) []string {
	all := []string{fmt.Sprint("next ", max(-1, w.NextDue.Round(time.Hour)), " expand ", len(w.Expand))}
	for _, c := range w.Chunks {
		id := c.ID - 1
		if real {
			id = int64(slices.Index(p.chunks, c.ID))
		}
		all = append(all, fmt.Sprint(id, " epoch ", p.number(int(id), c.Epoch), " overdue ", c.Overdue.Round(time.Hour)))
	}
	slices.Sort(all)
	return all
}

// number is an epoch as both ledgers call it: how many claims of the chunk there had been.
func (p *pair) number(c int, e int64) int {
	if e <= 0 {
		return int(e)
	}
	return 1 + slices.IndexFunc(p.claims[c], func(x epoch) bool { return x.real == e || x.sim == e })
}

// advance lets hours go by: on Postgres by moving all that lies in time.
func (p *pair) advance() {
	// A minute more than whole hours, so that nothing falls due in the moment of a call.
	d := time.Duration([]int{3, 21, 41, 61, 400}[p.rng.IntN(5)])*time.Hour + time.Minute
	p.clock = p.clock.Add(d)
	p.log = append(p.log, fmt.Sprint("after ", d))
	p.exec(`UPDATE chunk SET lease_until = lease_until - $1::interval, due_at = due_at - $1::interval`, d)
	p.exec(`UPDATE delivery SET dot_by = dot_by - $1::interval, due_at = due_at - $1::interval, owed_at = owed_at - $1::interval`, d)
	p.exec(`UPDATE notice SET send_at = send_at - $1::interval, expires_at = expires_at - $1::interval`, d)
}

func (p *pair) operate() {
	ctx := p.t.Context()
	var want, err error
	what := p.rng.IntN(6)
	switch {
	case what < 2:
		want, err = p.real.Pause(ctx, p.id, "op"), p.sim.Pause(ctx, 1, "op")
	case what < 5:
		want, err = p.real.Resume(ctx, p.id, "op"), p.sim.Resume(ctx, 1, "op")
	default:
		want, err = p.real.Cancel(ctx, p.id, "op"), p.sim.Cancel(ctx, 1, "op")
	}
	p.same([]string{"pause", "pause", "resume", "resume", "resume", "cancel"}[what], nil, nil, want, err)
}

func (p *pair) settle() {
	ctx := p.t.Context()
	s := notice.Settlement{Requeue: p.rng.IntN(3) > 0, AllUncertain: p.rng.IntN(2) == 0}
	s.Sent = !s.Requeue
	key := ""
	if !s.AllUncertain {
		s.Address = fmt.Sprintf("m%d@example.com", 1+p.rng.IntN(3))
		key = s.Address
	}
	want, wantErr := p.real.Settle(ctx, p.id, s, key, "op")
	got, err := p.sim.Settle(ctx, 1, s, key, "op")
	from := func(s *notice.Settled, now time.Time) (in time.Duration) {
		if s.From != nil {
			in = s.From.Sub(now).Round(time.Hour)
		}
		s.From = nil
		return in
	}
	p.same("settle: possible from", from(&want, time.Now()), from(&got, p.clock), nil, nil)
	p.same(fmt.Sprintf("settle %+v", s), want, got, wantErr, err)
}

// commit marks and records, each delivery at most once: what a batch makes of two answers to one is not said.
func (p *pair) commit() {
	ctx := p.t.Context()
	var marks, simMarks []ledger.Attempt
	var outcomes, simOutcomes []ledger.Outcome
	for seq := range 4 {
		c := seq / 2
		e, ok := p.claim(c)
		if !ok || p.rng.IntN(2) == 0 {
			continue
		}
		real := ledger.Attempt{NoticeID: p.id, Seq: seq, ChunkID: p.chunks[c], Epoch: e.real}
		sim := ledger.Attempt{NoticeID: 1, Seq: seq, ChunkID: int64(c + 1), Epoch: e.sim}
		if p.rng.IntN(2) == 0 {
			marks, simMarks = append(marks, real), append(simMarks, sim)
			p.log = append(p.log, fmt.Sprint("mark ", seq, " epoch ", p.number(c, e.real)))
			continue
		}
		o := ledger.Outcome{Attempt: real, Heard: time.Now(), State: []notice.DeliveryState{notice.DeliverySent, notice.DeliveryDeferred,
			notice.DeliveryFailed, notice.DeliveryUncertain}[p.rng.IntN(4)], Answer: notice.Answer{Code: 100 + p.rng.IntN(400), Relay: "r", Text: "t"}}
		if definite(o.State) {
			o.NoDot, o.Delay = p.rng.IntN(2) == 0, time.Duration(p.rng.IntN(3))*7*time.Hour
		}
		p.log = append(p.log, fmt.Sprintf("%s %d epoch %d nodot %v in %v", o.State, seq, p.number(c, e.real), o.NoDot, o.Delay))
		outcomes = append(outcomes, o)
		o.Attempt = sim
		simOutcomes = append(simOutcomes, o)
	}
	want, wantErr := p.real.Commit(ctx, marks, outcomes)
	got, err := p.sim.Commit(ctx, simMarks, simOutcomes)
	p.same("commit", want, got, wantErr, err)
}

// compareRows compares all that the ledgers hold.
func (p *pair) compareRows() {
	in := func(t, now time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.Sub(now).Round(time.Hour).String()
	}
	var want, got []string
	row := func(seq int, s notice.DeliveryState, tries, code int, epoch, unresolved int64, dotBy, due string, reason, relay, reply string) string {
		return fmt.Sprint("delivery ", seq, " ", s, " tries ", tries, " code ", code, " epoch ", p.number(seq/2, epoch), " unresolved ",
			p.number(seq/2, unresolved), " dot by ", dotBy, " due ", due, " ", reason, ", ", relay, " ", reply)
	}
	rows, _ := p.pool.Query(p.t.Context(), `
		SELECT seq, state, tries, code, epoch, unresolved, coalesce(dot_by, 'epoch'), due_at, reason, relay, reply, clock_timestamp()
		FROM delivery WHERE notice_id = $1 ORDER BY seq`, p.id)
	var seq, tries, code int
	var state notice.DeliveryState
	var epoch, unresolved int64
	var dotBy, due, now time.Time
	var reason, relay, reply string
	_, err := pgx.ForEachRow(rows, []any{&seq, &state, &tries, &code, &epoch, &unresolved, &dotBy, &due, &reason, &relay, &reply, &now}, func() error {
		if dotBy.Year() == 1970 {
			dotBy = time.Time{}
		}
		want = append(want, row(seq, state, tries, code, epoch, unresolved, in(dotBy, now), in(due, now), reason, relay, reply))
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	n := p.memory.notice(1)
	for seq, d := range n.deliveries {
		got = append(got, row(seq, d.state, d.tries, d.code, d.epoch, d.unresolved, in(d.dotBy, p.clock), in(d.dueAt, p.clock), d.reason, d.relay, d.reply))
	}
	var counts []int
	var open, leased bool
	rows, _ = p.pool.Query(p.t.Context(), `
		SELECT epoch, open, lease_until IS NOT NULL, due_at, counts, clock_timestamp() FROM chunk WHERE notice_id = $1 ORDER BY id`, p.id)
	if _, err := pgx.ForEachRow(rows, []any{&epoch, &open, &leased, &due, &counts, &now}, func() error {
		want = append(want, fmt.Sprint("chunk open ", open, " leased ", leased, " due ", in(due, now), counts))
		return nil
	}); err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.memory.chunks {
		got = append(got, fmt.Sprint("chunk open ", c.open, " leased ", !c.leaseUntil.IsZero(), " due ", in(c.dueAt, p.clock), c.counts))
	}
	st, err := p.real.Status(p.t.Context(), fmt.Sprint(p.id))
	sim := p.memory.status(1)
	p.same("rows", append(want, fmt.Sprint(st.State, st.Reason, st.Customers, st.Recipients, st.Counts)),
		append(got, fmt.Sprint(sim.State, sim.Reason, sim.Customers, sim.Recipients, sim.Counts)), err, nil)
	p.log = p.log[:len(p.log)-1]
}
