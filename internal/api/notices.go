package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// maxWait is how long a status may be waited for.
const maxWait = 60 * time.Second

// beat is how often a waited-for notice is looked at: the answer is to come within 100 ms of the change.
const beat = 50 * time.Millisecond

// answer is a body that huma writes as JSON, with its status where that is not 200.
type answer[T any] struct {
	Status int
	Body   T
}

func ok[T any](body T, err error) (*answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &answer[T]{Status: http.StatusOK, Body: body}, nil
}

// created answers 201.
func created[T any](body T, err error) (*answer[T], error) { return made(body, true, err) }

// made answers 201 where something is new, else 200.
func made[T any](body T, isNew bool, err error) (*answer[T], error) {
	out, err := ok(body, err)
	if err == nil && isNew {
		out.Status = http.StatusCreated
	}
	return out, err
}

type (
	noticeInput struct {
		RawBody []byte
		Body    notice.Body
	}
	refInput struct {
		ID string `path:"id" doc:"the notice's key or number"`
	}
)

func noticeOperation(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"notices"}}
}

func (s *Server) describeNotices(api huma.API) {
	op := noticeOperation
	draft := op("draft-notice", http.MethodPost, "/v1/notices", "Make a draft, or replace the one with the same key")
	draft.Description = "After release the same body answers with created: false, and another body is a conflict."
	draft.DefaultStatus = http.StatusCreated
	draft.MaxBodyBytes = maxNoticeBody
	draft.Responses = map[string]*huma.Response{"200": jsonResponse[Receipt](api, "The notice was there already; a draft has been replaced")}
	register(s, api, draft, s.draft, 400, 409, 413, 415, 422)
	test := op("test-notice", http.MethodPost, "/v1/notices/test", "Send one mail per language to one address, outside the ledger")
	test.MaxBodyBytes = maxNoticeBody
	register(s, api, test, s.test, 400, 413, 415, 422)
	register(s, api, op("list-notices", http.MethodGet, "/v1/notices", "The notices, the newest first"), s.list, 422)
	register(s, api, op("get-notice", http.MethodGet, "/v1/notices/{id}", "Where a notice stands"), s.status, 404, 422)
	s.describeRelease(api)
	decisions := []struct {
		verb, summary string
		act           func(ctx context.Context, ref, who string) (notice.Status, error)
	}{
		{"pause", "Stop the sending until it is resumed", s.desk.Pause},
		{"cancel", "End the sending for good", s.desk.Cancel},
		{"send-now", "Send a scheduled notice at once", s.desk.SendNow},
		{"take-back", "Make a draft again of a notice that has not begun to leave", s.desk.TakeBack},
	}
	for _, d := range decisions {
		register(s, api, op(d.verb+"-notice", http.MethodPost, "/v1/notices/{id}/"+d.verb, d.summary),
			func(ctx context.Context, in *refInput) (*answer[notice.Status], error) {
				st, err := d.act(ctx, in.ID, requestOf(ctx).who)
				return ok(tidyStatus(st), err)
			}, 404, 409)
	}
	register(s, api, op("resume-notice", http.MethodPost, "/v1/notices/{id}/resume", "Go on after a pause, or after a relay refused everybody"),
		s.resume, 400, 404, 409, 413, 415, 422)
	register(s, api, op("move-notice", http.MethodPost, "/v1/notices/{id}/move", "Have a notice that has not begun leave at another time"),
		s.move, 400, 404, 409, 413, 415, 422)
	register(s, api, op("delete-draft", http.MethodDelete, "/v1/notices/{id}", "Delete a draft; its key can be used again"),
		func(ctx context.Context, in *refInput) (*struct{}, error) {
			return nil, s.desk.DeleteDraft(ctx, in.ID, requestOf(ctx).who)
		}, 404, 409)
	register(s, api, op("unhold-notice", http.MethodPost, "/v1/notices/{id}/unhold", "Let go of a notice that a restored ledger holds, or that could not leave"),
		s.unhold, 400, 404, 409, 413, 415, 422)
	register(s, api, op("settle-notice", http.MethodPost, "/v1/notices/{id}/settle", "Decide about deliveries that need a decision"),
		s.settle, 400, 404, 409, 413, 415, 422)
	s.describeAdding(api)
	s.describeReconcile(api)
	s.describeDeliveries(api)
	s.describeMessage(api)
	s.describeReports(api)
}

