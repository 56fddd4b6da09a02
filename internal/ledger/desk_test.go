package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// desk is a ledger with a released notice, and a second connection for changes that only a test may make.
type desk struct {
	*ledger.DB
	t    *testing.T
	url  string
	pool *pgxpool.Pool
	id   int64
	ref  string
}

// release returns a ledger in which a notice to so many mailboxes was released and expanded.
func release(t *testing.T, mailboxes int) *desk {
	t.Helper()
	d := open(t)
	d.releaseTo(mailboxes)
	return d
}

// releaseTo releases notice n1 to so many customers.
func (d *desk) releaseTo(mailboxes int) {
	d.t.Helper()
	d.exec(`INSERT INTO customer (id, name, email, email_key)
		SELECT 'c' || i, 'Customer ' || i, 'c' || i || '@example.com', 'c' || i || '@example.com' FROM generate_series(1, $1::int) i`, mailboxes)
	d.send(notice.Body{Key: "n1"})
}

func open(t *testing.T) *desk {
	t.Helper()
	return deskOn(t, testkit.Postgres(t), ledger.Options{MaxConns: 24})
}

// deskOn is open on the database of this URL.
func deskOn(t *testing.T, url string, o ledger.Options) *desk {
	t.Helper()
	db, err := ledger.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &desk{DB: db, t: t, url: url, pool: pool}
}

var anybody = ledger.Audience{
	DefaultLanguage: "en",
	Match:           func(want string) (string, bool) { return "en", want == "en" },
	Each:            func(notice.Recipient, string) error { return nil },
	Judge:           func() error { return nil },
}

// all is the audience of everybody for a body.
func all(b notice.Body) ledger.Audience {
	a := anybody
	a.Body = b
	return a
}

func (d *desk) send(b notice.Body) {
	d.t.Helper()
	d.sendTo(b, ledger.Choice{})
}

// sendTo releases and expands a notice to the customers of a choice.
func (d *desk) sendTo(b notice.Body, c ledger.Choice) {
	d.t.Helper()
	d.sendThrough(d.DB, b, c)
}

func (d *desk) sendThrough(db *ledger.DB, b notice.Body, c ledger.Choice) {
	d.t.Helper()
	ctx := d.t.Context()
	if b.Incident == "" {
		b.Incident = b.Key
	}
	if b.Phase == "" {
		b.Phase = "identified"
	}
	if b.Kind == "" {
		b.Kind = notice.Outage
	}
	b.DefaultLanguage = "en"
	id, _, err := db.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, b.Key
	a := all(b)
	a.Choice = c
	if _, err := db.Release(ctx, id, a, ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) exec(sql string, args ...any) {
	d.t.Helper()
	_, err := d.pool.Exec(d.t.Context(), sql, args...)
	d.must(err)
}

// claim claims the notice's only chunk.
func (d *desk) claim(holder string) ledger.Claim {
	d.t.Helper()
	var id int64
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT id FROM chunk WHERE notice_id = $1`, d.id).Scan(&id))
	c, ok, err := d.Claim(d.t.Context(), id, holder)
	d.must(err)
	if !ok {
		d.t.Fatalf("%s was not given the chunk", holder)
	}
	return c
}

func (d *desk) closeChunk(c ledger.Claim) {
	d.t.Helper()
	_, err := d.CloseChunk(d.t.Context(), c)
	d.must(err)
}

func (d *desk) loseLease() {
	d.t.Helper()
	d.exec(`UPDATE chunk SET lease_until = clock_timestamp() - interval '1 second' WHERE notice_id = $1 AND lease_until IS NOT NULL`, d.id)
}

func attempt(c ledger.Claim, seq int) ledger.Attempt {
	return ledger.Attempt{NoticeID: c.NoticeID, Seq: seq, ChunkID: c.ChunkID, Epoch: c.Epoch}
}

// mark asks for a mark and says whether it was given.
func (d *desk) mark(a ledger.Attempt) bool {
	d.t.Helper()
	granted, err := d.Commit(d.t.Context(), []ledger.Attempt{a}, nil)
	d.must(err)
	return granted[0]
}

func (d *desk) answer(a ledger.Attempt, s notice.DeliveryState, code int) {
	d.t.Helper()
	d.record(ledger.Outcome{Attempt: a, State: s, Heard: time.Now(), Answer: notice.Answer{Code: code, Relay: "main", Text: "answer"}})
}

func (d *desk) record(o ledger.Outcome) {
	d.t.Helper()
	_, err := d.Commit(d.t.Context(), nil, []ledger.Outcome{o})
	d.must(err)
}

// deliver has all that is due in the notice's only chunk sent.
func (d *desk) deliver() {
	d.t.Helper()
	c := d.claim("deliver")
	for _, due := range c.Due {
		if !d.mark(attempt(c, due.Seq)) {
			d.t.Fatalf("delivery %d can't be marked", due.Seq)
		}
		d.answer(attempt(c, due.Seq), notice.DeliverySent, 250)
	}
	d.closeChunk(c)
}

func (d *desk) state(seq int) notice.DeliveryState {
	d.t.Helper()
	var s notice.DeliveryState
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT state FROM delivery WHERE notice_id = $1 AND seq = $2`, d.id, seq).Scan(&s))
	return s
}

func (d *desk) wantState(seq int, want notice.DeliveryState) {
	d.t.Helper()
	if got := d.state(seq); got != want {
		d.t.Errorf("delivery %d is %s, want %s", seq, got, want)
	}
}

func (d *desk) wantNotice(want notice.State) {
	d.t.Helper()
	if got, err := d.State(d.t.Context(), d.ref); err != nil || got != want {
		d.t.Errorf("the notice is %s (%v), want %s", got, err, want)
	}
}

// wantCounts checks the counts that differ from zero, and that they add up to the recipients.
func (d *desk) wantCounts(want map[string]int) {
	d.t.Helper()
	s, err := d.Status(d.t.Context(), d.ref)
	d.must(err)
	got, sum := map[string]int{}, 0
	for state, n := range s.Counts {
		sum += n
		if n != 0 {
			got[state] = n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("counts (-want +got):\n%s", diff)
	}
	if sum != s.Recipients {
		d.t.Errorf("the counts add up to %d, the notice has %d recipients", sum, s.Recipients)
	}
}
