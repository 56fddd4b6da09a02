package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

type actList struct {
	Acts []notice.Act `json:"acts"`
	Next *int64       `json:"next" doc:"the number to go on before; null at the end"`
}

type actsInput struct {
	Before int64     `query:"before" minimum:"0" doc:"only acts with a smaller number; 0 = all"`
	Limit  int       `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"at most so many; of JSON alone"`
	Notice string    `query:"notice" maxLength:"100" doc:"only those about the notice with this key or number"`
	Who    string    `query:"who" maxLength:"100" doc:"only those of the token or the person with this name"`
	What   string    `query:"what" maxLength:"100" doc:"only acts of this kind, such as release"`
	Since  time.Time `query:"since" doc:"only those at this time or later"`
	Format string    `query:"format" enum:"json,csv" doc:"csv is every act that is asked for, as is Accept: text/csv"`
	Accept string    `header:"Accept" hidden:"true"`
}

func (in *actsInput) page(limit int) notice.ActPage {
	return notice.ActPage{Before: in.Before, Notice: in.Notice, Who: in.Who, What: in.What, Since: in.Since, Limit: limit}
}

// actColumns head the log as CSV; scripts read them.
var actColumns = []string{"number", "at", "who", "note", "origin", "what", "notice", "detail"}

func (s *Server) describeActs(api huma.API) {
	op := huma.Operation{OperationID: "list-acts", Method: http.MethodGet, Path: "/v1/acts", Summary: "Who did what, and from where, the newest first",
		Tags: []string{"access"}}
	op.Responses = map[string]*huma.Response{"200": jsonResponse[actList](api, "A page of the log, or all of it as CSV")}
	op.Responses["200"].Content[string(FormatCSV)] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString,
		Description: "UTF-8 without BOM, a line an act: number, at (RFC 3339, UTC, milliseconds), who, note, origin, what, notice, detail."}}
	register(s, api, op, s.acts, 422)
}

// acts reads one more than asked for, which tells whether there is a next page.
func (s *Server) acts(ctx context.Context, in *actsInput) (*huma.StreamResponse, error) {
	if wantsCSV(in.Format, in.Accept) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			s.writeCSV(hctx, "acts", actColumns, func(write func([]string) error) error { return s.eachAct(hctx.Context(), in, write) })
		}}, nil
	}
	all, err := s.book.Acts(ctx, in.page(in.Limit+1))
	if err != nil {
		return nil, err
	}
	list := actList{Acts: orEmpty(all)}
	if len(all) > in.Limit {
		list.Acts = all[:in.Limit]
		list.Next = &all[in.Limit-1].Number
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) { writeJSON(hctx, list) }}, nil
}

// eachAct writes the acts that are asked for, page by page.
func (s *Server) eachAct(ctx context.Context, in *actsInput, write func([]string) error) error {
	for page := in.page(1000); ; {
		acts, err := s.book.Acts(ctx, page)
		if err != nil || len(acts) == 0 {
			return err
		}
		for _, a := range acts {
			row := []string{strconv.FormatInt(a.Number, 10), a.At.UTC().Format(csvTime), a.Who, a.Note, a.Origin, a.What, a.Notice, a.Detail}
			for i, cell := range row {
				row[i] = defuse(cell)
			}
			if err := write(row); err != nil {
				return err
			}
		}
		page.Before = acts[len(acts)-1].Number
	}
}

func actsQuery(p notice.ActPage) url.Values {
	query := url.Values{"before": {strconv.FormatInt(p.Before, 10)}}
	for name, value := range map[string]string{"notice": p.Notice, "who": p.Who, "what": p.What} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !p.Since.IsZero() {
		query.Set("since", p.Since.UTC().Format(time.RFC3339Nano))
	}
	return query
}

// Acts returns a page of the log, the newest first, and the number to go on before, 0 at the end.
func (cl *Client) Acts(ctx context.Context, p notice.ActPage) (acts []notice.Act, next int64, err error) {
	query := actsQuery(p)
	query.Set("limit", strconv.Itoa(p.Limit))
	var list actList
	err = cl.do(ctx, call{method: http.MethodGet, path: "/v1/acts", query: query, again: untilReached}, &list)
	if list.Next != nil {
		next = *list.Next
	}
	return list.Acts, next, err
}

// ActsCSV writes to w all acts that p asks for, as CSV; p's limit does not count.
func (cl *Client) ActsCSV(ctx context.Context, p notice.ActPage, w io.Writer) error {
	return cl.csv(ctx, "/v1/acts", actsQuery(p), w)
}
