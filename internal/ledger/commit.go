package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"tocsin/internal/notice"
)

// Attempt names one attempt of one delivery: every mark and every answer carries its epoch.
type Attempt struct {
	NoticeID int64
	Seq      int
	ChunkID  int64
	Epoch    int64
	// Again says that the mark was asked for before in this epoch, and that there was no dot, no no-dot and no giving
	// up since: the commit was not acknowledged, or its connection was lost. Another first ask is refused.
	Again bool
}

// Outcome is the answer to an attempt, to be recorded.
type Outcome struct {
	Attempt
	State  notice.DeliveryState // sent, deferred, failed or uncertain
	NoDot  bool                 // it is certain that no dot was written
	Delay  time.Duration        // deferred: until the next attempt
	Heard  time.Time            // when the answer came, on this machine's clock
	Answer notice.Answer
	Reason string
	Digest int64 // of the message, where its dot was written; 0: there is none
}

// Commit marks deliveries and records outcomes, all in one transaction and one round trip. It returns, per mark,
// whether its dot may be written. Only then was the mark committed, under the chunk's current epoch and lease, without
// a no-dot of the same epoch that was recorded meanwhile. Outcomes that the lease no longer covers are recorded the late
// way. After an error nothing is known: the same marks (same epoch, Again) and outcomes may be given again.
func (db *DB) Commit(ctx context.Context, marks []Attempt, outcomes []Outcome) (granted []bool, err error) {
	conn, err := db.marks.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach the ledger: %w", err)
	}
	asked := marks
	if !db.fence.mayMark() || !db.mayWork() {
		asked = nil
	}
	c, err := db.newCommit(ctx, conn, asked, outcomes)
	if err == nil {
		err = c.send(ctx, conn.Conn())
	}
	conn.Release() // one that is not idle, after an error, is closed by the pool
	if errors.Is(err, errLost) {
		return nil, errors.Join(err, db.lostOwn(ctx))
	}
	if err != nil {
		return nil, err
	}
	if len(asked) > 0 && !db.fence.waits(c.setting) {
		// Commits wait for other standbys than the note says. The mirrors hear of that before a dot does.
		if err := db.CompareMarks(ctx); err != nil {
			return nil, err
		}
	}
	if late := c.late(); len(late) > 0 {
		if err := db.recordLate(ctx, late); err != nil {
			return nil, err
		}
	}
	if len(asked) < len(marks) {
		return make([]bool, len(marks)), nil
	}
	return c.granted(), nil
}

const lockSQL = `SELECT id FROM chunk WHERE id = ANY($1) ORDER BY id `

// markSQL (M): a bit that is set is not given twice; a first ask for one is refused, with all others of its chunk. An ask
// that is repeated sets the bit where its first commit was lost on the way.
const markSQL = `
	UPDATE chunk c SET dots = c.dots | ((m.fresh | m.again) & ~(c.stopped | c.sent))
	FROM unnest($1::bigint[], $2::bigint[], $3::varbit[], $4::varbit[]) AS m(id, epoch, fresh, again), notice n
	WHERE c.id = m.id AND c.epoch = m.epoch AND c.lease_until > clock_timestamp() + $5
		AND n.id = c.notice_id AND n.state = 'sending' AND (n.expires_at IS NULL OR n.expires_at > clock_timestamp())
		AND NOT EXISTS (SELECT FROM hold h WHERE h.removed_at IS NULL AND h.from_at < clock_timestamp() + $5 AND h.until_at > clock_timestamp())
		AND bit_count(c.dots & m.fresh) = 0
	RETURNING c.id, c.epoch, c.dots & (m.fresh | m.again) & ~(c.stopped | c.sent)`

// sentSQL (S) sets the bits of 250s, and keeps their replies. A chunk that was given back is counted: a change of it
// then must be counted too, so it goes the late way. A reply to an erased customer may repeat the address.
const sentSQL = `
	WITH taken AS (
		UPDATE chunk c SET sent = c.sent | m.sent, first_sent_at = least(c.first_sent_at, clock_timestamp() - m.age),
			last_sent_at = greatest(c.last_sent_at, clock_timestamp() - m.age)
		FROM unnest($1::bigint[], $2::bigint[], $3::varbit[], $4::interval[]) AS m(id, epoch, sent, age)
		WHERE c.id = m.id AND c.epoch = m.epoch AND c.lease_until IS NOT NULL
		RETURNING c.id, c.epoch, c.notice_id, c.plan_id, c.lo, c.stopped
	), answers AS (` + keepAnswersSQL + `)
	SELECT id, epoch FROM taken`

