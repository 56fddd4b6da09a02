package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"tocsin/internal/notice"
)

// ImportCustomers sends a customer file, which is streamed and may be of any size. strict keeps none of it if any
// row is bad.
func (cl *Client) ImportCustomers(ctx context.Context, file io.Reader, format Format, strict bool) (r notice.ImportReport, err error) {
	c := call{method: http.MethodPost, path: "/v1/customers/import", stream: file, contentType: string(format)}
	if strict {
		c.query = url.Values{"strict": {"true"}}
	}
	resp, err := cl.send(ctx, c)
	if err != nil {
		return r, err
	}
	return r, cl.decode(resp, &r)
}

// Customer returns the customer with that external id.
func (cl *Client) Customer(ctx context.Context, id string) (c notice.Customer, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: customerPath(id, ""), again: untilReached}, &c)
	return c, err
}

// PutCustomer creates or replaces the customer and returns it as it is kept: canonical language, no empty attributes.
func (cl *Client) PutCustomer(ctx context.Context, c notice.Customer) (kept notice.Customer, err error) {
	err = cl.do(ctx, call{method: http.MethodPut, path: customerPath(c.ID, ""), body: c}, &kept)
	return kept, err
}

// DeleteCustomer erases the customer; what was sent stays counted, without a name or an address.
func (cl *Client) DeleteCustomer(ctx context.Context, id string) error {
	return cl.do(ctx, call{method: http.MethodDelete, path: customerPath(id, "")}, nil)
}

// History lists what the customer with that id, or the mailbox with that address, was to be told, and what became of it.
func (cl *Client) History(ctx context.Context, idOrAddress string) ([]notice.HistoryEntry, error) {
	var l historyList
	err := cl.do(ctx, call{method: http.MethodGet, path: customerPath(idOrAddress, "/deliveries"), again: untilReached}, &l)
	return l.Deliveries, err
}

// Healthy returns nil once the server's process answers.
func (cl *Client) Healthy(ctx context.Context) error {
	return cl.do(ctx, call{method: http.MethodGet, path: "/healthz", again: untilReached}, nil)
}

// Ready returns nil once the server reaches all that it needs.
func (cl *Client) Ready(ctx context.Context) error {
	return cl.do(ctx, call{method: http.MethodGet, path: "/readyz", again: untilReached}, nil)
}

func customerPath(id, verb string) string { return "/v1/customers/" + segment(id) + verb }

// segment escapes s as one segment of a path. Dots alone would be taken for steps of the path.
func segment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}
