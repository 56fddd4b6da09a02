package api

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// suppressionList is a page of the list of suppressions.
type suppressionList struct {
	Suppressions []notice.Suppression `json:"suppressions"`
	Next         *int64               `json:"next" doc:"after which number the next page begins; null at the end"`
}

// suppressionBody names an address in the body of a request: a path and a query end in logs.
type suppressionBody struct {
	Address string       `json:"address" maxLength:"1000" doc:"an address, or *@ and a domain for all of that domain, without its subdomains"`
	Reason  string       `json:"reason,omitempty" maxLength:"200" doc:"bounced, complaint, request, or some words of your own; request where there is none"`
	Scope   notice.Scope `json:"scope,omitempty" enum:"all,not_urgent,advisory,postmortem" doc:"the notices that are not mailed: all, those that are not urgent, advisories, or post-mortems; all where there is none"`
}

type unsuppressBody struct {
	Address string `json:"address" maxLength:"1000"`
}

func (s *Server) describeSuppressions(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"suppressions"}}
	}
	register(s, api, op("list-suppressions", http.MethodGet, "/v1/suppressions", "The list of suppressions"), s.suppressions, 422)
	add := op("add-suppression", http.MethodPost, "/v1/suppressions", "Never mail an address, or a domain, again")
	add.Description = "With the scope not_urgent urgent notices still go: those of an outage in every phase but postmortem, and those of severity critical. " +
		"The scope advisory is for advisories in every phase but postmortem, and postmortem for post-mortems of every kind. " +
		"An entry of the same scope gets the new reason, and one for all takes the place of the others; to narrow one for all is 409: take it off first. " +
		"It holds for releases, and for what no worker has taken up yet."
	add.Responses = map[string]*huma.Response{"201": jsonResponse[notice.Suppression](api, "Added")}
	register(s, api, add, s.suppress, 400, 409, 413, 415, 422)
	remove := op("remove-suppression", http.MethodPost, "/v1/suppressions/remove", "Take an address, or a domain, off the list")
	remove.Description = "An address whose whole domain is on the list is 409: it can't be excepted. So is one that only its reader has put there: " +
		"take that entry off by its number. An entry of a reader's own stays where others of the address go."
	remove.DefaultStatus = http.StatusNoContent
	register(s, api, remove, func(ctx context.Context, in *struct{ Body unsuppressBody }) (*struct{}, error) {
		key, err := audience.ParseSuppressed(in.Body.Address)
		if err != nil {
			return nil, err
		}
		return nil, s.book.Unsuppress(ctx, key)
	}, 400, 404, 409, 413, 415, 422)
	register(s, api, op("delete-suppression", http.MethodDelete, "/v1/suppressions/{number}", "Take an entry off the list"),
		func(ctx context.Context, in *struct {
			Number int64 `path:"number" doc:"the entry's number"`
		}) (*struct{}, error) {
			return nil, s.book.UnsuppressNumber(ctx, in.Number)
		}, 404, 422)
	imports := op("import-suppressions", http.MethodPost, "/v1/suppressions/import", "Take in a file of addresses, of any size")
	imports.Description = "Good rows are kept and bad ones listed. An entry that is on the list keeps a wider scope."
	imports.RequestBody = &huma.RequestBody{Required: true, Description: "A header with the columns address, and reason and scope if you like; an export of " +
		"SES, SendGrid, Mailgun, Postmark or Mailchimp; or bare addresses, one a line.",
		Content: map[string]*huma.MediaType{string(FormatCSV): {Schema: &huma.Schema{Type: huma.TypeString}}}}
	register(s, api, imports, s.importSuppressions, 400, 408, 415, 422)
}

func (s *Server) suppressions(ctx context.Context, in *struct {
	After int64 `query:"after" default:"0" minimum:"0" doc:"only entries with a greater number"`
	Limit int   `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"at most so many"`
}) (*answer[suppressionList], error) {
	all, err := s.book.Suppressions(ctx, in.After, in.Limit+1)
	if err != nil {
		return nil, err
	}
	list := suppressionList{Suppressions: orEmpty(all)}
	if len(all) > in.Limit {
		list.Suppressions = all[:in.Limit]
		list.Next = &all[in.Limit-1].Number
	}
	return ok(list, nil)
}

