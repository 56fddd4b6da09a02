package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Attempt names one attempt of one delivery: every mark and every answer carries its epoch.
type Attempt struct {
	NoticeID int64
	Seq      int
	ChunkID  int64
	Epoch    int64
	// Again says of a mark that it was asked for before under this epoch, and that neither a dot nor a no-dot has
	// followed: its commit was not acknowledged, or its connection is lost. A mark that is asked for the first time is
	// not given where one is set already.
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
}

// Commit marks deliveries "sending" and records outcomes, all in one transaction and one round trip. It returns,
// per mark, whether its dot may be written: only then was the mark committed, under the chunk's current epoch and
// lease. Outcomes that the lease no longer covers are recorded the late way. After an error nothing is known: the
// same marks (same epoch) and outcomes may be given again.
func (db *DB) Commit(ctx context.Context, marks []Attempt, outcomes []Outcome) (granted []bool, err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach the ledger: %w", err)
	}
	asked := marks
	if !db.fence.mayMark() {
		asked = nil
	}
	granted, late, err := db.commit(ctx, conn.Conn(), asked, outcomes)
	conn.Release() // one that is not idle, after an error, is closed by the pool
	if err != nil {
		return nil, err
	}
	if len(late) > 0 {
		if err := db.recordLate(ctx, late); err != nil {
			return nil, err
		}
	}
	if len(asked) < len(marks) {
		granted = make([]bool, len(marks))
	}
	return granted, nil
}

const lockSQL = `SELECT id FROM chunk WHERE id = ANY($1) ORDER BY id `

const markSQL = `
	UPDATE delivery d SET state = 1, tries = d.tries + (d.epoch < m.epoch)::int, epoch = m.epoch,
		dot_by = clock_timestamp() + $5, at = clock_timestamp()
	FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[]) AS m(notice_id, seq, chunk_id, epoch)
	JOIN chunk c ON c.id = m.chunk_id AND c.epoch = m.epoch AND c.lease_until > clock_timestamp() + $5
	JOIN notice n ON n.id = m.notice_id AND n.state = 'sending' AND (n.expires_at IS NULL OR n.expires_at > clock_timestamp())
		AND NOT EXISTS (SELECT FROM hold h WHERE h.from_at < clock_timestamp() + $5 AND h.until_at > clock_timestamp())
	WHERE d.notice_id = m.notice_id AND d.seq = m.seq
		AND (d.state IN (0, 3) AND d.epoch < m.epoch OR d.state = 1 AND d.epoch = m.epoch)
	RETURNING m.notice_id, m.seq, m.chunk_id, m.epoch`

// outcomeSQL has one hole: the lease's condition on the chunk, or "true" on the late path. What was erased while it was
// being sent is not tried again, and a reply, which may repeat the address, is not kept.
const outcomeSQL = `
	UPDATE delivery d SET
		epoch = greatest(d.epoch, m.epoch),
		tries = d.tries + (d.epoch < m.epoch)::int,
		unresolved = CASE WHEN m.state IN (3, 4) AND d.unresolved = m.epoch THEN 0 ELSE d.unresolved END,
		state = CASE WHEN m.state = 3 AND (n.state = 'cancelled' OR d.address_key LIKE 'erased:%%')
			THEN CASE WHEN d.unresolved IN (0, m.epoch) THEN 7 ELSE 5 END ELSE m.state END,
		reason = CASE WHEN m.state = 3 AND d.address_key LIKE 'erased:%%' THEN 'erased'
			WHEN m.state = 3 AND n.state = 'cancelled' THEN n.reason
			WHEN m.state = 4 AND d.unresolved NOT IN (0, m.epoch) THEN concat_ws(', ', nullif(m.reason, ''), 'an earlier attempt is unresolved')
			ELSE m.reason END,
		due_at = CASE WHEN m.state = 3 THEN clock_timestamp() + m.delay ELSE d.due_at END,
		at = clock_timestamp(),
		sent_at = CASE WHEN m.state = 2 THEN clock_timestamp() - m.age ELSE d.sent_at END,
		code = m.code, enhanced = m.enhanced, relay = m.relay,
		reply = CASE WHEN d.address_key LIKE 'erased:%%' THEN '' ELSE m.reply END
	FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::smallint[], $6::bool[], $7::interval[], $8::interval[],
			$9::smallint[], $10::text[], $11::text[], $12::text[], $13::text[])
		AS m(notice_id, seq, chunk_id, epoch, state, nodot, delay, age, code, enhanced, relay, reply, reason)
	JOIN chunk c ON c.id = m.chunk_id AND %s
	JOIN notice n ON n.id = m.notice_id
	WHERE d.notice_id = m.notice_id AND d.seq = m.seq
		AND (d.epoch = m.epoch AND (d.state = 1 OR d.state = 5 AND m.state <> 5)
			OR m.state = 2 AND d.state IN (0, 3, 5)
			OR m.nodot AND c.epoch = m.epoch AND d.epoch < m.epoch AND d.state IN (0, 3))
	RETURNING m.notice_id, m.seq, m.chunk_id, m.epoch`

