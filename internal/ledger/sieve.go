package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// sieve says which keys, of customers and mailboxes, a plan may have: of each, sieveBits bits are set in one of its blocks. The functions
// sieve_places and sieve_bit of the schema compute the same. It is a Bloom filter in blocks: at 16 bits a key one look-up in a thousand
// finds a plan that does not have the key.
type sieve []places

// places say which block and which bits a key has.
type places struct{ block, first, step uint32 }

const (
	sieveBits  = 6
	sieveKeys  = 512 // of a block, on average at most
	leastKeys  = 64
	bitsOfAKey = 16
)

func placesOf(key string) places {
	sum := sha256.Sum256([]byte(key))
	return places{binary.BigEndian.Uint32(sum[0:]), binary.BigEndian.Uint32(sum[4:]), binary.BigEndian.Uint32(sum[8:]) | 1}
}

func customerKey(id string) string { return "customer " + id }

func mailboxKey(address string) string { return "mailbox " + address }

func (s *sieve) add(key string) { *s = append(*s, placesOf(key)) }

// keep writes the sieve of a plan.
func (s sieve) keep(ctx context.Context, tx pgx.Tx, plan int64) error {
	level, size := 0, max(leastKeys, len(s))*bitsOfAKey
	for len(s) > sieveKeys<<level {
		level++
		size = sieveKeys * bitsOfAKey
	}
	blocks := make([][]byte, 1<<level)
	for i := range blocks {
		blocks[i] = make([]byte, (size+7)/8)
	}
	for _, p := range s {
		b := blocks[p.block%uint32(len(blocks))]
		for i := range uint64(sieveBits) {
			at := (uint64(p.first) + i*uint64(p.step)) % uint64(size)
			b[at/8] |= 0x80 >> (at % 8)
		}
	}
	var rows copied
	for i, b := range blocks {
		rows.begin(4)
		rows.int64(plan)
		rows.int32(i)
		rows.int16(level)
		rows.bits(b, size)
	}
	return wrap(rows.into(ctx, tx, "sieve (plan_id, block, level, bits)"), "keep the sieve of plan %d", plan)
}

// addToSieve adds a key to the sieve of a plan that is there. A plan of the first part has none.
func addToSieve(ctx context.Context, tx pgx.Tx, plan int64, key string) error {
	bits := "bits"
	for i := range sieveBits {
		bits = fmt.Sprintf("set_bit(%s, sieve_bit(p, %d, bits), 1)", bits, i)
	}
	return exec(ctx, tx, "add to the sieve of a plan", `
		UPDATE sieve SET bits = `+bits+` FROM (SELECT sieve_places($2) AS p OFFSET 0) k
		WHERE plan_id = $1 AND block = p[1] % (1::bigint << (SELECT level FROM sieve WHERE plan_id = $1 LIMIT 1))`, plan, key)
}
