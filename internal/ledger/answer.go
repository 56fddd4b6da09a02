package ledger

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// keepAnswersSQL keeps the replies of the chunks in "taken", one row for those that have all but their text in common: $5 to $12 describe
// the rows, and each has its part of $13 to $15. Mails are looked at one by one only in a chunk that has stopped ones.
const keepAnswersSQL = `
	INSERT INTO answer (notice_id, chunk_id, epoch, at, relay, code, enhanced, seqs, replies, digests)
	SELECT t.notice_id, t.id, a.epoch, clock_timestamp() - a.age, a.relay, a.code, a.enhanced, ($13::int[])[a.first:a.last],
		CASE WHEN bit_count(t.stopped) = 0 THEN ($14::text[])[a.first:a.last]
			ELSE ARRAY(SELECT CASE WHEN ` + goneSQL + ` THEN '' ELSE ($14::text[])[i] END FROM generate_series(a.first, a.last) i) END,
		CASE WHEN bit_count(t.stopped) = 0 THEN ($15::bigint[])[a.first:a.last]
			ELSE ARRAY(SELECT CASE WHEN NOT ` + goneSQL + ` THEN ($15::bigint[])[i] END FROM generate_series(a.first, a.last) i) END
	FROM unnest($5::bigint[], $6::bigint[], $7::interval[], $8::text[], $9::smallint[], $10::text[], $11::int[], $12::int[])
		AS a(chunk_id, epoch, age, relay, code, enhanced, first, last)
	JOIN taken t ON t.id = a.chunk_id AND t.epoch = a.epoch
	RETURNING 1`

// goneSQL: the customer of mail i was erased.
const goneSQL = `(CASE WHEN get_bit(t.stopped, ($13::int[])[i] - t.lo) = 1 THEN stop_reason(t.notice_id, t.plan_id, ($13::int[])[i]) = 'erased' ELSE false END)`

// replyArgs lists 250s for keepAnswersSQL.
func replyArgs(outcomes []Outcome) []any {
	type kind struct {
		claimKey
		relay, enhanced string
		code            int
	}
	by := map[kind][]Outcome{}
	for _, o := range outcomes {
		k := kind{claimKey{o.ChunkID, o.Epoch}, o.Answer.Relay, o.Answer.Enhanced, o.Answer.Code}
		by[k] = append(by[k], o)
	}
	n := len(by)
	chunks, epochs, ages, relays := make([]int64, 0, n), make([]int64, 0, n), make([]time.Duration, 0, n), make([]string, 0, n)
	codes, enhanced, first, last := make([]int16, 0, n), make([]string, 0, n), make([]int32, 0, n), make([]int32, 0, n)
	seqs, replies, digests := make([]int32, 0, len(outcomes)), make([]string, 0, len(outcomes)), make([]pgtype.Int8, 0, len(outcomes))
	for k, all := range by {
		least := age(all[0])
		first = append(first, int32(len(seqs)+1))
		for _, o := range all {
			least = min(least, age(o))
			seqs, replies, digests = append(seqs, int32(o.Seq)), append(replies, o.Answer.Text), append(digests, pgtype.Int8{Int64: o.Digest, Valid: o.Digest != 0})
		}
		last = append(last, int32(len(seqs)))
		chunks, epochs, ages, relays = append(chunks, k.chunk), append(epochs, k.epoch), append(ages, least), append(relays, k.relay)
		codes, enhanced = append(codes, int16(k.code)), append(enhanced, k.enhanced)
	}
	return []any{chunks, epochs, ages, relays, codes, enhanced, first, last, seqs, replies, digests}
}