var (
	// A chunk that was given back is counted: what changes in it then must be counted too, so it goes the late way.
	outcomeHeldSQL = fmt.Sprintf(outcomeSQL, "c.epoch = m.epoch AND c.lease_until IS NOT NULL")
	outcomeLateSQL = fmt.Sprintf(outcomeSQL, "true")
)

// markNumberSQL counts the marks of a worker, in the transaction that makes them.
const markNumberSQL = `
	INSERT INTO mark_number (worker, number) VALUES ($1, $2)
	ON CONFLICT (worker) DO UPDATE SET number = mark_number.number + excluded.number, changed_at = clock_timestamp()
	RETURNING number`

func (db *DB) commit(ctx context.Context, conn *pgx.Conn, marks []Attempt, outcomes []Outcome) (granted []bool, late []Outcome, err error) {
	var b pgx.Batch
	b.Queue(`BEGIN`)
	b.Queue(lockSQL+`FOR SHARE`, chunksOf(marks, outcomes))
	if len(outcomes) > 0 {
		b.Queue(outcomeHeldSQL, outcomeArgs(outcomes)...)
	}
	if len(marks) > 0 {
		b.Queue(markSQL, append(attemptArgs(marks), db.opts.DotGrace)...)
		b.Queue(markNumberSQL, db.fence.worker, len(marks))
	}
	b.Queue(`COMMIT`)

	results := conn.SendBatch(ctx, &b)
	var recorded, marked map[Attempt]bool
	var number int64
	err = func() error {
		for range 2 { // BEGIN and the locks
			if _, err := results.Exec(); err != nil {
				return fmt.Errorf("lock the chunks: %w", err)
			}
		}
		if len(outcomes) > 0 {
			if recorded, err = attemptSet(results); err != nil {
				return fmt.Errorf("record outcomes: %w", err)
			}
		}
		if len(marks) > 0 {
			if marked, err = attemptSet(results); err != nil {
				return fmt.Errorf("mark deliveries: %w", err)
			}
			if err = results.QueryRow().Scan(&number); err != nil {
				return fmt.Errorf("count the marks: %w", err)
			}
		}
		tag, err := results.Exec()
		if err == nil && tag.String() != "COMMIT" {
			err = fmt.Errorf("the server answered %s", tag)
		}
		if err != nil {
			return fmt.Errorf("commit marks and outcomes: %w", err)
		}
		return nil
	}()
	if err := errors.Join(err, results.Close()); err != nil {
		return nil, nil, err
	}
	db.fence.acknowledged(number)
	for _, m := range marks {
		m.Again = false
		granted = append(granted, marked[m])
	}
	for _, o := range outcomes {
		if !recorded[o.Attempt] {
			late = append(late, o)
		}
	}
	return granted, late, nil
}

