package delivery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// pair is the ledger in memory and the one in Postgres, to which the same is done.
type pair struct {
	ctx    context.Context
	draw   func(what string, n int) int // one of n
	memory *memory
	s      *session
	db     *ledger.DB
	pool   *pgxpool.Pool
	prefix string // of all that stands in Postgres
	skip   time.Duration

	notices []int64         // in Postgres, by their number in memory, from 1
	chunks  []int64         // likewise
	epochs  map[int64]int64 // in memory, by that in Postgres
	claims  []twoClaims
	asked   []twoAttempts
	did     []string
}

// twoClaims and twoAttempts are the same in both, that in memory first.
type twoClaims struct{ m, p ledger.Claim }
type twoAttempts struct{ m, p ledger.Attempt }

// everyLedger is a Postgres in which pairs stand next to each other.
type everyLedger struct {
	db   *ledger.DB
	pool *pgxpool.Pool
}

func newEveryLedger(t *testing.T) everyLedger {
	t.Helper()
	url := testkit.Postgres(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	db, err := ledger.Open(t.Context(), url, ledger.Options{Lease: simLease, DotGrace: simGrace, Gate: simGate})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return everyLedger{db, pool}
}

// compare does so many random things to both ledgers, and returns the first difference.
func (e everyLedger) compare(ctx context.Context, acts int, broken mutant, draw func(what string, n int) int) error {
	p := &pair{ctx: ctx, draw: draw, db: e.db, pool: e.pool, prefix: fmt.Sprintf("p%x", time.Now().UnixNano()), epochs: map[int64]int64{0: 0, -1: -1}}
	p.memory = &memory{now: func() time.Time { return time.Now().Add(p.skip) }, opts: ledger.Options{Lease: simLease, DotGrace: simGrace, Gate: simGate},
		mutant: broken, chunkSize: 16, againSets: true, pins: pairPins, tables: tables{listed: map[string]listing{}, home: 1}}
	p.memory.database.Store(1)
	p.s = newSession(p.memory, func(_ context.Context, _ string, _, _ int64, do func() error) error { return do() })
	if err := p.begin(); err != nil {
		return err
	}
	for range acts {
		if err := p.act(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(p.did, ", "), err)
		}
		if err := p.same(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(p.did, ", "), err)
		}
	}
	return p.end()
}

// pairPins stand for compiled mails, which nobody reads here. Mailboxes of three customers and more have none.
var pairPins = simPins{[]byte("to one"), []byte("to two")}

// begin has customers and drafts of one incident. Two customers share a mailbox, and one has none.
func (p *pair) begin() error {
	if _, err := p.pool.Exec(p.ctx, `DELETE FROM hold`); err != nil { // of a pair that was not the same
		return err
	}
	address := func(i int) string { return fmt.Sprintf("%s.m%d@example.com", p.prefix, i) }
	for i := range 2 + p.draw("customers", 2) {
		p.memory.customers = append(p.memory.customers, simCustomer{fmt.Sprintf("%s.c%d", p.prefix, i), address(i)})
	}
	p.memory.customers = append(p.memory.customers, simCustomer{p.prefix + ".d", address(0)}, simCustomer{p.prefix + ".e", ""})
	for _, c := range p.memory.customers {
		if _, err := p.pool.Exec(p.ctx, `INSERT INTO customer (id, email, email_key) VALUES ($1, $2, $2)`, c.id, c.address); err != nil {
			return err
		}
	}
	kind := []notice.Kind{notice.Outage, notice.Maintenance}[p.draw("kind", 2)]
	phases := notice.Phases[kind]
	for i := range 2 + p.draw("notices", 2) {
		b := simBody(fmt.Sprintf("%s.n%d", p.prefix, i+1))
		b.Kind, b.Incident, b.Phase = kind, p.prefix, phases[min(i+p.draw("phase", 2), len(phases)-1)]
		at := func(d time.Duration) notice.Time { return notice.At(p.memory.now().Add(d).Truncate(time.Microsecond)) }
		b.Canary = p.draw("canary", 3)
		switch p.draw("times", 6) {
		case 0:
			b.SendAt = at(time.Minute)
		case 1:
			b.ExpiresAt = at(10*time.Minute + time.Duration(p.draw("long", 2))*notice.CanaryRoom)
		}
		if b.Phase == notice.PhaseReminder && p.draw("of the first", 2) == 0 {
			b.ReminderOf = p.prefix + ".n1"
		}
		p.memory.draft(b, simTexts)
		id, _, err := p.db.PutDraft(p.ctx, ledger.Draft{Body: b, Texts: simTexts, Who: "op"})
		if err != nil {
			return err
		}
		p.notices = append(p.notices, id)
	}
	return p.release(1)
}

