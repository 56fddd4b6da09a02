package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// maxReconciled is how many deliveries one call can reconcile, each way.
const maxReconciled = 1000

// uncertainList is a page of uncertain deliveries.
type uncertainList struct {
	Uncertain []ledger.Uncertain `json:"uncertain"`
	Next      *int               `json:"next" doc:"after which seq the next page begins; null at the end"`
}

// reconcileBody is ledger.Reconciliation as it comes over the wire.
type reconcileBody struct {
	Evidence []evidenceBody `json:"evidence,omitempty" maxItems:"1000" doc:"mails that the relay is shown to have taken: uncertain → sent"`
	Requeue  []missingBody  `json:"requeue,omitempty" maxItems:"1000" doc:"mails that its log does not have: uncertain → queued, where gate and log allow"`
	LogFrom  *time.Time     `json:"log_from,omitempty" doc:"the span over which the log was read; needed to requeue"`
	LogUntil *time.Time     `json:"log_until,omitempty"`
}

type evidenceBody struct {
	MessageID string    `json:"message_id" maxLength:"500"`
	Epoch     int64     `json:"epoch" doc:"of the attempt that was looked at"`
	QueueID   string    `json:"queue_id,omitempty" pattern:"^[0-9A-Za-z]{0,40}$" doc:"the relay's; absent for a sink's store"`
	Status    string    `json:"status,omitempty" maxLength:"500" doc:"what the log says last about it"`
	At        time.Time `json:"at" doc:"when the relay took it"`
}

// relayedBody holds the lines of a relay's log about mails.
type relayedBody struct {
	Mails []relayedWord `json:"mails" minItems:"1" maxItems:"1000"`
}

type relayedWord struct {
	MessageID string    `json:"message_id" maxLength:"500"`
	QueueID   string    `json:"queue_id" pattern:"^[0-9A-Za-z]{1,40}$" doc:"the relay's"`
	Status    string    `json:"status" maxLength:"500" doc:"what the log says"`
	At        time.Time `json:"at"`
	Server    string    `json:"server,omitempty" maxLength:"500" doc:"the recipient's server, which took the mail; absent while none did"`
}

type missingBody struct {
	MessageID string `json:"message_id" maxLength:"500"`
	Epoch     int64  `json:"epoch" doc:"of the attempt that was looked at"`
}

func (s *Server) describeReconcile(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-uncertain", Method: http.MethodGet, Path: "/v1/notices/{id}/uncertain", Tags: []string{"notices"},
		Summary: "What is uncertain, and what a relay's log must show to tell",
	}, s.uncertain, 404, 422)
	register(s, api, huma.Operation{
		OperationID: "reconcile-notice", Method: http.MethodPost, Path: "/v1/notices/{id}/reconcile", Tags: []string{"notices"},
		Summary:     "Settle what is uncertain by what a relay's log shows",
		Description: "A delivery that changed since it was looked at is left alone. Nothing is requeued before its gate, or on a log that does not reach over its attempt.",
	}, s.reconcile, 400, 404, 409, 413, 415, 422)
	register(s, api, huma.Operation{
		OperationID: "relayed", Method: http.MethodPost, Path: "/v1/relayed", Tags: []string{"notices"},
		Summary: "Record what a relay's log says about mails, as it is written",
		Description: "A mail that the relay has, or has handed on, and that was uncertain is sent; one that is sent keeps when the recipient's server took it, and which that was. " +
			"Nothing is requeued. The same may be said again.",
	}, s.relayed, 400, 413, 415, 422)
}

func (s *Server) relayed(ctx context.Context, in *struct{ Body relayedBody }) (*answer[ledger.RelayedResult], error) {
	words := make([]ledger.Relayed, len(in.Body.Mails))
	for i, w := range in.Body.Mails {
		words[i] = ledger.Relayed(w)
	}
	return ok(s.desk.Relayed(ctx, words, requestOf(ctx).who))
}

// Relayed records the lines of a relay's log about at most 1,000 mails.
func (cl *Client) Relayed(ctx context.Context, words []ledger.Relayed) (done ledger.RelayedResult, err error) {
	var body relayedBody
	for _, w := range words {
		body.Mails = append(body.Mails, relayedWord(w))
	}
	return done, cl.do(ctx, call{method: http.MethodPost, path: "/v1/relayed", body: body}, &done)
}

