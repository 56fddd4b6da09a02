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
		Text   string `json:"text" minLength:"1" maxLength:"1000" doc:"an address in any spelling, a customer's external id, or a text of a customer"`
		Notice string `json:"notice,omitempty" maxLength:"100" doc:"only the deliveries of the notice with this key or number"`
	}
	searchAnswer struct {
		Customers  []notice.Customer     `json:"customers" doc:"those who have the text or the address, the first 100 by id"`
		Deliveries []notice.HistoryEntry `json:"deliveries" doc:"what the mailbox or the customer with that id was to be told, the newest first"`
	}
)

func (s *Server) describeSearch(api huma.API) {
	history := huma.Operation{OperationID: "customer-history", Method: http.MethodPost, Path: "/v1/customers/history", DefaultStatus: http.StatusOK,
		Summary: "What a customer, or an address, was to be told; no address in the URL", Tags: []string{"customers"}}
	register(s, api, history, func(ctx context.Context, in *struct{ Body historyBody }) (*answer[historyList], error) {
		return s.history(ctx, in.Body.Customer)
	}, 400, 413, 415, 422)
	search := huma.Operation{OperationID: "search", Method: http.MethodPost, Path: "/v1/search", DefaultStatus: http.StatusOK,
		Summary: "Who has this address, id or text, and what were they told?", Tags: []string{"customers"}}
	register(s, api, search, s.search, 400, 404, 413, 415, 422)
}

func (s *Server) search(ctx context.Context, in *struct{ Body searchBody }) (*answer[searchAnswer], error) {
	text := in.Body.Text
	people := notice.CustomerPage{Limit: 100, Text: audience.CanonicalID(text)}
	if a, err := audience.ParseAddress(text); err == nil {
		people.Text, people.AddressKey = "", a.Key()
	}
	list, err := s.customerPage(ctx, people)
	if err != nil {
		return nil, err
	}
	found := searchAnswer{Customers: list.Body.Customers}
	if in.Body.Notice != "" {
		found.Deliveries, err = s.searchNotice(ctx, in.Body.Notice, text)
		return ok(found, err)
	}
	told, err := s.history(ctx, text)
	if err != nil {
		return nil, err
	}
	found.Deliveries = told.Body.Deliveries
	return ok(found, nil)
}

// searchNotice returns the deliveries of a notice to an address or a customer.
func (s *Server) searchNotice(ctx context.Context, ref, text string) ([]notice.HistoryEntry, error) {
	st, err := s.book.Status(ctx, ref)
	if err != nil {
		return nil, err
	}
	list, err := s.page(ctx, st.Number, notice.DeliveryPage{After: -1, Limit: maxPage, Search: text})
	entries := []notice.HistoryEntry{}
	for _, d := range list.Deliveries {
		entries = append(entries, notice.HistoryEntry{Number: st.Number, Key: st.Key, Kind: st.Kind, Phase: st.Phase, Delivery: d})
	}
	if err != nil {
		return nil, err
	}
	return entries, s.desk.Subjects(ctx, entries)
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

// Search returns who has an address, an id or a text, and the deliveries to the mailbox or the customer; of one notice alone
// where ref is not "".
func (cl *Client) Search(ctx context.Context, text, ref string) (customers []notice.Customer, told []notice.HistoryEntry, err error) {
	var found searchAnswer
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/search", body: searchBody{text, ref}, again: untilReached}, &found)
	return found.Customers, found.Deliveries, err
}
