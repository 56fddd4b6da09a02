package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// releasingBody is notice.Releasing, of which clients may leave out any field.
type releasingBody struct {
	Plan   string   `json:"plan,omitempty" doc:"digest of the plan that was shown: that one goes, or nothing does" maxLength:"64" pattern:"^[0-9a-f]{64}$"`
	Allow  []string `json:"allow,omitempty" doc:"the checks that are overruled, by name, such as past; the log of the notice names them" maxItems:"10"`
	Canary int      `json:"canary,omitempty" doc:"how many mailboxes it goes to before it is held, in the place of the body's canary; 0: as the body says" minimum:"0" maximum:"1000"`
}

// describeRelease adds the dry runs of a notice, and its release.
func (s *Server) describeRelease(api huma.API) {
	preview := noticeOperation("preview-notice", http.MethodPost, "/v1/notices/preview", "The dry run: what a release would do, with a sample per language")
	preview.Description = "Of a body that is a draft's the plan is kept, as by preview-draft; of any other nothing is."
	preview.MaxBodyBytes = maxNoticeBody
	register(s, api, preview, func(ctx context.Context, in *struct {
		RawBody  []byte
		Body     notice.Body
		Customer string `query:"customer" doc:"id of a customer: customer has the mail that they would get, or why they would get none"`
		Source   bool   `query:"source" doc:"the samples have their source (RFC 5322), and there is one in each language that nobody gets too"`
	}) (*answer[notice.Plan], error) {
		if err := checkSize(in.RawBody, in.Body); err != nil {
			return nil, err
		}
		p, err := s.desk.Preview(ctx, in.Body, notice.Previewing{Customer: in.Customer, Source: in.Source})
		return ok(tidyPlan(p), err)
	}, 400, 413, 415, 422)
	draft := noticeOperation("preview-draft", http.MethodPost, "/v1/notices/{id}/preview", "The dry run of a draft: the plan is kept, and digest names it to a release")
	draft.Description = "A later dry run of the draft replaces the plan. It is dropped with another body, by the erasure of a customer who is on it, " +
		"and after TOCSIN_PLAN_KEEP. There is no digest where the draft can't be released as it is."
	register(s, api, draft, func(ctx context.Context, in *struct {
		ID   string `path:"id" doc:"the notice's key or number"`
		Keep bool   `query:"keep" default:"true" doc:"false: the plan that waits for approval stays, and this one is not kept; draft has the body"`

		Customer string `query:"customer" doc:"id of a customer: customer has the mail that they would get, or why they would get none"`
	}) (*answer[notice.Plan], error) {
		run := s.desk.PreviewDraft
		if !in.Keep {
			run = s.desk.ReviewDraft
		}
		p, err := run(ctx, in.ID, notice.Previewing{Customer: in.Customer})
		return ok(tidyPlan(p), err)
	}, 404, 409, 422)
	register(s, api, noticeOperation("get-planning", http.MethodGet, "/v1/notices/{id}/planning", "How far a dry run or a release of a draft has come with its planning"),
		func(ctx context.Context, in *refInput) (*answer[planning], error) {
			customers, running, err := s.desk.Planning(ctx, in.ID)
			return ok(planning{Running: running, Customers: customers}, err)
		}, 404)
	release := noticeOperation("release-notice", http.MethodPost, "/v1/notices/{id}/release", "Freeze body and audience, and let it go out")
	release.Description = "created says whether this call released it; a repeated call changes nothing. With plan, what the dry run showed goes, " +
		"and where that does not stand any more, nothing: the problem's code is plan_changed, and changed says what differs. Without it the audience is planned now. " +
		"Where another person has to approve it, the notice stays a draft with awaiting_approval."
	register(s, api, release, func(ctx context.Context, in *struct {
		ID   string `path:"id" doc:"the notice's key or number"`
		Body *releasingBody
	}) (*answer[Receipt], error) {
		var r notice.Releasing
		if in.Body != nil {
			r = notice.Releasing(*in.Body)
		}
		st, released, err := s.desk.Release(ctx, in.ID, r, requestOf(ctx).who)
		return ok(Receipt{Status: tidyStatus(st), Created: released}, err)
	}, 400, 404, 409, 413, 415, 422)
	s.describeApproval(api)
}

func tidyPlan(p notice.Plan) notice.Plan {
	p.ByLanguage, p.Suppressed, p.Fallback = filled(p.ByLanguage), filled(p.Suppressed), filled(p.Fallback)
	p.ByZone, p.ByDomain = filled(p.ByZone), orEmpty(p.ByDomain)
	p.Refusals = orEmpty(p.Refusals)
	p.Holes, p.Hints, p.Excluded = orEmpty(p.Holes), orEmpty(p.Hints), filled(p.Excluded)
	p.Branches, p.Placeholders = orEmpty(p.Branches), orEmpty(p.Placeholders)
	if p.Previous != nil {
		p.Previous.RowsDroppedAt = inUTC(p.Previous.RowsDroppedAt)
	}
	return p
}