// outcomeSQL (O) has one hole: the conditions on the chunk. Under a stopped bit there is no next try; an erased customer has
// no reply kept.
const outcomeSQL = `
	INSERT INTO outcome AS d (notice_id, seq, state, tries, code, epoch, due_at, reason, relay, enhanced, reply, digest)
	SELECT c.notice_id, m.seq, CASE WHEN m.state = {deferred} AND s.stopped THEN {cancelled} ELSE m.state END, 1, m.code, m.epoch,
		CASE WHEN m.state = {deferred} AND NOT s.stopped THEN clock_timestamp() + m.delay END,
		CASE WHEN m.state = {deferred} AND s.stopped THEN s.why ELSE m.reason END, m.relay, m.enhanced, CASE WHEN s.why = 'erased' THEN '' ELSE m.reply END,
		CASE WHEN s.why <> 'erased' THEN nullif(m.digest, 0) END
	FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bool[], $6::interval[],
			$7::smallint[], $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[])
		AS m(seq, chunk_id, epoch, state, nodot, delay, code, enhanced, relay, reply, reason, digest)
	JOIN chunk c ON c.id = m.chunk_id
	CROSS JOIN LATERAL (SELECT get_bit(c.stopped, m.seq - c.lo) = 1 AS stopped,
		CASE WHEN get_bit(c.stopped, m.seq - c.lo) = 1 THEN stop_reason(c.notice_id, c.plan_id, m.seq) ELSE '' END AS why) s
	WHERE get_bit(c.sent, m.seq - c.lo) = 0 AND %s
	ON CONFLICT (notice_id, seq) DO UPDATE SET
		tries = d.tries + (d.epoch < excluded.epoch)::int,
		epoch = greatest(d.epoch, excluded.epoch),
		unresolved = CASE WHEN excluded.state IN ({deferred}, {failed}, {cancelled}) AND d.unresolved = excluded.epoch THEN 0 ELSE d.unresolved END,
		state = CASE WHEN excluded.state = {cancelled} AND d.unresolved NOT IN (0, excluded.epoch) THEN {uncertain} ELSE excluded.state END,
		reason = CASE WHEN excluded.state = {failed} AND d.unresolved NOT IN (0, excluded.epoch)
			THEN concat_ws(', ', nullif(excluded.reason, ''), 'an earlier attempt is unresolved') ELSE excluded.reason END,
		due_at = excluded.due_at, at = excluded.at, code = excluded.code, enhanced = excluded.enhanced, relay = excluded.relay, reply = excluded.reply,
		digest = excluded.digest
	WHERE d.state IN ({queued}, {deferred}) AND d.epoch < excluded.epoch
		OR d.state = {uncertain} AND d.epoch = excluded.epoch AND excluded.state <> {uncertain}
	RETURNING d.notice_id, d.seq, d.epoch`

var (
	outcomeHeldSQL = named(fmt.Sprintf(outcomeSQL,
		`c.epoch = m.epoch AND c.lease_until IS NOT NULL AND (get_bit(c.dots, m.seq - c.lo) = 1 OR m.nodot)`))
	// A late no-dot gives birth to no row.
	outcomeLateSQL = named(fmt.Sprintf(outcomeSQL, `(c.epoch = m.epoch AND get_bit(c.dots, m.seq - c.lo) = 1
		OR EXISTS (SELECT FROM outcome x WHERE x.notice_id = c.notice_id AND x.seq = m.seq AND x.epoch = m.epoch))`))
)

// markNumberSQL counts the marks of a worker, in the transaction that makes them.
const markNumberSQL = `
	INSERT INTO mark_number (worker, number) VALUES ($1, $2)
	ON CONFLICT (worker) DO UPDATE SET number = mark_number.number + excluded.number, changed_at = clock_timestamp()
	RETURNING number, current_setting('synchronous_standby_names')`

