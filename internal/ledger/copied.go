package ledger

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5"
)

// copied are rows for COPY in its binary form, https://www.postgresql.org/docs/current/sql-copy.html. It is for rows by the
// million: pgx takes each value boxed, and that costs as much as the rest of making them.
type copied struct{ b []byte }

const copyHeader = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// begin begins a row of so many columns, which are to follow.
func (c *copied) begin(columns int) {
	if len(c.b) == 0 {
		c.b = append(c.b, copyHeader...)
	}
	c.b = binary.BigEndian.AppendUint16(c.b, uint16(columns))
}

func (c *copied) size(n int) { c.b = binary.BigEndian.AppendUint32(c.b, uint32(n)) }

func (c *copied) null() { c.size(-1) }

func (c *copied) text(s string) {
	c.size(len(s))
	c.b = append(c.b, s...)
}

// jsonb is JSON text after the number of its form.
func (c *copied) jsonb(text []byte) {
	c.size(len(text) + 1)
	c.b = append(append(c.b, 1), text...)
}

func (c *copied) int64(n int64) {
	c.size(8)
	c.b = binary.BigEndian.AppendUint64(c.b, uint64(n))
}

func (c *copied) int32(n int) {
	c.size(4)
	c.b = binary.BigEndian.AppendUint32(c.b, uint32(n))
}

func (c *copied) bool(yes bool) {
	c.size(1)
	if yes {
		c.b = append(c.b, 1)
	} else {
		c.b = append(c.b, 0)
	}
}

func (c *copied) int16(n int) {
	c.size(2)
	c.b = binary.BigEndian.AppendUint16(c.b, uint16(n))
}

// bits are the first n of a bitmap, as varbit has them.
func (c *copied) bits(b []byte, n int) {
	c.size(4 + len(b))
	c.size(n)
	c.b = append(c.b, b...)
}

// cut returns the rows so far, and begins anew.
func (c *copied) cut() copied {
	rows := *c
	*c = copied{b: make([]byte, 0, len(rows.b))}
	return rows
}

// into inserts the rows into a table with those columns.
func (c copied) into(ctx context.Context, tx pgx.Tx, table string) error {
	if len(c.b) == 0 {
		return nil
	}
	_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(append(c.b, 0xff, 0xff)), "COPY "+table+" FROM STDIN BINARY")
	return err
}