// same compares all that stands in both.
func (p *pair) same() error {
	for n, id := range p.notices {
		var state notice.State
		if err := p.pool.QueryRow(p.ctx, `SELECT state FROM notice WHERE id = $1`, id).Scan(&state); err != nil {
			return err
		}
		if err := both(fmt.Sprintf("notice %d", n+1), p.memory.notice(int64(n+1)).State, state); err != nil {
			return err
		}
	}
	var want []string
	for _, c := range p.memory.chunks {
		if c.lo == c.hi { // of a notice that was taken back
			continue
		}
		rest := "leased"
		if c.leaseUntil.IsZero() {
			rest = fmt.Sprint([9]int(c.counts))
		}
		want = append(want, fmt.Sprintf("chunk %d: open %v, epoch %d, %s", c.id, c.open, c.epoch, rest))
		for seq := c.lo; seq < c.hi; seq++ {
			has := func(b bitset) int { return min(1, (b & c.bit(seq)).count()) }
			row := "no outcome"
			if o := c.row(seq); o != nil {
				row = fmt.Sprintf("%s, tries %d, epoch %d, unresolved %d", o.state, o.tries, o.epoch, o.unresolved)
			}
			want = append(want, fmt.Sprintf("%d/%d %s, bits %d%d%d%d; %s", c.id, seq, c.view(seq).state, has(c.dots), has(c.sent), has(c.stopped), has(c.corrects), row))
		}
	}
	have, err := p.stands()
	if err != nil {
		return err
	}
	return both("the ledgers", want, have)
}

// stands returns the rows of Postgres, in the words of the memory.
func (p *pair) stands() (have []string, err error) {
	rows, err := p.pool.Query(p.ctx, `
		SELECT c.id, c.open, c.epoch, CASE WHEN c.lease_until IS NULL THEN c.counts END, d.seq, d.state,
			get_bit(c.dots, d.seq - c.lo), get_bit(c.sent, d.seq - c.lo), get_bit(c.stopped, d.seq - c.lo), coalesce(get_bit(c.corrects, d.seq - c.lo), 0), o.state, o.tries, o.epoch, o.unresolved
		FROM chunk c JOIN delivery d ON d.chunk_id = c.id LEFT JOIN outcome o ON o.notice_id = c.notice_id AND o.seq = d.seq
		WHERE c.id = ANY($1) ORDER BY array_position($1, c.id), d.seq`, p.chunks)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := 0
	for rows.Next() {
		var id, epoch int64
		var open bool
		var counts []int
		var seq, dots, sent, stopped, corrects int
		var state notice.DeliveryState
		var oState *notice.DeliveryState
		var tries *int
		var oEpoch, unresolved *int64
		if err := rows.Scan(&id, &open, &epoch, &counts, &seq, &state, &dots, &sent, &stopped, &corrects, &oState, &tries, &oEpoch, &unresolved); err != nil {
			return nil, err
		}
		at := slices.Index(p.chunks, id) + 1
		if at != last {
			last = at
			rest := "leased"
			if counts != nil {
				rest = fmt.Sprint(counts)
			}
			have = append(have, fmt.Sprintf("chunk %d: open %v, epoch %d, %s", at, open, p.epochs[epoch], rest))
		}
		row := "no outcome"
		if oState != nil {
			row = fmt.Sprintf("%s, tries %d, epoch %d, unresolved %d", *oState, *tries, p.epochs[*oEpoch], p.epochs[*unresolved])
		}
		have = append(have, fmt.Sprintf("%d/%d %s, bits %d%d%d%d; %s", at, seq, state, dots, sent, stopped, corrects, row))
	}
	return have, rows.Err()
}

// end leaves nothing in Postgres that would be moved in time, or swept, for the next pair.
func (p *pair) end() error {
	for _, n := range p.notices {
		if _, err := p.pool.Exec(p.ctx, `DELETE FROM answer WHERE notice_id = $1`, n); err != nil {
			return err
		}
		for _, table := range []string{"outcome", "chunk"} {
			if _, err := p.pool.Exec(p.ctx, `DELETE FROM `+table+` WHERE notice_id = $1`, n); err != nil {
				return err
			}
		}
		if _, err := p.pool.Exec(p.ctx, `UPDATE notice SET state = 'cancelled' WHERE id = $1 AND state <> 'draft'`, n); err != nil {
			return err
		}
	}
	return nil
}

// TestTheLedgerInMemoryIsThatInPostgres: a simulation proves something of the product as far as its ledger is the same.
func TestTheLedgerInMemoryIsThatInPostgres(t *testing.T) {
	t.Parallel()
	e := newEveryLedger(t)
	left, failed := testkit.Size(30, 1000), false // rapid has a hundred, or RAPID_CHECKS; a failure is shrunk, whatever is left
	rapid.Check(t, func(r *rapid.T) {
		if left--; left < 0 && !failed {
			return
		}
		err := e.compare(t.Context(), testkit.Size(25, 60), none, func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(r, what) })
		if failed = failed || err != nil; err != nil {
			r.Fatal(err)
		}
	})
}

// TestAMutantOfTheLedgerInMemoryDiffersFromPostgres: the comparison sees a rule that one of the two lacks.
func TestAMutantOfTheLedgerInMemoryDiffersFromPostgres(t *testing.T) {
	t.Parallel()
	e := newEveryLedger(t)
	const schedules = 500
	caught := []struct {
		mutant
		first uint64 // a schedule that shows it: where schedules have become others, one is looked for from there on
	}{{takeoverForgets, 65}, {cancelWithoutStop, 1}, {late250Dropped, 4}, {suppressForgetsReleased, 0}, {stoppedIsDeferred, 122}, {takeoverOverOutcomes, 124}}
	for _, m := range caught {
		found := error(nil)
		for seed := m.first; found == nil && seed < m.first+schedules; seed++ {
			rng := rand.New(rand.NewPCG(seed, 0))
			found = e.compare(t.Context(), 40, m.mutant, func(_ string, n int) int { return rng.IntN(n) })
		}
		if found == nil {
			t.Errorf("%q is not seen in %d schedules", m.mutant, schedules)
		}
	}
}
