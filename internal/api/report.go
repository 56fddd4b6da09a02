package api

import (
	"encoding/csv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// csvColumns head the report; scripts read them.
var csvColumns = [...]string{"address", "customers", "language", "time_zone", "state", "reason", "attempts", "relay",
	"smtp_code", "enhanced_code", "smtp_text", "message_id", "sent_at", "updated_at"}

const csvDescription = "UTF-8 without BOM, a line a delivery. Columns: address, customers (external ids, space-separated), " +
	"language, time_zone, state, reason, attempts, relay, smtp_code (empty = none heard), enhanced_code, smtp_text, message_id, " +
	"sent_at, updated_at (RFC 3339, UTC, milliseconds). A cell that a spreadsheet would run has an apostrophe put before it."

// csvTime is RFC 3339 with milliseconds; the times it formats are UTC.
const csvTime = "2006-01-02T15:04:05.000Z"

// report streams the notice's deliveries as CSV. Once a row is out an error can only break the connection off:
// a report that lacks rows must not look whole.
func (s *Server) report(hctx huma.Context, st notice.Status, state *notice.DeliveryState) {
	ctx := hctx.Context()
	hctx.SetHeader("Content-Type", "text/csv; charset=utf-8")
	hctx.SetHeader("Content-Disposition", `attachment; filename="`+st.Key+`.csv"`)
	counted := &countingWriter{Writer: hctx.BodyWriter()}
	out := csv.NewWriter(counted)
	err := out.Write(csvColumns[:])
	if err == nil {
		err = s.book.EachDelivery(ctx, st.Number, state, func(d notice.Delivery) error { return out.Write(csvRow(d)) })
	}
	if err != nil && counted.n == 0 {
		s.refuse(hctx, err)
		return
	}
	if err == nil {
		out.Flush()
		err = out.Error()
	}
	if err != nil {
		if ctx.Err() == nil {
			s.problem(ctx, err)
		}
		panic(http.ErrAbortHandler)
	}
}

type countingWriter struct {
	io.Writer
	n int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.n += n
	return n, err
}

func csvRow(d notice.Delivery) []string {
	row := []string{d.Address, audience.JoinIDs(d.Customers), d.Language, d.TimeZone, d.State.String(), d.Reason,
		strconv.Itoa(d.Attempts), d.Relay, "", d.Enhanced, d.SMTPText, d.MessageID, "", d.UpdatedAt.UTC().Format(csvTime)}
	if d.SMTPCode != 0 {
		row[8] = strconv.Itoa(d.SMTPCode)
	}
	if d.SentAt != nil {
		row[12] = d.SentAt.UTC().Format(csvTime)
	}
	for i, cell := range row {
		row[i] = defuse(cell)
	}
	return row
}

// defuse makes a cell harmless: what a spreadsheet would take for a formula gets an apostrophe before it, which
// makes it text there; line ends and other control characters become spaces, so that a row stays a line.
func defuse(cell string) string {
	clean := strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(cell, "\uFFFD"))
	// Some programs trim before they look.
	bare := strings.TrimLeft(clean, " \u00a0\ufeff")
	if bare != "" && strings.ContainsRune("=+-@\t", rune(bare[0])) {
		return "'" + clean
	}
	return clean
}
