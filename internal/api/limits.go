package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

type (
	// LimitList are the limits of recipient domains.
	LimitList struct {
		Limits []notice.DomainLimit `json:"limits"`
		// Unheard says that Redis is away: only the limits that are set are known.
		Unheard bool `json:"unheard,omitempty"`
	}
	limitBody struct {
		Rate        string `json:"rate,omitempty" doc:"such as 20/s, 600/m, 5000/h or 50000/d; absent: that of the workers' files"`
		Connections int    `json:"connections,omitempty" doc:"mails under way at once, of all workers; absent: those of their files"`
		For         string `json:"for,omitempty" doc:"how long, such as 30m or 2h; absent: until it is cleared"`
	}
)

func (s *Server) describeLimits(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"limits"}}
	}
	register(s, api, op("list-limits", http.MethodGet, "/v1/limits", "The limits of recipient domains: set, of files, and learnt"), s.limits)
	register(s, api, op("set-limit", http.MethodPut, "/v1/limits/{domain}", "Set the limit of a domain; binds all workers within a second"), s.setLimit,
		400, 413, 415, 422)
	register(s, api, op("clear-limit", http.MethodDelete, "/v1/limits/{domain}", "Have a domain be limited by the workers' files again"),
		func(ctx context.Context, in *struct {
			Domain string `path:"domain"`
		}) (*answer[notice.DomainLimit], error) {
			domain, err := audience.ParseDomain(in.Domain)
			if err != nil {
				return nil, err
			}
			return ok(s.book.ClearLimit(ctx, domain, requestOf(ctx).who))
		}, 404, 422)
}

// limits joins the limits of the ledger with those of the workers.
func (s *Server) limits(ctx context.Context, _ *struct{}) (*answer[LimitList], error) {
	set, err := s.book.Limits(ctx)
	if err != nil {
		return nil, err
	}
	p, err := s.heard(ctx)
	if err != nil {
		return nil, err
	}
	return ok(LimitList{Limits: orEmpty(notice.JoinLimits(set, p.Files, p.Learnt)), Unheard: p.Unheard}, nil)
}

func (s *Server) setLimit(ctx context.Context, in *struct {
	Domain string `path:"domain" doc:"of the addresses, as U-label or A-label"`
	Body   limitBody
}) (*answer[notice.DomainLimit], error) {
	l := notice.DomainLimit{Connections: in.Body.Connections}
	var err error
	if l.Domain, err = audience.ParseDomain(in.Domain); err != nil {
		return nil, err
	}
	if in.Body.Rate != "" {
		rate, err := notice.ParseRate(in.Body.Rate)
		if err != nil {
			return nil, notice.Invalid("rate", "%v", err)
		}
		l.RatePerS = float64(rate)
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	span, err := notice.ParseSpan("for", in.Body.For)
	if err != nil {
		return nil, err
	}
	return ok(s.book.SetLimit(ctx, l, span, requestOf(ctx).who))
}

// heard is the pace that the workers report.
func (s *Server) heard(ctx context.Context) (*notice.Pace, error) {
	if s.pace == nil {
		return &notice.Pace{Unheard: true}, nil
	}
	return s.pace(ctx)
}

// Limits returns the limits of recipient domains.
func (cl *Client) Limits(ctx context.Context) (list LimitList, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: "/v1/limits", again: untilReached}, &list)
	return list, err
}

// SetLimit limits a domain, for a span or, where that is 0, until it is cleared. An empty rate, or 0 connections, leave that to the
// workers' files.
func (cl *Client) SetLimit(ctx context.Context, domain, rate string, connections int, span time.Duration) (l notice.DomainLimit, err error) {
	body := limitBody{Rate: rate, Connections: connections, For: spanText(span)}
	err = cl.do(ctx, call{method: http.MethodPut, path: "/v1/limits/" + url.PathEscape(domain), body: body}, &l)
	return l, err
}

// ClearLimit ends a limit that was set.
func (cl *Client) ClearLimit(ctx context.Context, domain string) (l notice.DomainLimit, err error) {
	err = cl.do(ctx, call{method: http.MethodDelete, path: "/v1/limits/" + url.PathEscape(domain)}, &l)
	return l, err
}