func attemptSet(results pgx.BatchResults) (map[Attempt]bool, error) {
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	set := map[Attempt]bool{}
	var a Attempt
	_, err = pgx.ForEachRow(rows, []any{&a.NoticeID, &a.Seq, &a.ChunkID, &a.Epoch}, func() error { set[a] = true; return nil })
	return set, err
}

// recordLate records outcomes of attempts whose lease is over. An answer that was recorded before, or that a newer
// attempt has overtaken, changes nothing; a late 250 counts whatever came after it.
func (db *DB) recordLate(ctx context.Context, outcomes []Outcome) error {
	chunks := chunksOf(nil, outcomes)
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockSQL+`FOR UPDATE`, chunks); err != nil {
			return err
		}
		// One by one: two of them may be answers to two attempts of the same delivery.
		for _, o := range outcomes {
			if err := recordOneLate(ctx, tx, o); err != nil {
				return err
			}
		}
		return recountAndReopen(ctx, tx, chunks)
	})
	if err != nil {
		return fmt.Errorf("record late outcomes: %w", err)
	}
	return nil
}

func recordOneLate(ctx context.Context, tx pgx.Tx, o Outcome) error {
	if _, err := tx.Exec(ctx, outcomeLateSQL, outcomeArgs([]Outcome{o})...); err != nil {
		return err
	}
	if o.State != notice.DeliveryDeferred && o.State != notice.DeliveryFailed {
		return nil
	}
	// A definite answer to an attempt that an operator requeued while it was unknown: it is no longer unresolved.
	_, err := tx.Exec(ctx, `UPDATE delivery SET unresolved = 0 WHERE notice_id = $1 AND seq = $2 AND unresolved = $3`,
		o.NoticeID, o.Seq, o.Epoch)
	return err
}

// recountAndReopen recounts locked chunks, and has their notices sent again where a change left something owed.
func recountAndReopen(ctx context.Context, tx pgx.Tx, chunks []int64) error {
	if err := recount(ctx, tx, chunks); err != nil {
		return err
	}
	// Locked even where nothing is reopened: a Finish under way must see these chunks.
	_, err := tx.Exec(ctx, `SELECT 1 FROM notice WHERE id IN (SELECT notice_id FROM chunk WHERE id = ANY($1)) ORDER BY id FOR NO KEY UPDATE`, chunks)
	if err != nil {
		return fmt.Errorf("lock the notices: %w", err)
	}
	_, err = tx.Exec(ctx, `
		UPDATE notice SET state = 'sending'
		WHERE state = 'sent' AND id IN (SELECT notice_id FROM chunk WHERE id = ANY($1) AND open)`, chunks)
	if err != nil {
		return fmt.Errorf("reopen notices: %w", err)
	}
	return nil
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

func attemptArgs(attempts []Attempt) []any {
	n := len(attempts)
	notices, seqs, chunks, epochs := make([]int64, n), make([]int32, n), make([]int64, n), make([]int64, n)
	for i, a := range attempts {
		notices[i], seqs[i], chunks[i], epochs[i] = a.NoticeID, int32(a.Seq), a.ChunkID, a.Epoch
	}
	return []any{notices, seqs, chunks, epochs}
}

func outcomeArgs(outcomes []Outcome) []any {
	n := len(outcomes)
	attempts, states, nodots := make([]Attempt, n), make([]int16, n), make([]bool, n)
	delays, ages, codes := make([]time.Duration, n), make([]time.Duration, n), make([]int16, n)
	enhanced, relays, replies, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, o := range outcomes {
		attempts[i], states[i], nodots[i], delays[i] = o.Attempt, int16(o.State), o.NoDot, o.Delay
		ages[i] = max(0, time.Since(o.Heard))
		codes[i], enhanced[i], relays[i] = int16(o.Answer.Code), o.Answer.Enhanced, o.Answer.Relay
		replies[i], reasons[i] = o.Answer.Text, o.Reason
	}
	return append(attemptArgs(attempts), states, nodots, delays, ages, codes, enhanced, relays, replies, reasons)
}
