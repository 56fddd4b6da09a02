package api

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tocsin/internal/notice"
)

// Draft makes a draft of the notice, or replaces the one with the same key.
func (cl *Client) Draft(ctx context.Context, body notice.Body) (r Receipt, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/notices", body: body}, &r)
	return r, err
}

// Preview is the dry run of a release of that body, with a sample per language and the parts that v asks for.
func (cl *Client) Preview(ctx context.Context, body notice.Body, v notice.Previewing) (p notice.Plan, err error) {
	query := url.Values{}
	if v.Customer != "" {
		query.Set("customer", v.Customer)
	}
	if v.Source {
		query.Set("source", "true")
	}
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/notices/preview", query: query, body: body}, &p)
	return p, err
}

// Test sends one mail per language of the notice to that address, outside the ledger.
func (cl *Client) Test(ctx context.Context, body notice.Body, to string) ([]TestMail, error) {
	var r testReport
	err := cl.do(ctx, call{method: http.MethodPost, path: "/v1/notices/test", body: testRequest{Body: body, To: to}}, &r)
	return r.Mails, err
}

// PreviewDraft is the dry run of a draft. Its plan is kept: a release of its digest takes it as it was shown.
func (cl *Client) PreviewDraft(ctx context.Context, ref string) (p notice.Plan, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/preview")}, &p)
	return p, err
}

// ReviewDraft is the dry run of a draft that keeps nothing: the plan that waits for approval stays. It has the draft's body.
func (cl *Client) ReviewDraft(ctx context.Context, ref string) (p notice.Plan, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/preview"), query: url.Values{"keep": {"false"}}}, &p)
	return p, err
}

// Planning is how many customers the planning of a draft has come to, and whether it is under way.
func (cl *Client) Planning(ctx context.Context, ref string) (customers int, running bool, err error) {
	var p planning
	err = cl.do(ctx, call{method: http.MethodGet, path: noticePath(ref, "/planning")}, &p)
	return p.Customers, p.Running, err
}

// Release lets the notice go out. Created says whether this call released it.
func (cl *Client) Release(ctx context.Context, ref string, how notice.Releasing) (r Receipt, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/release"), body: how}, &r)
	return r, err
}

// Approve lets the notice go out in the name of another person than its authors. Created says whether this call released it.
func (cl *Client) Approve(ctx context.Context, ref string, a notice.Approving) (r Receipt, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/approve"), body: approvingBody(a)}, &r)
	return r, err
}

// Pause stops the sending until Resume; at most the mails that are already marked still leave.
func (cl *Client) Pause(ctx context.Context, ref string) (notice.Status, error) {
	return cl.decide(ctx, ref, "/pause")
}

// Resume goes on after Pause, or after a relay refused everybody.
func (cl *Client) Resume(ctx context.Context, ref string, r notice.Resuming) (st notice.Status, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/resume"), body: r}, &st)
	return st, err
}

// Cancel ends the sending for good; at most the mails that are already marked still leave.
func (cl *Client) Cancel(ctx context.Context, ref string) (notice.Status, error) {
	return cl.decide(ctx, ref, "/cancel")
}

// DeleteDraft deletes a draft; its key can be used again.
func (cl *Client) DeleteDraft(ctx context.Context, ref string) error {
	return cl.do(ctx, call{method: http.MethodDelete, path: noticePath(ref, "")}, nil)
}

// SendNow sends a scheduled notice at once.
func (cl *Client) SendNow(ctx context.Context, ref string) (notice.Status, error) {
	return cl.decide(ctx, ref, "/send-now")
}

// TakeBack makes a draft again of a notice that has not begun to leave.
func (cl *Client) TakeBack(ctx context.Context, ref string) (notice.Status, error) {
	return cl.decide(ctx, ref, "/take-back")
}

// Move sets another time for a notice that has not begun.
func (cl *Client) Move(ctx context.Context, ref string, m notice.Moving) (st notice.Status, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/move"), body: m}, &st)
	return st, err
}

func (cl *Client) decide(ctx context.Context, ref, verb string) (st notice.Status, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, verb)}, &st)
	return st, err
}

// Unhold lets go of a notice that is held because the ledger was restored from a backup.
func (cl *Client) Unhold(ctx context.Context, ref string, u notice.Unholding) (st notice.Status, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/unhold"), body: u}, &st)
	return st, err
}

// AddAddress sends a released notice to another address of a customer who stands on it.
func (cl *Client) AddAddress(ctx context.Context, ref string, a notice.Adding) (added notice.Added, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/add-address"), body: a}, &added)
	return added, err
}

// Settle decides about deliveries that need a decision.
func (cl *Client) Settle(ctx context.Context, ref string, s notice.Settlement) (done notice.Settled, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/settle"), body: s}, &done)
	return done, err
}

