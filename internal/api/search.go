package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// Addresses, and ids that are addresses, go into the body of these requests: a path and a query end in the logs of proxies.
type (
	historyBody struct {
		Customer string `json:"customer" minLength:"1" maxLength:"1000" doc:"the customer's external id, or an address in any spelling"`
	}
	searchBody struct {
		Text   string `json:"text" minLength:"1" maxLength:"1000" doc:"an address in any spelling, a customer's external id, a Message-ID, the id of a relay's queue, or a text of a customer"`
		Notice string `json:"notice,omitempty" maxLength:"100" doc:"the notice that is asked about, by key or number; without it, the newest one to the mailbox"`
	}
)

func (s *Server) describeSearch(api huma.API) {
	history := huma.Operation{OperationID: "customer-history", Method: http.MethodPost, Path: "/v1/customers/history", DefaultStatus: http.StatusOK,
		Summary: "What a customer, or an address, was to be told; no address in the URL", Tags: []string{"customers"}}
	register(s, api, history, func(ctx context.Context, in *struct{ Body historyBody }) (*answer[historyList], error) {
		return s.history(ctx, in.Body.Customer)
	}, 400, 413, 415, 422)
	search := huma.Operation{OperationID: "search", Method: http.MethodPost, Path: "/v1/search", DefaultStatus: http.StatusOK,
		Summary: "Did they get it? The answer, who they are, and what they were told", Tags: []string{"customers"}}
	register(s, api, search, s.search, 400, 404, 413, 415, 422)
}

func (s *Server) search(ctx context.Context, in *struct{ Body searchBody }) (*answer[notice.Found], error) {
	found, err := s.desk.Look(ctx, in.Body.Text, in.Body.Notice)
	if err != nil {
		return nil, err
	}
	for i := range found.Customers {
		found.Customers[i].Attributes = filled(found.Customers[i].Attributes)
	}
	for i := range found.Deliveries {
		tidyDelivery(&found.Deliveries[i].Delivery)
	}
	found.Customers, found.Deliveries, found.Timeline = orEmpty(found.Customers), orEmpty(found.Deliveries), orEmpty(found.Timeline)
	return ok(found, nil)
}

// history lists the notices to the customer with an id, or to the mailbox with an address.
func (s *Server) history(ctx context.Context, idOrAddress string) (*answer[historyList], error) {
	var key string
	if a, err := audience.ParseAddress(idOrAddress); err == nil {
		key = a.Key()
	}
	entries, err := s.book.History(ctx, idOrAddress, key)
	if err == nil {
		err = s.desk.Subjects(ctx, entries)
	}
	for i := range entries {
		tidyDelivery(&entries[i].Delivery)
	}
	return ok(historyList{Deliveries: orEmpty(entries)}, err)
}

// History lists the notices to the customer with that id, or to the mailbox with that address, and the outcome of each.
func (cl *Client) History(ctx context.Context, idOrAddress string) ([]notice.HistoryEntry, error) {
	var l historyList
	err := cl.do(ctx, call{method: http.MethodPost, path: "/v1/customers/history", body: historyBody{idOrAddress}, again: untilReached}, &l)
	return l.Deliveries, err
}

// Look answers whether a customer got it. The text is their address, id or name, a Message-ID, or the id of a relay's
// queue. Where ref is not "", the answer is of that notice alone.
func (cl *Client) Look(ctx context.Context, text, ref string) (f notice.Found, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/search", body: searchBody{text, ref}, again: untilReached}, &f)
	return f, err
}
