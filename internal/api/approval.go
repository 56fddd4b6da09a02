package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// approvingBody is notice.Approving, of which clients may leave out the optional fields.
type approvingBody struct {
	Plan     string   `json:"plan" doc:"digest of the plan that was shown: that one goes, or nothing does" maxLength:"64" pattern:"^[0-9a-f]{64}$"`
	Allow    []string `json:"allow,omitempty" doc:"checks that are overruled, beside those that were when the release was asked for" maxItems:"10"`
	Override string   `json:"override,omitempty" doc:"in an emergency: why no other person can approve it; it is an act of its own in the log" maxLength:"500"`
}

// describeApproval adds the release by another person than the authors.
func (s *Server) describeApproval(api huma.API) {
	approve := noticeOperation("approve-notice", http.MethodPost, "/v1/notices/{id}/approve", "Release a draft in the name of another person than its authors")
	approve.Description = "created says whether this call released it; a repeated call changes nothing. It is refused (409) to those who wrote on the draft, " +
		"and to TOCSIN_TOKEN, unless override has a reason; and with the code plan_changed where the plan does not stand any more."
	register(s, api, approve, func(ctx context.Context, in *struct {
		ID   string `path:"id" doc:"the notice's key or number"`
		Body approvingBody
	}) (*answer[Receipt], error) {
		st, released, err := s.desk.Approve(ctx, in.ID, notice.Approving(in.Body), requestOf(ctx).who)
		return ok(Receipt{Status: tidyStatus(st), Created: released}, err)
	}, 400, 404, 409, 413, 415, 422)
}
