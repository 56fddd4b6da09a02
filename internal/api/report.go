package api

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// csvColumns head the report of a notice; scripts read them.
var csvColumns = [...]string{"address", "customers", "language", "time_zone", "state", "reason", "attempts", "relay",
	"smtp_code", "enhanced_code", "smtp_text", "message_id", "sent_at", "updated_at"}

const csvDescription = "UTF-8 without BOM, a line a delivery, each cell in double quotes. Columns: address, customers (external ids, " +
	"with blanks between them; an id with a blank, a comma, a semicolon or a quote stands in double quotes), language, time_zone, state, " +
	"reason, attempts, relay, smtp_code (empty = none heard), enhanced_code, smtp_text, message_id, sent_at, updated_at (RFC 3339, UTC, " +
	"milliseconds). A cell that a spreadsheet would run has an apostrophe put before it."

// csvTime is RFC 3339 with milliseconds; the times it formats are UTC.
const csvTime = "2006-01-02T15:04:05.000Z"

func (s *Server) describeReports(api huma.API) {
	op := noticeOperation("report-notice", http.MethodGet, "/v1/notices/{id}/report", "How many deliveries of a notice ended how")
	register(s, api, op, func(ctx context.Context, in *refInput) (*answer[notice.Report], error) {
		r, err := s.book.Report(ctx, in.ID)
		return ok(tidyReport(r), err)
	}, 404)
	op = noticeOperation("report-incident", http.MethodGet, "/v1/incidents/{id}/report", "How many deliveries of an incident's notices ended how")
	op.Responses = map[string]*huma.Response{"200": jsonResponse[notice.Report](api, "The counts, or every delivery as CSV")}
	op.Responses["200"].Content[string(FormatCSV)] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString,
		Description: "As the report of a notice, with the column notice, its key, before the others."}}
	register(s, api, op, s.incidentReport, 404, 409, 422)
}

func (s *Server) incidentReport(ctx context.Context, in *struct {
	ID     string `path:"id" doc:"the incident's key"`
	Format string `query:"format" enum:"json,csv" doc:"csv is every delivery, as is Accept: text/csv"`
	Accept string `header:"Accept" hidden:"true"`
}) (*huma.StreamResponse, error) {
	r, err := s.book.IncidentReport(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !wantsCSV(in.Format, in.Accept) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) { writeJSON(hctx, tidyReport(r)) }}, nil
	}
	for _, st := range r.Notices {
		if err := complete(st); err != nil {
			return nil, err
		}
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		s.writeCSV(hctx, r.Incident, append([]string{"notice"}, csvColumns[:]...), func(write func([]string) error) error {
			for _, st := range r.Notices {
				err := s.book.EachDelivery(hctx.Context(), st.Number, nil, func(d notice.Delivery) error {
					return write(append([]string{st.Key}, csvRow(d)...))
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}}, nil
}

// tidyReport makes a report fit to be read by a program.
func tidyReport(r notice.Report) notice.Report {
	r.Notices, r.Counts, r.ByLanguage, r.Outcomes = orEmpty(r.Notices), filled(r.Counts), filled(r.ByLanguage), orEmpty(r.Outcomes)
	r.Bounces.ByClass, r.Bounces.PolicyDomains = filled(r.Bounces.ByClass), orEmpty(r.Bounces.PolicyDomains)
	for i := range r.Notices {
		r.Notices[i] = tidyStatus(r.Notices[i])
	}
	return r
}

// complete returns an error for a notice with dropped rows: a report without them must not look whole.
func complete(st notice.Status) error {
	if st.RowsDroppedAt == nil {
		return nil
	}
	return notice.Conflict("the rows of notice %s were dropped on %s, because they were old; its status has the counts",
		st.Key, st.RowsDroppedAt.UTC().Format(time.DateOnly))
}

// report streams the notice's deliveries as CSV, or those in a language.
func (s *Server) report(hctx huma.Context, st notice.Status, state *notice.DeliveryState, language string) {
	s.writeCSV(hctx, st.Key, csvColumns[:], func(write func([]string) error) error {
		return s.book.EachDelivery(hctx.Context(), st.Number, state, func(d notice.Delivery) error {
			if language != "" && d.Language != language {
				return nil
			}
			return write(csvRow(d))
		})
	})
}

// writeCSV streams rows. Once one is out an error can only break the connection off: a report that lacks rows must not
// look whole.
func (s *Server) writeCSV(hctx huma.Context, name string, columns []string, rows func(write func([]string) error) error) {
	ctx := hctx.Context()
	hctx.SetHeader("Content-Type", "text/csv; charset=utf-8")
	hctx.SetHeader("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	counted := &countingWriter{Writer: hctx.BodyWriter()}
	out := bufio.NewWriter(counted)
	write := func(cells []string) error { return writeQuoted(out, cells) }
	err := write(columns)
	if err == nil {
		err = rows(write)
	}
	if err != nil && counted.n == 0 {
		s.refuse(hctx, err)
		return
	}
	if err == nil {
		err = out.Flush()
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

// writeQuoted writes a row of CSV (RFC 4180) with each cell in quotes. A spreadsheet that separates at semicolons would
// else begin a cell, and a formula, at one inside of a cell. encoding/csv quotes only the cells that need it.
func writeQuoted(w *bufio.Writer, cells []string) error {
	for i, cell := range cells {
		if i > 0 {
			w.WriteByte(',')
		}
		w.WriteString(`"` + strings.ReplaceAll(cell, `"`, `""`) + `"`)
	}
	return w.WriteByte('\n') // a bufio.Writer keeps its first error
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

// defuse makes a cell harmless. A text that a spreadsheet would take for a formula gets an apostrophe before it, which
// makes it text there; line ends and other control characters become spaces, so that a row stays a line.
func defuse(cell string) string {
	clean := strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(cell, "\uFFFD"))
	// Some programs trim before they look.
	if strings.IndexAny(strings.TrimLeft(clean, " \u00a0\u3000\ufeff"), audience.FormulaStarts) == 0 {
		return "'" + clean
	}
	return clean
}
