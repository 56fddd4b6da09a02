package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/validation"

	"tocsin/internal/notice"
)

// problemType is the media type of RFC 9457.
const problemType = "application/problem+json"

// statusGone is logged for a request where the client did not wait for the answer.
const statusGone = 499

// Problem is an error as the API writes it: an RFC 9457 problem document. None of its members repeats an address.
type Problem struct {
	Type      string       `json:"type" doc:"about:blank: the status says it all"`
	Title     string       `json:"title" doc:"the status in words"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail" doc:"what is wrong, for a person"`
	Code      notice.Code  `json:"code,omitempty" doc:"the class of an error that the caller can mend" enum:"invalid,not_found,conflict,too_early,plan_changed"`
	RequestID string       `json:"request_id" doc:"as in X-Request-Id and in the server's log"`
	Errors    []FieldError `json:"errors,omitempty" doc:"which fields are wrong"`
	Check     string       `json:"check,omitempty" doc:"which check refuses the release, where it may be overruled by that name"`
	// Changed goes with the code plan_changed.
	Changed *notice.Drift `json:"changed,omitempty" doc:"how what would go now differs from the plan that was shown"`
}

// FieldError is the fault of one field.
type FieldError struct {
	Field   string `json:"field" doc:"such as windows[0].end; empty for the whole"`
	Message string `json:"message"`
}

// Error makes a Problem the error that huma answers with.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type that huma labels the document with.
func (p *Problem) ContentType(string) string { return problemType }

// plain is a problem with the request rather than with the thing that it asks for.
func plain(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: title(status), Status: status, Detail: detail}
}

func title(status int) string {
	if status == statusGone {
		return "Client Closed Request"
	}
	return http.StatusText(status)
}

// write answers r with p.
func (p *Problem) write(w http.ResponseWriter, r *http.Request) {
	p.RequestID = requestOf(r.Context()).id
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tocsin"`)
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	// The status is out; a client that does not read the rest is not helped by an error.
	_ = json.NewEncoder(w).Encode(p)
}

// problem is the one place where errors become HTTP. An error that it does not know is internal, and only logged.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	req := requestOf(ctx)
	p := s.classify(ctx, err)
	p.RequestID = req.id
	if _, told := err.(*Problem); p.Status >= 500 && !told {
		s.log.Error("request failed", slog.String("request_id", req.id), slog.String("route", req.route),
			slog.String("error", scrub(err.Error())))
	}
	return p
}

func (s *Server) classify(ctx context.Context, err error) *Problem {
	if e, ok := errors.AsType[*notice.Error](err); ok {
		return domainProblem(e)
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if _, ok := errors.AsType[brokenBody](err); ok {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return plain(http.StatusRequestTimeout, "the body did not come in time")
		}
		return plain(http.StatusBadRequest, "the body broke off")
	}
	if ctx.Err() != nil {
		return plain(statusGone, "the client has gone")
	}
	if why, ok := errors.AsType[notice.Unready](err); ok {
		return plain(http.StatusServiceUnavailable, scrub(why.Error()))
	}
	if unmigrated(err) {
		return plain(http.StatusServiceUnavailable, "the database is not migrated: run `tocsin migrate`")
	}
	if sqlState(err) == "25006" {
		return plain(http.StatusServiceUnavailable, "the database can only be read now: it is a standby, or its transactions are read-only")
	}
	if away(err) {
		return plain(http.StatusServiceUnavailable, "a server that Tocsin depends on cannot be reached now; try again")
	}
	return plain(http.StatusInternalServerError, "internal error")
}

// domainProblem is the problem document of a domain error.
func domainProblem(e *notice.Error) *Problem {
	status, known := map[notice.Code]int{
		notice.CodeInvalid:  http.StatusUnprocessableEntity,
		notice.CodeNotFound: http.StatusNotFound,
		notice.CodeConflict: http.StatusConflict,
		notice.CodeTooEarly: http.StatusConflict,

		notice.CodePlanChanged: http.StatusConflict,
	}[e.Code]
	if !known {
		return plain(http.StatusInternalServerError, "internal error")
	}
	p := plain(status, scrub(e.Error()))
	p.Code = e.Code
	p.Check = e.Check
	p.Changed = scrubbed(e.Drift)
	if e.Field != "" {
		p.Errors = []FieldError{{Field: scrub(e.Field), Message: scrub(e.Message)}}
	}
	return p
}

