package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Relayed is the word of a relay's log about a mail: the relay has it, or has handed it on.
type Relayed struct {
	MessageID string // with angle brackets
	QueueID   string
	Status    string // the log's words
	At        time.Time
	Server    string // the recipient's, which took it; "" for none
}

// RelayedResult counts the changes by such words.
type RelayedResult struct {
	Settled   int      `json:"settled"`   // uncertain → sent
	Delivered int      `json:"delivered"` // now known to be taken by the recipient's server
	Unknown   int      `json:"unknown"`   // no mails of this ledger
	Open      []string `json:"open"`      // Message-IDs of deliveries without a recorded answer so far: say it again later
}

// Relayed records the words of a relay's log. An uncertain delivery becomes sent where they fit its attempt. One that is
// sent keeps the time at which the recipient's server took it, and the server, the first time. Nothing else changes, and to
// say the same again does no harm.
func (db *DB) Relayed(ctx context.Context, words []Relayed, who string) (done RelayedResult, err error) {
	done.Open = []string{}
	of, known, err := db.noticesOf(ctx, words)
	if err != nil {
		return done, err
	}
	done.Unknown = len(words) - known
	for _, id := range slices.Sorted(maps.Keys(of)) {
		var one RelayedResult
		err := db.inTx(ctx, func(tx pgx.Tx) (err error) {
			one, err = db.relayed(ctx, tx, id, of[id], who)
			return err
		})
		if err != nil {
			return done, fmt.Errorf("record what a relay's log says about notice %d: %w", id, err)
		}
		done.Settled, done.Delivered, done.Open = done.Settled+one.Settled, done.Delivered+one.Delivered, append(done.Open, one.Open...)
	}
	return done, nil
}

// relayedRow is a word about a delivery by its number.
type relayedRow struct {
	Relayed
	seq int32
}

// noticesOf sorts words by the notices of their mails, and counts those that it knows. Of several about one mail the first with a
// server counts, else the last.
func (db *DB) noticesOf(ctx context.Context, words []Relayed) (of map[int64][]relayedRow, known int, err error) {
	var tokens, domains []string
	var seqs, from []int32
	for i, w := range words {
		if token, seq, domain, ok := cutMessageID(w.MessageID); ok {
			tokens, domains, seqs, from = append(tokens, token), append(domains, domain), append(seqs, seq), append(from, int32(i))
		}
	}
	rows, _ := db.pool.Query(ctx, `
		SELECT n.id, m.seq, m.i FROM unnest($1::text[], $2::text[], $3::int[], $4::int[]) AS m(token, domain, seq, i)
		JOIN notice n ON n.message_token = m.token AND n.message_domain = m.domain AND n.plan_id IS NOT NULL ORDER BY m.i`, tokens, domains, seqs, from)
	type place struct {
		id  int64
		seq int32
	}
	of = map[int64][]relayedRow{}
	at := map[place]int{}
	var id int64
	var seq, i int32
	_, err = pgx.ForEachRow(rows, []any{&id, &seq, &i}, func() error {
		w, list := words[i], of[id]
		known++
		before, twice := at[place{id, seq}]
		switch {
		case !twice:
			at[place{id, seq}], of[id] = len(list), append(list, relayedRow{w, seq})
		case list[before].Server == "":
			list[before].Relayed = w
		}
		return nil
	})
	return of, known, wrap(err, "look for the mails of a relay's log")
}

// relayedState is a delivery in the eyes of a log.
type relayedState struct {
	Seq   int32
	State notice.DeliveryState
	Epoch int64
	Fits  bool // the time of the log is one in which the attempt can have reached the relay
}

