package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Pins numbers the compiled mails of a plan; package render implements it. Recipients of all kinds but those without a usable
// mailbox have one.
type Pins interface {
	// Number returns the number, from 1, of the mail to a recipient, or 0: none is kept.
	Number(r notice.Recipient, text string) int
	// Correction is Number for the mail with the correction, where the notice is an amendment.
	Correction(r notice.Recipient, text string) int
	// Encoded returns the mails, the first of number 1.
	Encoded() [][]byte
}

// keepPins keeps the compiled mails of a plan. Mails are locked in the order of their digests, as dropPins does, so that
// none that is kept already goes meanwhile. It returns their digests.
func keepPins(ctx context.Context, tx pgx.Tx, plan int64, pins Pins) ([][]byte, error) {
	if pins == nil || len(pins.Encoded()) == 0 {
		return nil, nil
	}
	encoded := pins.Encoded()
	digests, mails := make([][]byte, len(encoded)), map[[sha256.Size]byte][]byte{}
	for i, m := range encoded {
		sum := sha256.Sum256(m)
		digests[i], mails[sum] = sum[:], m
	}
	ordered := slices.Clone(digests)
	slices.SortFunc(ordered, bytes.Compare)
	var b pgx.Batch
	for _, sum := range slices.CompactFunc(ordered, bytes.Equal) {
		b.Queue(`INSERT INTO mail (digest, encoded) VALUES ($1, $2) ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest`,
			sum, mails[[sha256.Size]byte(sum)])
	}
	b.Queue(`INSERT INTO pin (plan_id, number, digest) SELECT $1, number, digest FROM unnest($2::bytea[]) WITH ORDINALITY AS d(digest, number)`,
		plan, digests)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("keep the compiled mails of plan %d: %w", plan, err)
	}
	return digests, nil
}

// Mails returns the compiled mails of a notice that have these numbers.
func (db *DB) Mails(ctx context.Context, noticeID int64, numbers []int) (map[int][]byte, error) {
	mails := map[int][]byte{}
	rows, _ := db.pool.Query(ctx, `
		SELECT p.number, p.digest, m.encoded FROM notice n JOIN pin p ON p.plan_id = n.plan_id JOIN mail m ON m.digest = p.digest
		WHERE n.id = $1 AND p.number = ANY($2::int[])`, noticeID, numbers)
	var number int
	var digest, encoded []byte
	_, err := pgx.ForEachRow(rows, []any{&number, &digest, &encoded}, func() error {
		if sum := sha256.Sum256(encoded); !bytes.Equal(sum[:], digest) {
			return fmt.Errorf("compiled mail %d is not the one that was kept: its digest differs", number)
		}
		mails[number] = encoded
		return nil
	})
	if err == nil && len(mails) < len(numbers) {
		err = fmt.Errorf("%d of %d are missing", len(numbers)-len(mails), len(numbers))
	}
	return mails, wrap(err, "read the compiled mails of notice %d", noticeID)
}

// dropPins lets go of a plan's compiled mails, and drops those that no other plan has.
func dropPins(ctx context.Context, tx pgx.Tx, plan int64) error {
	digests, err := collect[[]byte](ctx, tx, `DELETE FROM pin WHERE plan_id = $1 RETURNING digest`, plan)
	if err == nil {
		_, err = tx.Exec(ctx, `SELECT FROM mail WHERE digest = ANY($1) ORDER BY digest FOR UPDATE`, digests)
	}
	if err == nil { // a later statement: it sees the pins of a plan that held the lock meanwhile
		_, err = tx.Exec(ctx, `DELETE FROM mail m WHERE digest = ANY($1) AND NOT EXISTS (SELECT FROM pin WHERE digest = m.digest)`, digests)
	}
	return wrap(err, "drop the compiled mails of plan %d", plan)
}