// unmigrated reports whether err says that a table, a column or a function is not there.
func unmigrated(err error) bool {
	return slices.Contains([]string{"42P01", "42703", "42883"}, sqlState(err))
}

// sqlState is the code of an error that Postgres answered with, "" for any other.
func sqlState(err error) string {
	e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	if !ok {
		return ""
	}
	return e.SQLState()
}

// away reports whether err says that Postgres or Redis cannot be reached, or is going down, rather than that the
// request went wrong.
func away(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	state := sqlState(err)
	return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P")
}

// invalid is the problem document of the faults that huma found before any handler ran. Huma repeats the values that
// were sent; this keeps only the names of their fields.
func invalid(ctx context.Context, m *huma.ErrorModel) *Problem {
	if m.Status == http.StatusUnsupportedMediaType {
		p := unsupported("application/json")
		p.RequestID = requestOf(ctx).id
		return p
	}
	if m.Status == http.StatusInternalServerError {
		// The one thing that huma calls so here, and that is the client's doing.
		m = &huma.ErrorModel{Status: http.StatusBadRequest, Detail: "the body broke off"}
	}
	p := plain(m.Status, m.Detail)
	p.RequestID = requestOf(ctx).id
	if m.Status >= 400 && m.Status < 500 {
		p.Code = notice.CodeInvalid
	}
	var said []string
	for _, d := range m.Errors {
		e := fieldError(d)
		p.Errors = append(p.Errors, e)
		if e.Field != "" {
			e.Message = e.Field + ": " + e.Message
		}
		said = append(said, e.Message)
	}
	if len(said) > 0 {
		p.Detail = strings.Join(said[:min(len(said), 5)], "; ")
	}
	return p
}

var required = regexp.MustCompile(`^expected required property (\S+) to be present$`)

// fieldError names the field as the caller wrote it: "body.windows[0].end" is windows[0].end.
func fieldError(d *huma.ErrorDetail) FieldError {
	_, field, _ := strings.Cut(d.Location, ".")
	e := FieldError{Field: fieldName(field), Message: scrub(d.Message)}
	if m := required.FindStringSubmatch(d.Message); m != nil {
		e.Message = "is missing"
		e.Field = strings.TrimPrefix(e.Field+"."+m[1], ".")
	}
	switch d.Message {
	case "unexpected property":
		e.Message = "unknown field"
	case validation.MsgExpectedMatchExactlyOneSchema:
		e.Message = "is neither a filter nor an object of filter and customers, or of filter, notice, state, and include_new or contact"
	case "unknown query parameter":
		e.Message = "unknown parameter"
	}
	return e
}

var fieldPart = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}(\[\d+\])*$`)

// fieldName is a field's path up to where it stops looking like one: a name is chosen by the caller too, and may
// be an address.
func fieldName(field string) string {
	parts := strings.Split(field, ".")
	for i, part := range parts {
		if !fieldPart.MatchString(part) {
			return strings.Join(parts[:i], ".")
		}
	}
	return field
}

var address = regexp.MustCompile(`("[^"]*"|[^\s"]+)@[^\s"]+`)

// scrub takes mail addresses out of a text that was made for their sender, but may be logged on its way.
func scrub(text string) string { return address.ReplaceAllString(text, "(address)") }

// scrubbed takes ids that are mail addresses out of the examples.
func scrubbed(d *notice.Drift) *notice.Drift {
	if d == nil {
		return nil
	}
	clean := *d
	clean.Examples = map[string][]string{}
	for how, ids := range d.Examples {
		for _, id := range ids {
			clean.Examples[how] = append(clean.Examples[how], scrub(id))
		}
	}
	return &clean
}

// unsupported says that an operation takes other media types.
func unsupported(takes ...string) *Problem {
	p := plain(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type must be %s", strings.Join(takes, " or ")))
	p.Code = notice.CodeInvalid
	return p
}

// refuse answers with err in a handler that writes its own body.
func (s *Server) refuse(hctx huma.Context, err error) {
	r, w := humago.Unwrap(hctx)
	w.Header().Del("Content-Disposition")
	s.problem(r.Context(), err).write(w, r)
}
