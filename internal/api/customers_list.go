package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// customerList is a page of customers.
type customerList struct {
	Customers []notice.Customer `json:"customers"`
	Next      *string           `json:"next" doc:"after which id the next page begins; null at the end"`
}

// findBody holds the search terms in the body of a request: a path and a query end in logs.
type findBody struct {
	Text    string `json:"text,omitempty" maxLength:"1000" doc:"in the id, the name, an address or an attribute, in any case"`
	Address string `json:"address,omitempty" maxLength:"1000" doc:"the whole address, in any spelling"`
	After   string `json:"after,omitempty" maxLength:"1000" doc:"only customers with a greater id"`
	Limit   int    `json:"limit,omitempty" default:"100" minimum:"1" maximum:"1000" doc:"at most so many"`
}

type attributeList struct {
	Attributes []string `json:"attributes"`
}

type faultList struct {
	Faults []notice.CustomerFault `json:"faults"`
}

// maxFaults is how many faults of a kind are listed.
const maxFaults = 10_000

func (s *Server) describeCustomerLists(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"customers"}}
	}
	register(s, api, op("list-customers", http.MethodGet, "/v1/customers", "The customers, by id"),
		func(ctx context.Context, in *struct {
			After string `query:"after" doc:"only customers with a greater id"`
			Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"at most so many"`
		}) (*answer[customerList], error) {
			return s.customerPage(ctx, notice.CustomerPage{After: in.After, Limit: in.Limit})
		}, 422)
	find := op("find-customers", http.MethodPost, "/v1/customers/find", "The customers who have a text, or an address")
	find.DefaultStatus = http.StatusOK
	register(s, api, find, func(ctx context.Context, in *struct{ Body findBody }) (*answer[customerList], error) {
		p := notice.CustomerPage{After: in.Body.After, Limit: in.Body.Limit, Text: audience.CanonicalID(in.Body.Text)}
		if in.Body.Address != "" {
			a, err := audience.ParseAddress(in.Body.Address)
			if err != nil {
				return nil, err
			}
			p.AddressKey = a.Key()
		}
		return s.customerPage(ctx, p)
	}, 400, 413, 415, 422)
	register(s, api, op("list-attributes", http.MethodGet, "/v1/attributes", "The names of the attributes that customers have"),
		func(ctx context.Context, _ *struct{}) (*answer[attributeList], error) {
			names, err := s.book.AttributeNames(ctx)
			return ok(attributeList{Attributes: orEmpty(names)}, err)
		})
	register(s, api, op("list-customer-faults", http.MethodGet, "/v1/customer-faults", "What was kept once and is refused today"),
		func(ctx context.Context, _ *struct{}) (*answer[faultList], error) {
			faults, err := s.book.CustomerFaults(ctx, maxFaults, audience.IDFault)
			return ok(faultList{Faults: orEmpty(faults)}, err)
		})
}

func (s *Server) customerPage(ctx context.Context, p notice.CustomerPage) (*answer[customerList], error) {
	limit := p.Limit
	p.Limit++
	all, err := s.book.Customers(ctx, p)
	if err != nil {
		return nil, err
	}
	list := customerList{Customers: orEmpty(all)}
	for i := range list.Customers {
		list.Customers[i].Attributes = filled(list.Customers[i].Attributes)
	}
	if len(all) > limit {
		list.Customers = all[:limit]
		list.Next = &all[limit-1].ID
	}
	return ok(list, nil)
}

// Customers returns a page of the customers by id, and after which id the next one begins, "" at the end.
func (cl *Client) Customers(ctx context.Context, after string, limit int) (all []notice.Customer, next string, err error) {
	query := url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}
	return cl.customerPage(ctx, call{method: http.MethodGet, path: "/v1/customers", query: query, again: untilReached})
}

// FindCustomers returns a page of the customers who have the text somewhere, in any case.
func (cl *Client) FindCustomers(ctx context.Context, text, after string, limit int) (all []notice.Customer, next string, err error) {
	body := findBody{Text: text, After: after, Limit: limit}
	return cl.customerPage(ctx, call{method: http.MethodPost, path: "/v1/customers/find", body: body, again: untilReached})
}

// CustomersAt returns the first customers who have that address, in any spelling.
func (cl *Client) CustomersAt(ctx context.Context, address string) (all []notice.Customer, err error) {
	body := findBody{Address: address, Limit: maxPage}
	all, _, err = cl.customerPage(ctx, call{method: http.MethodPost, path: "/v1/customers/find", body: body, again: untilReached})
	return all, err
}

func (cl *Client) customerPage(ctx context.Context, c call) ([]notice.Customer, string, error) {
	var page customerList
	if err := cl.do(ctx, c, &page); err != nil {
		return nil, "", err
	}
	if page.Next == nil {
		return page.Customers, "", nil
	}
	return page.Customers, *page.Next, nil
}

// AttributeNames returns the names of the attributes that customers have.
func (cl *Client) AttributeNames(ctx context.Context) ([]string, error) {
	var l attributeList
	err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/attributes", again: untilReached}, &l)
	return l.Attributes, err
}

// CustomerFaults lists values that were kept once and are refused today.
func (cl *Client) CustomerFaults(ctx context.Context) ([]notice.CustomerFault, error) {
	var l faultList
	err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/customer-faults", again: untilReached}, &l)
	return l.Faults, err
}
