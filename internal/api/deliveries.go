package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// maxPage is how many deliveries a page may hold.
const maxPage = 1000

type deliveriesInput struct {
	ID       string `path:"id" doc:"the notice's key or number"`
	State    string `query:"state" doc:"only deliveries in this state"`
	Language string `query:"language" maxLength:"35" doc:"only those with a text in this language, a BCP 47 tag; those who get no mail count too"`
	Search   string `query:"search" maxLength:"320" doc:"only this address, in any spelling, or this customer's external id; JSON only"`
	After    int    `query:"after" default:"-1" minimum:"-1" maximum:"2147483647" doc:"only deliveries with a greater seq; JSON only"`
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"at most so many; JSON only"`
	Format   string `query:"format" enum:"json,csv" doc:"csv is the whole report, as is Accept: text/csv"`
	Accept   string `header:"Accept" hidden:"true"`
}

// wantsCSV reports whether a request asks for CSV, by its parameter or its header.
func wantsCSV(format, accept string) bool {
	return format == "csv" || format == "" && strings.HasPrefix(strings.TrimSpace(accept), string(FormatCSV))
}

// writeJSON writes the answer of a request that could have asked for CSV too.
func writeJSON(hctx huma.Context, doc any) {
	hctx.SetHeader("Content-Type", "application/json")
	// A client that has gone is all that can fail here.
	_ = json.NewEncoder(hctx.BodyWriter()).Encode(doc)
}

func (s *Server) describeDeliveries(api huma.API) {
	response := jsonResponse[deliveryList](api, "A page of deliveries by seq, or the whole report as CSV")
	response.Content[string(FormatCSV)] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: csvDescription}}
	register(s, api, huma.Operation{
		OperationID: "list-deliveries",
		Method:      http.MethodGet,
		Path:        "/v1/notices/{id}/deliveries",
		Summary:     "What became of each delivery of a notice",
		Tags:        []string{"notices"},
		Responses:   map[string]*huma.Response{"200": response},
	}, s.deliveries, 404, 409, 422)
}

func (s *Server) deliveries(ctx context.Context, in *deliveriesInput) (*huma.StreamResponse, error) {
	var state *notice.DeliveryState
	if in.State != "" {
		parsed, err := notice.ParseDeliveryState(in.State)
		if err != nil {
			return nil, notice.Invalid("state", "is none of %s", strings.Join(stateNames(), ", "))
		}
		state = &parsed
	}
	if !storable(in.Search) || !storable(in.Language) {
		return nil, notice.Invalid("search", "and language have to be text")
	}
	if in.Search != "" && in.Language != "" {
		return nil, notice.Invalid("language", "does not go with search")
	}
	st, err := s.book.Status(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if wantsCSV(in.Format, in.Accept) {
		if in.Search != "" {
			return nil, notice.Invalid("search", "does not go with CSV, which is the whole report")
		}
		if err := complete(st); err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) { s.report(hctx, st, state, in.Language) }}, nil
	}
	list, err := s.page(ctx, st.Number, notice.DeliveryPage{After: in.After, Limit: in.Limit, State: state, Language: in.Language, Search: in.Search})
	if err != nil {
		return nil, err
	}
	list.RowsDroppedAt = inUTC(st.RowsDroppedAt)
	return &huma.StreamResponse{Body: func(hctx huma.Context) { writeJSON(hctx, list) }}, nil
}

// page reads one delivery more than asked for, which tells whether there is a next page.
func (s *Server) page(ctx context.Context, number int64, p notice.DeliveryPage) (list deliveryList, err error) {
	limit := p.Limit
	p.Limit++
	spellings := []string{p.Search}
	if a, err := audience.ParseAddress(p.Search); p.Search != "" && err == nil && a.Key() != p.Search {
		spellings = []string{a.Key(), p.Search}
	}
	for _, p.Search = range spellings {
		if list.Deliveries, err = s.book.Deliveries(ctx, number, p); err != nil || len(list.Deliveries) > 0 {
			break
		}
	}
	if err != nil {
		return list, err
	}
	if len(list.Deliveries) > limit {
		list.Deliveries = list.Deliveries[:limit]
		list.Next = &list.Deliveries[limit-1].Seq
	}
	list.Deliveries = orEmpty(list.Deliveries)
	for i := range list.Deliveries {
		tidyDelivery(&list.Deliveries[i])
	}
	return list, nil
}

func tidyDelivery(d *notice.Delivery) {
	d.Customers = orEmpty(d.Customers)
	d.SentAt = inUTC(d.SentAt)
	d.UpdatedAt = d.UpdatedAt.UTC()
}