func (s *Server) draft(ctx context.Context, in *noticeInput) (*answer[Receipt], error) {
	if err := checkSize(in.RawBody, in.Body); err != nil {
		return nil, err
	}
	st, created, err := s.desk.Draft(ctx, in.Body, requestOf(ctx).who)
	return made(Receipt{Status: tidyStatus(st), Created: created}, created, err)
}

func (s *Server) test(ctx context.Context, in *struct {
	RawBody []byte
	Body    testRequest
}) (*answer[testReport], error) {
	if err := checkSize(in.RawBody, in.Body.Body); err != nil {
		return nil, err
	}
	answers, err := s.desk.Test(ctx, in.Body.Body, in.Body.To, requestOf(ctx).who)
	if err != nil {
		return nil, err
	}
	report := testReport{Mails: []TestMail{}}
	for language, a := range answers {
		report.Mails = append(report.Mails, TestMail{Language: language, Outcome: a.Outcome.String(), Relay: a.Relay,
			SMTPCode: a.Code, Enhanced: a.Enhanced, SMTPText: a.Text})
	}
	slices.SortFunc(report.Mails, func(a, b TestMail) int { return cmp.Compare(a.Language, b.Language) })
	return ok(report, nil)
}

// list reads one notice more than asked for, which tells whether there is a next page.
func (s *Server) list(ctx context.Context, in *struct {
	Before   int64  `query:"before" minimum:"0" doc:"only notices with a smaller number; 0 = all"`
	Limit    int    `query:"limit" default:"1000" minimum:"1" maximum:"1000" doc:"at most so many"`
	Incident string `query:"incident" doc:"only the notices of the incident with this key"`
}) (*answer[noticeList], error) {
	all, err := s.book.Notices(ctx, notice.Page{Before: in.Before, Incident: in.Incident, Limit: in.Limit + 1})
	list := noticeList{Notices: orEmpty(all)}
	if len(all) > in.Limit {
		list.Notices = all[:in.Limit]
		list.Next = &all[in.Limit-1].Number
	}
	for i := range list.Notices {
		list.Notices[i] = tidyStatus(list.Notices[i])
	}
	return ok(list, err)
}

func (s *Server) status(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the notice's key or number"`
	Wait string `query:"wait" doc:"answer when the notice is finished, or after this time; 60s at most" example:"30s"`
}) (*answer[notice.Status], error) {
	if in.Wait != "" {
		wait, err := time.ParseDuration(in.Wait)
		if err != nil || wait < 0 {
			return nil, notice.Invalid("wait", "is not a time such as 30s")
		}
		if err := s.awaitEnd(ctx, in.ID, min(wait, maxWait)); err != nil {
			return nil, err
		}
	}
	st, err := s.book.Status(ctx, in.ID)
	if err == nil && st.State == notice.Sending && s.pace != nil {
		var err error
		if st.Pace, err = s.pace(ctx); err != nil {
			s.log.Warn("read what paces the workers", slog.Any("error", err))
		}
	}
	return ok(tidyStatus(st), err)
}

// awaitEnd returns when the notice is finished, the time is over or the server stops.
func (s *Server) awaitEnd(ctx context.Context, ref string, wait time.Duration) error {
	over := time.NewTimer(wait)
	defer over.Stop()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		if ended, err := s.ended(ctx, ref); err != nil || ended {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping:
			return nil
		case <-over.C:
			return nil
		case <-ticker.C:
		}
	}
}

// ended reports whether nothing of a notice is under way any more. One that is cancelled still has mails at relays
// for a moment; only of that one it is worth counting.
func (s *Server) ended(ctx context.Context, ref string) (bool, error) {
	state, err := s.book.State(ctx, ref)
	if err != nil || state != notice.Cancelled {
		return state.Finished(), err
	}
	st, err := s.book.Status(ctx, ref)
	return st.Settled(), err
}

// resumingBody is notice.Resuming.
type resumingBody struct {
	LeaveFailed bool `json:"leave_failed,omitempty" doc:"the mails for whose refusal the notice is held stay failed; without it they are sent again"`
}