func (db *DB) relayed(ctx context.Context, tx pgx.Tx, id int64, words []relayedRow, who string) (done RelayedResult, err error) {
	of := map[int32]Relayed{}
	var seqs []int32
	var at []time.Time
	for _, w := range words {
		of[w.seq], seqs, at = w.Relayed, append(seqs, w.seq), append(at, w.At)
	}
	found, err := findRows(ctx, tx, `SELECT $1::bigint, seq FROM unnest($2::int[]) AS m(seq)`, id, seqs)
	if err != nil || len(found.seqs) == 0 {
		return done, err
	}
	if err := lockChunks(ctx, tx, found.chunks); err != nil {
		return done, err
	}
	rows, _ := tx.Query(ctx, named(`
		SELECT d.seq, d.state, d.epoch, d.state = {uncertain} AND m.at BETWEEN s.from_at AND s.until_at
		FROM notice n CROSS JOIN unnest($2::int[], $3::timestamptz[]) AS m(seq, at)
		CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id AND lo <= m.seq AND hi > m.seq ORDER BY lo DESC LIMIT 1) c
		CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = c.id AND seq = m.seq OFFSET 0) d
		CROSS JOIN LATERAL (SELECT `+windowColumns("$4", "$5")+`) AS s(from_at, until_at, gate_from, gate_open)
		WHERE n.id = $1`), id, seqs, at, clockSlack, db.opts.Gate)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relayedState])
	if err != nil {
		return done, fmt.Errorf("read what the log is about: %w", err)
	}
	var taken attemptSet
	var proofs []Evidence
	var sent []int32
	for _, d := range all {
		w := of[d.Seq]
		switch {
		case d.Fits:
			taken.seqs, taken.epochs, taken.from = append(taken.seqs, d.Seq), append(taken.epochs, d.Epoch), append(taken.from, len(proofs))
			proofs = append(proofs, Evidence{w.MessageID, d.Epoch, w.QueueID, w.Status, w.At})
			fallthrough
		case d.State == notice.DeliverySent:
			if w.Server != "" {
				sent = append(sent, d.Seq)
			}
		case d.State.Open():
			done.Open = append(done.Open, w.MessageID)
		}
	}
	if len(proofs) > 0 {
		var settled Reconciled
		if err := settleTaken(ctx, tx, id, taken, proofs, who, &settled); err != nil {
			return done, err
		}
		done.Settled = settled.Sent
		if err := recordAct(ctx, tx, id, who, "reconcile", fmt.Sprintf("%d taken, by a log that is followed", settled.Sent)); err != nil {
			return done, err
		}
		if err := recountAndReopen(ctx, tx, found.chunks); err != nil {
			return done, err
		}
	}
	done.Delivered, err = deliveredByLog(ctx, tx, id, sent, of)
	return done, err
}

// deliveredByLog notes when the recipients' servers took mails that were sent, and which servers those were, where that is new.
func deliveredByLog(ctx context.Context, tx pgx.Tx, id int64, seqs []int32, of map[int32]Relayed) (int, error) {
	var at []time.Time
	var by []string
	for _, seq := range seqs {
		at, by = append(at, of[seq].At), append(by, of[seq].Server)
	}
	tag, err := tx.Exec(ctx, named(`
		INSERT INTO outcome AS o (notice_id, seq, state, tries, epoch, delivered_at, delivered_by)
		SELECT d.notice_id, d.seq, {sent}, d.tries, d.epoch, m.at, CASE WHEN d.address_key LIKE 'erased:%' THEN '' ELSE m.by END
		FROM unnest($2::int[], $3::timestamptz[], $4::text[]) AS m(seq, at, by)
		CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = $1 AND lo <= m.seq AND hi > m.seq ORDER BY lo DESC LIMIT 1) c
		CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = c.id AND seq = m.seq OFFSET 0) d
		WHERE d.state = {sent} AND d.delivered_at IS NULL
		ON CONFLICT (notice_id, seq) DO UPDATE SET delivered_at = excluded.delivered_at, delivered_by = excluded.delivered_by`), id, seqs, at, by)
	if err != nil {
		return 0, fmt.Errorf("note deliveries: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