// claimKey names a claim of a chunk.
type claimKey struct{ chunk, epoch int64 }

// commit is one transaction of marks and outcomes.
type commit struct {
	db       *DB
	marks    []Attempt
	sent     []Outcome // 250s
	others   []Outcome
	repeated []Outcome // to attempts of which the batch has another: one INSERT can't change a row twice
	runs     map[int64]run
	marked   map[claimKey]bitmap
	taken    map[claimKey]bool
	recorded map[Attempt]bool // by notice, seq and epoch
	setting  string           // synchronous_standby_names, as of the marks
}

func (db *DB) newCommit(ctx context.Context, q querier, marks []Attempt, outcomes []Outcome) (c *commit, err error) {
	c = &commit{db: db, marks: marks, marked: map[claimKey]bitmap{}, taken: map[claimKey]bool{}, recorded: map[Attempt]bool{}}
	c.runs, err = db.runs.of(ctx, q, chunksOf(marks, outcomes))
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		_, repeated := c.recorded[o.row()]
		switch {
		case !c.runs[o.ChunkID].covers(o.Seq): // its rows were dropped: there is nothing to record it on
		case o.State == notice.DeliverySent:
			c.sent = append(c.sent, o)
		case repeated:
			c.repeated = append(c.repeated, o)
		default:
			c.others = append(c.others, o)
			c.recorded[o.row()] = false
		}
	}
	return c, nil
}

func (c *commit) send(ctx context.Context, conn *pgx.Conn) error {
	// Marks and 250s change the chunk's row; other outcomes only keep everybody else from it.
	lock := `FOR KEY SHARE`
	if len(c.marks)+len(c.sent) > 0 {
		lock = `FOR NO KEY UPDATE`
	}
	var b pgx.Batch
	b.Queue(`BEGIN`)
	b.Queue(lockSQL+lock, chunksOf(c.marks, append(c.sent[:len(c.sent):len(c.sent)], c.others...)))
	var number int64
	least := c.db.fence.remembered()[c.db.fence.worker] + int64(len(c.marks))
	if len(c.sent) > 0 {
		b.Queue(sentSQL, c.sentArgs()...).Query(func(rows pgx.Rows) error {
			var k claimKey
			_, err := pgx.ForEachRow(rows, []any{&k.chunk, &k.epoch}, func() error { c.taken[k] = true; return nil })
			return err
		})
	}
	if len(c.others) > 0 {
		b.Queue(outcomeHeldSQL, outcomeArgs(c.others)...).Query(func(rows pgx.Rows) error {
			var a Attempt
			_, err := pgx.ForEachRow(rows, []any{&a.NoticeID, &a.Seq, &a.Epoch}, func() error { c.recorded[a] = true; return nil })
			return err
		})
	}
	if len(c.marks) > 0 {
		b.Queue(markSQL, append(c.markArgs(), c.db.opts.DotGrace)...).Query(func(rows pgx.Rows) error {
			var k claimKey
			var granted bitmap
			_, err := pgx.ForEachRow(rows, []any{&k.chunk, &k.epoch, &granted}, func() error {
				c.marked[k] = granted
				return nil
			})
			return err
		})
		b.Queue(markNumberSQL, c.db.fence.worker, len(c.marks)).QueryRow(func(row pgx.Row) error { return row.Scan(&number, &c.setting) })
	}
	b.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return fmt.Errorf("the server answered %s", tag)
		}
		return nil
	})
	if err := conn.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("commit marks and outcomes: %w", err)
	}
	if err := synced(conn); err != nil {
		return fmt.Errorf("commit marks and outcomes: %w", err)
	}
	if len(c.marks) > 0 {
		number, err := c.db.total(ctx, conn, number, least)
		if err != nil {
			return err
		}
		c.db.fence.acknowledged(number)
	}
	return nil
}

// granted returns, per mark, whether its bit was set.
func (c *commit) granted() []bool {
	all := make([]bool, len(c.marks))
	for i, m := range c.marks {
		r := c.runs[m.ChunkID]
		all[i] = r.covers(m.Seq) && c.marked[claimKey{m.ChunkID, m.Epoch}].has(m.Seq-r.lo)
	}
	return all
}