func (s *Server) resume(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the notice's key or number"`
	Body *resumingBody
}) (*answer[notice.Status], error) {
	var r notice.Resuming
	if in.Body != nil {
		r = notice.Resuming(*in.Body)
	}
	st, err := s.desk.Resume(ctx, in.ID, r, requestOf(ctx).who)
	return ok(tidyStatus(st), err)
}

// movingBody is notice.Moving with an optional allow.
type movingBody struct {
	SendAt notice.Time `json:"send_at"`
	Allow  []string    `json:"allow,omitempty" doc:"the checks that are overruled, by name, such as past; the log of the notice names them" maxItems:"10"`
}

func (s *Server) move(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the notice's key or number"`
	Body movingBody
}) (*answer[notice.Status], error) {
	st, err := s.desk.Move(ctx, in.ID, notice.Moving(in.Body), requestOf(ctx).who)
	return ok(tidyStatus(st), err)
}

// unholdingBody is notice.Unholding, of which clients may leave out any field.
type unholdingBody struct {
	Send      bool `json:"send,omitempty" doc:"nothing of it left after the backup: what is owed is sent"`
	Uncertain bool `json:"uncertain,omitempty" doc:"it may have left: what is owed becomes uncertain, which is what happens where neither is said"`
	Lift      bool `json:"lift,omitempty" doc:"releases are not held any more"`

	MaxRecipients int `json:"max_recipients,omitempty" minimum:"0" doc:"of a notice that went to more when it was to leave: the new maximum; 0: as it is"`
}

func (s *Server) unhold(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the notice's key or number"`
	Body unholdingBody
}) (*answer[notice.Status], error) {
	if in.Body.Send && in.Body.Uncertain {
		return nil, notice.Invalid("send", "say either send or uncertain")
	}
	st, err := s.desk.Unhold(ctx, in.ID, notice.Unholding(in.Body), requestOf(ctx).who)
	return ok(tidyStatus(st), err)
}

// settlementBody is notice.Settlement, of which clients may leave out any field.
type settlementBody struct {
	Sent         bool   `json:"sent,omitempty" doc:"they arrived: uncertain → sent"`
	Requeue      bool   `json:"requeue,omitempty" doc:"send (again): uncertain, failed or suppressed → queued"`
	Address      string `json:"address,omitempty" doc:"the delivery to this mailbox"`
	AllUncertain bool   `json:"all_uncertain,omitempty" doc:"every uncertain delivery"`
	State        string `json:"state,omitempty" doc:"every delivery in this state; of the suppressed ones those that are only_to" enum:"failed,uncertain,suppressed"`
	Code         int    `json:"code,omitempty" doc:"of the failed ones, those with this SMTP code" minimum:"0" maximum:"599"`
	Relay        string `json:"relay,omitempty" doc:"of those in the state, the ones that this relay answered"`
	Force        bool   `json:"force,omitempty" doc:"requeue also where a later notice of the incident goes to the mailbox, or may have gone; the log names those notices"`
}

func (s *Server) settle(ctx context.Context, in *struct {
	ID   string `path:"id" doc:"the notice's key or number"`
	Body settlementBody
}) (*answer[notice.Settled], error) {
	what := notice.Settlement(in.Body)
	if err := what.Check(); err != nil {
		return nil, err
	}
	return ok(s.desk.Settle(ctx, in.ID, what, requestOf(ctx).who))
}

// tidyStatus makes a status fit to be read by a program: no null where there is a map, times in UTC.
func tidyStatus(st notice.Status) notice.Status {
	st.Counts, st.ByLanguage, st.Suppressed = filled(st.Counts), filled(st.ByLanguage), filled(st.Suppressed)
	st.Bounces.ByClass, st.Bounces.PolicyDomains = filled(st.Bounces.ByClass), orEmpty(st.Bounces.PolicyDomains)
	st.CreatedAt = st.CreatedAt.UTC()
	for _, t := range []**time.Time{&st.SendAt, &st.ExpiresAt, &st.HeldUntil, &st.ReleasedAt, &st.FirstSentAt, &st.LastSentAt, &st.RowsDroppedAt} {
		*t = inUTC(*t)
	}
	return st
}

func filled[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// jsonResponse documents an answer of that type.
func jsonResponse[T any](api huma.API, description string) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemaOf[T](api)},
	}}
}
