package ledger

import (
	"context"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// run is which deliveries a chunk covers: from seq lo, size of them. It never changes.
type run struct{ lo, size int }

// bitmap has a bit for each of a chunk's deliveries, by their place in it.
type bitmap []byte

func (r run) covers(seq int) bool { return seq >= r.lo && seq < r.lo+r.size }

func (r run) zero() bitmap { return make(bitmap, (r.size+7)/8) }

func (b bitmap) set(i int)      { b[i/8] |= 0x80 >> (i % 8) }
func (b bitmap) has(i int) bool { return i/8 < len(b) && b[i/8]&(0x80>>(i%8)) != 0 }

// ScanBits keeps a copy: pgx reads the next row into the same place.
func (b *bitmap) ScanBits(v pgtype.Bits) error {
	*b = slices.Clone(v.Bytes)
	return nil
}

func (r run) varbit(b bitmap) pgtype.Bits {
	return pgtype.Bits{Bytes: b, Len: int32(r.size), Valid: true}
}

// runs remembers the chunks that this process has claimed.
type runs struct {
	mu    sync.Mutex
	known map[int64]run
}

// runsKept is how many chunks are remembered; more than any worker holds.
const runsKept = 10_000

func (s *runs) keep(id int64, r run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= runsKept {
		s.known = map[int64]run{}
	}
	s.known[id] = r
}

// of returns the runs of chunks, and asks the ledger for those that were not claimed here. One that is gone is missing.
func (s *runs) of(ctx context.Context, q querier, ids []int64) (map[int64]run, error) {
	found := make(map[int64]run, len(ids))
	var unknown []int64
	s.mu.Lock()
	for _, id := range ids {
		if r, ok := s.known[id]; ok {
			found[id] = r
		} else {
			unknown = append(unknown, id)
		}
	}
	s.mu.Unlock()
	if len(unknown) == 0 {
		return found, nil
	}
	rows, _ := q.Query(ctx, `SELECT id, lo, hi - lo FROM chunk WHERE id = ANY($1)`, unknown)
	var id int64
	var r run
	_, err := pgx.ForEachRow(rows, []any{&id, &r.lo, &r.size}, func() error {
		found[id] = r
		s.keep(id, r)
		return nil
	})
	return found, wrap(err, "look up chunks")
}