// row names the attempt as a row of the ledger does.
func (a Attempt) row() Attempt { return Attempt{NoticeID: a.NoticeID, Seq: a.Seq, Epoch: a.Epoch} }

// late returns the outcomes that were not recorded under the lease.
func (c *commit) late() (late []Outcome) {
	for _, o := range c.sent {
		if !c.taken[claimKey{o.ChunkID, o.Epoch}] {
			late = append(late, o)
		}
	}
	for _, o := range c.others {
		if !c.recorded[o.row()] {
			late = append(late, o)
		}
	}
	return append(late, c.repeated...)
}

// markArgs gathers the marks of each claim of a chunk into two bitmaps.
func (c *commit) markArgs() []any {
	type asks struct{ fresh, again bitmap }
	var keys []claimKey
	by := map[claimKey]asks{}
	for _, m := range c.marks {
		r := c.runs[m.ChunkID]
		if !r.covers(m.Seq) {
			continue
		}
		k := claimKey{m.ChunkID, m.Epoch}
		a, ok := by[k]
		if !ok {
			a = asks{r.zero(), r.zero()}
			by[k], keys = a, append(keys, k)
		}
		if m.Again {
			a.again.set(m.Seq - r.lo)
		} else {
			a.fresh.set(m.Seq - r.lo)
		}
	}
	var chunks, epochs []int64
	var fresh, again []pgtype.Bits
	for _, k := range keys {
		r, a := c.runs[k.chunk], by[k]
		chunks, epochs = append(chunks, k.chunk), append(epochs, k.epoch)
		fresh, again = append(fresh, r.varbit(a.fresh)), append(again, r.varbit(a.again))
	}
	return []any{chunks, epochs, fresh, again}
}

// sentArgs gathers the 250s of each claim of a chunk into a bitmap, and lists their replies.
func (c *commit) sentArgs() []any {
	var keys []claimKey
	by := map[claimKey]bitmap{}
	ages := map[claimKey]time.Duration{}
	for _, o := range c.sent {
		k, r := claimKey{o.ChunkID, o.Epoch}, c.runs[o.ChunkID]
		if by[k] == nil {
			by[k], keys, ages[k] = r.zero(), append(keys, k), age(o)
		}
		by[k].set(o.Seq - r.lo)
		ages[k] = min(ages[k], age(o))
	}
	var chunks, epochs []int64
	var sent []pgtype.Bits
	var since []time.Duration
	for _, k := range keys {
		chunks, epochs, since = append(chunks, k.chunk), append(epochs, k.epoch), append(since, ages[k])
		sent = append(sent, c.runs[k.chunk].varbit(by[k]))
	}
	return append([]any{chunks, epochs, sent, since}, replyArgs(c.sent)...)
}

// age is how long ago an answer came.
func age(o Outcome) time.Duration { return max(0, time.Since(o.Heard)) }

func outcomeArgs(outcomes []Outcome) []any {
	n := len(outcomes)
	seqs, chunks, epochs := make([]int32, n), make([]int64, n), make([]int64, n)
	states, nodots, delays, codes := make([]int16, n), make([]bool, n), make([]time.Duration, n), make([]int16, n)
	enhanced, relays, replies, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	digests := make([]int64, n)
	for i, o := range outcomes {
		seqs[i], chunks[i], epochs[i] = int32(o.Seq), o.ChunkID, o.Epoch
		states[i], nodots[i], delays[i], codes[i] = int16(o.State), o.NoDot, o.Delay, int16(o.Answer.Code)
		enhanced[i], relays[i], replies[i], reasons[i] = o.Answer.Enhanced, o.Answer.Relay, o.Answer.Text, o.Reason
		digests[i] = o.Digest
	}
	return []any{seqs, chunks, epochs, states, nodots, delays, codes, enhanced, relays, replies, reasons, digests}
}

func chunksOf(marks []Attempt, outcomes []Outcome) (ids []int64) {
	for _, m := range marks {
		ids = append(ids, m.ChunkID)
	}
	for _, o := range outcomes {
		ids = append(ids, o.ChunkID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
