package api

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// ImportCustomers sends a customer file, which is streamed and may be of any size.
func (cl *Client) ImportCustomers(ctx context.Context, file io.Reader, f CustomerFile) (r notice.ImportReport, err error) {
	c := call{method: http.MethodPost, path: "/v1/customers/import", stream: file, contentType: string(f.Format), query: f.query()}
	resp, err := cl.send(ctx, c)
	if err != nil {
		return r, err
	}
	return r, cl.decode(resp, &r)
}

// query is how the server is told.
func (f CustomerFile) query() url.Values {
	q := url.Values{}
	for name, set := range map[string]bool{"strict": f.Strict, "keep_good": f.KeepGood, "dry_run": f.DryRun, "sync": f.Sync} {
		if set {
			q.Set(name, "true")
		}
	}
	if f.Sync {
		q.Set("max_retired", strconv.FormatFloat(f.MaxRetired, 'f', -1, 64))
	}
	if f.Encoding != "" {
		q.Set("encoding", f.Encoding)
	}
	for _, from := range slices.Sorted(maps.Keys(f.Map)) {
		q.Add("map", from+"="+f.Map[from])
	}
	for _, name := range f.Attributes {
		q.Add("attribute", name)
	}
	return q
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

// PatchCustomer changes some fields of the customer, as JSON Merge Patch (RFC 7396), and returns it as it is kept.
func (cl *Client) PatchCustomer(ctx context.Context, id string, patch map[string]any) (kept notice.Customer, err error) {
	err = cl.do(ctx, call{method: http.MethodPatch, path: customerPath(id, ""), body: patch}, &kept)
	return kept, err
}

// DeleteCustomer erases the customer; mails that were sent stay counted, without a name or an address.
func (cl *Client) DeleteCustomer(ctx context.Context, id string) error {
	return cl.do(ctx, call{method: http.MethodDelete, path: customerPath(id, "")}, nil)
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