func (s *Server) suppress(ctx context.Context, in *struct{ Body suppressionBody }) (*answer[notice.Suppression], error) {
	row := notice.SuppressionRow{Reason: notice.SuppressedRequest, Scope: cmp.Or(in.Body.Scope, notice.ScopeAll)}
	var err error
	if row.Key, err = audience.ParseSuppressed(in.Body.Address); err != nil {
		return nil, err
	}
	if in.Body.Reason != "" {
		if row.Reason, err = audience.CheckReason(in.Body.Reason); err != nil {
			return nil, err
		}
	}
	kept, created, err := s.book.Suppress(ctx, row, requestOf(ctx).who)
	return made(kept, created, err)
}

// suppressionFile takes hold of the body before anything reads it whole.
type suppressionFile struct {
	Reason string       `query:"reason" maxLength:"200" doc:"of rows that give none; request where there is none"`
	Scope  notice.Scope `query:"scope" enum:"all,not_urgent,advisory,postmortem" doc:"of rows that give none; not_urgent for those whose reason is complaint, else all, where there is none"`
	format string
	file   io.Reader
}

// Resolve makes suppressionFile a huma.Resolver.
func (in *suppressionFile) Resolve(ctx huma.Context) []error {
	in.format, in.file = ctx.Header("Content-Type"), ctx.BodyReader()
	requestOf(ctx.Context()).body.rolling = true
	return nil
}

func (s *Server) importSuppressions(ctx context.Context, in *suppressionFile) (*answer[notice.ImportReport], error) {
	if mediaType(in.format) != string(FormatCSV) {
		return nil, unsupported(string(FormatCSV))
	}
	rows, err := audience.NewSuppressionReader(in.file, in.Reason, in.Scope)
	var report notice.ImportReport
	if err == nil {
		report, err = s.book.ImportSuppressions(ctx, rows, requestOf(ctx).who)
	}
	if err != nil {
		_, _ = io.CopyN(io.Discard, in.file, drainLimit)
	}
	report.Rejected, report.Reasons = orEmpty(report.Rejected), orEmpty(report.Reasons)
	if report.Cleared == nil {
		report.Cleared = map[string]int{}
	}
	return ok(report, err)
}

// Suppressions returns the list of suppressions, by number.
func (cl *Client) Suppressions(ctx context.Context) (all []notice.Suppression, err error) {
	query := url.Values{"limit": {strconv.Itoa(maxPage)}}
	for {
		var page suppressionList
		c := call{method: http.MethodGet, path: "/v1/suppressions", query: query, again: untilReached}
		if err := cl.do(ctx, c, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Suppressions...)
		if page.Next == nil {
			return all, nil
		}
		query.Set("after", strconv.FormatInt(*page.Next, 10))
	}
}

// Suppress puts an address, or *@ and a domain, on the list; reason may be "", which is "request", and scope "", which is all.
func (cl *Client) Suppress(ctx context.Context, address, reason string, scope notice.Scope) (s notice.Suppression, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/suppressions", body: suppressionBody{Address: address, Reason: reason, Scope: scope}}, &s)
	return s, err
}

// Unsuppress takes an address off the list.
func (cl *Client) Unsuppress(ctx context.Context, address string) error {
	return cl.do(ctx, call{method: http.MethodPost, path: "/v1/suppressions/remove", body: unsuppressBody{Address: address}}, nil)
}

// UnsuppressNumber takes an entry off the list by its number.
func (cl *Client) UnsuppressNumber(ctx context.Context, number int64) error {
	return cl.do(ctx, call{method: http.MethodDelete, path: "/v1/suppressions/" + strconv.FormatInt(number, 10)}, nil)
}

// ImportSuppressions sends a file of addresses, which is streamed; reason and scope are for rows that give none, "" for the usual.
func (cl *Client) ImportSuppressions(ctx context.Context, file io.Reader, reason string, scope notice.Scope) (r notice.ImportReport, err error) {
	c := call{method: http.MethodPost, path: "/v1/suppressions/import", stream: file, contentType: string(FormatCSV), query: url.Values{}}
	if reason != "" {
		c.query.Set("reason", reason)
	}
	if scope != "" {
		c.query.Set("scope", string(scope))
	}
	resp, err := cl.send(ctx, c)
	if err != nil {
		return r, err
	}
	return r, cl.decode(resp, &r)
}
