package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

type (
	// RelayList are the relays of the workers.
	RelayList struct {
		Relays []notice.Relay `json:"relays"`
		// Unheard says that Redis is away: how the workers find their relays is not known.
		Unheard bool `json:"unheard,omitempty"`
	}
	restBody struct {
		For    string `json:"for,omitempty" doc:"how long, such as 30m or 2h; absent: until it is resumed"`
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"shown with the notices that wait"`
	}
)

func (s *Server) describeRelays(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"relays"}}
	}
	register(s, api, op("list-relays", http.MethodGet, "/v1/relays", "The relays of the workers, and how each is"), s.relays)
	register(s, api, op("rest-relay", http.MethodPost, "/v1/relays/{name}/rest", "Have no worker give mails to a relay; binds all of them within a second"),
		func(ctx context.Context, in *struct {
			Name string `path:"name" doc:"as the settings of the workers have it"`
			Body restBody
		}) (*answer[notice.Relay], error) {
			span, err := notice.ParseSpan("for", in.Body.For)
			if err != nil {
				return nil, err
			}
			return ok(s.book.RestRelay(ctx, in.Name, span, in.Body.Reason, requestOf(ctx).who))
		}, 400, 404, 413, 415, 422)
	register(s, api, op("resume-relay", http.MethodPost, "/v1/relays/{name}/resume", "End the rest of a relay"),
		func(ctx context.Context, in *struct {
			Name string `path:"name"`
		}) (*answer[notice.Relay], error) {
			return ok(s.book.ResumeRelay(ctx, in.Name, requestOf(ctx).who))
		}, 404)
}

// relays joins the relays of the ledger with those of the workers.
func (s *Server) relays(ctx context.Context, _ *struct{}) (*answer[RelayList], error) {
	all, err := s.book.Relays(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.heard(ctx)
	if err != nil {
		return nil, err
	}
	list := RelayList{Relays: orEmpty(all), Unheard: p.Unheard}
	for i := range list.Relays {
		list.Relays[i].Workers = []notice.RelayHealth{}
		for _, q := range p.Quotas {
			if q.Relay == list.Relays[i].Name {
				list.Relays[i].Quota = &q
			}
		}
		for _, h := range p.Relays {
			if h.Relay == list.Relays[i].Name {
				list.Relays[i].Workers = append(list.Relays[i].Workers, h)
			}
		}
	}
	return ok(list, nil)
}

// Relays returns the relays of the workers.
func (cl *Client) Relays(ctx context.Context) (list RelayList, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: "/v1/relays", again: untilReached}, &list)
	return list, err
}

// RestRelay lets a relay rest, for a span or, where that is 0, until it is resumed.
func (cl *Client) RestRelay(ctx context.Context, name string, span time.Duration, reason string) (r notice.Relay, err error) {
	body := restBody{For: spanText(span), Reason: reason}
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/relays/" + url.PathEscape(name) + "/rest", body: body}, &r)
	return r, err
}

// spanText writes how long something is to last, as notice.ParseSpan reads it.
func spanText(span time.Duration) string {
	if span == 0 {
		return ""
	}
	return span.String()
}

// ResumeRelay ends the rest of a relay.
func (cl *Client) ResumeRelay(ctx context.Context, name string) (r notice.Relay, err error) {
	err = cl.do(ctx, call{method: http.MethodPost, path: "/v1/relays/" + url.PathEscape(name) + "/resume"}, &r)
	return r, err
}