// Notices goes through every notice, or those of the incident with that key, the newest first, a page at a time. It
// ends at the first error.
func (cl *Client) Notices(ctx context.Context, incident string) iter.Seq2[notice.Status, error] {
	return func(yield func(notice.Status, error) bool) {
		query := url.Values{}
		if incident != "" {
			query.Set("incident", incident)
		}
		for {
			var page noticeList
			if err := cl.do(ctx, call{method: http.MethodGet, path: "/v1/notices", query: query, again: untilReached}, &page); err != nil {
				yield(notice.Status{}, err)
				return
			}
			for _, st := range page.Notices {
				if !yield(st, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			query.Set("before", strconv.FormatInt(*page.Next, 10))
		}
	}
}

// Status is where the notice stands. With wait above 0 it answers when the notice is finished or that time, 60 s
// at most, is over, whichever comes first.
func (cl *Client) Status(ctx context.Context, ref string, wait time.Duration) (st notice.Status, err error) {
	c := call{method: http.MethodGet, path: noticePath(ref, ""), again: untilReached, wait: wait}
	if wait > 0 {
		c.query = url.Values{"wait": {wait.String()}}
	}
	err = cl.do(ctx, c, &st)
	return st, err
}

// DeliveryQuery picks deliveries of a notice.
type DeliveryQuery struct {
	State  *notice.DeliveryState // only those in this state; nil = all
	Search string                // only this address or external id; "" = all
}

// Deliveries goes through the notice's deliveries by seq, a page at a time. It ends at the first error.
func (cl *Client) Deliveries(ctx context.Context, ref string, q DeliveryQuery) iter.Seq2[notice.Delivery, error] {
	if q.Search != "" {
		return cl.searched(ctx, ref, q)
	}
	return func(yield func(notice.Delivery, error) bool) {
		query := url.Values{"limit": {strconv.Itoa(maxPage)}}
		if q.State != nil {
			query.Set("state", q.State.String())
		}
		for {
			var page deliveryList
			c := call{method: http.MethodGet, path: noticePath(ref, "/deliveries"), query: query, again: untilReached}
			if err := cl.do(ctx, c, &page); err != nil {
				yield(notice.Delivery{}, err)
				return
			}
			for _, d := range page.Deliveries {
				if !yield(d, nil) {
					return
				}
			}
			if page.Next == nil {
				return
			}
			query.Set("after", strconv.Itoa(*page.Next))
		}
	}
}

// searched is Deliveries of one address or customer, which goes into the body of a request.
func (cl *Client) searched(ctx context.Context, ref string, q DeliveryQuery) iter.Seq2[notice.Delivery, error] {
	return func(yield func(notice.Delivery, error) bool) {
		found, err := cl.Look(ctx, q.Search, ref)
		if err != nil {
			yield(notice.Delivery{}, err)
			return
		}
		for _, e := range found.Deliveries {
			if (q.State == nil || e.Delivery.State == *q.State) && !yield(e.Delivery, nil) {
				return
			}
		}
	}
}

// Report counts the notice's deliveries by outcome.
func (cl *Client) Report(ctx context.Context, ref string) (r notice.Report, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: noticePath(ref, "/report"), again: untilReached}, &r)
	return r, err
}

// IncidentReport counts the deliveries of all notices of the incident with that key by outcome.
func (cl *Client) IncidentReport(ctx context.Context, incident string) (r notice.Report, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: incidentPath(incident), again: untilReached}, &r)
	return r, err
}

// IncidentCSV writes the deliveries of all notices of the incident to w as CSV.
func (cl *Client) IncidentCSV(ctx context.Context, incident string, w io.Writer) error {
	return cl.csv(ctx, incidentPath(incident), url.Values{}, w)
}

// DeliveriesCSV writes the notice's report to w as CSV, or only the rows in that state.
func (cl *Client) DeliveriesCSV(ctx context.Context, ref string, state *notice.DeliveryState, w io.Writer) error {
	query := url.Values{}
	if state != nil {
		query.Set("state", state.String())
	}
	return cl.csv(ctx, noticePath(ref, "/deliveries"), query, w)
}

func (cl *Client) csv(ctx context.Context, path string, query url.Values, w io.Writer) error {
	query.Set("format", "csv")
	resp, err := cl.send(ctx, call{method: http.MethodGet, path: path, accept: string(FormatCSV), again: untilReached, query: query})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	return nil
}

func incidentPath(incident string) string { return "/v1/incidents/" + segment(incident) + "/report" }

func noticePath(ref, verb string) string { return "/v1/notices/" + segment(ref) + verb }