func (s *Server) uncertain(ctx context.Context, in *struct {
	ID    string `path:"id" doc:"the notice's key or number"`
	After int    `query:"after" default:"-1" minimum:"-1" maximum:"2147483647" doc:"only deliveries with a greater seq"`
	Limit int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"at most so many"`
}) (*answer[uncertainList], error) {
	all, err := s.book.Uncertain(ctx, in.ID, in.After, in.Limit+1)
	if err != nil {
		return nil, err
	}
	list := uncertainList{Uncertain: orEmpty(all)}
	if len(all) > in.Limit {
		list.Uncertain = all[:in.Limit]
		list.Next = &all[in.Limit-1].Seq
	}
	return ok(list, nil)
}

func (s *Server) reconcile(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the notice's key or number"`
	Body reconcileBody
}) (*answer[ledger.Reconciled], error) {
	b := in.Body
	if len(b.Requeue) > 0 && (b.LogFrom == nil || b.LogUntil == nil) {
		return nil, notice.Invalid("log_from", "say over which span the log was read: without it nothing is known to be missing")
	}
	r := ledger.Reconciliation{}
	if b.LogFrom != nil {
		r.LogFrom = *b.LogFrom
	}
	if b.LogUntil != nil {
		r.LogUntil = *b.LogUntil
	}
	for _, e := range b.Evidence {
		r.Evidence = append(r.Evidence, ledger.Evidence(e))
	}
	for _, m := range b.Requeue {
		r.Requeue = append(r.Requeue, ledger.Missing(m))
	}
	done, err := s.desk.Reconcile(ctx, in.ID, r, requestOf(ctx).who)
	done.From = inUTC(done.From)
	return ok(done, err)
}

// Uncertain returns all uncertain deliveries of a notice by seq, each with the time that a relay's log must cover.
func (cl *Client) Uncertain(ctx context.Context, ref string) (all []ledger.Uncertain, err error) {
	query := url.Values{"limit": {strconv.Itoa(maxPage)}}
	for {
		var page uncertainList
		c := call{method: http.MethodGet, path: noticePath(ref, "/uncertain"), query: query, again: untilReached}
		if err := cl.do(ctx, c, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Uncertain...)
		if page.Next == nil {
			return all, nil
		}
		query.Set("after", strconv.Itoa(*page.Next))
	}
}

// Reconcile settles uncertain deliveries by the evidence of a relay's log, in as many calls as that takes. After an
// error it returns the result up to then; giving the same again does no harm.
func (cl *Client) Reconcile(ctx context.Context, ref string, r ledger.Reconciliation) (all ledger.Reconciled, err error) {
	for len(r.Evidence)+len(r.Requeue) > 0 {
		body := reconcileBody{LogFrom: inUTC(&r.LogFrom), LogUntil: inUTC(&r.LogUntil)}
		for len(body.Evidence) < maxReconciled/2 && len(r.Evidence) > 0 {
			body.Evidence, r.Evidence = append(body.Evidence, evidenceBody(r.Evidence[0])), r.Evidence[1:]
		}
		// The evidence of the log comes first: it is certain, and asks for nothing.
		for len(r.Evidence) == 0 && len(body.Requeue) < maxReconciled/2 && len(r.Requeue) > 0 {
			body.Requeue, r.Requeue = append(body.Requeue, missingBody(r.Requeue[0])), r.Requeue[1:]
		}
		var done ledger.Reconciled
		if err := cl.do(ctx, call{method: http.MethodPost, path: noticePath(ref, "/reconcile"), body: body}, &done); err != nil {
			return all, err
		}
		all.Sent += done.Sent
		all.Requeued += done.Requeued
		all.TooEarly += done.TooEarly
		all.NotCovered += done.NotCovered
		all.Changed += done.Changed
		all.Overtaken += done.Overtaken
		all.Suppressed += done.Suppressed
		for _, key := range done.By {
			if !slices.Contains(all.By, key) {
				all.By = append(all.By, key)
			}
		}
		if done.From != nil && (all.From == nil || all.From.Before(*done.From)) {
			all.From = done.From
		}
	}
	return all, nil
}
