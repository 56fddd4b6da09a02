package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// describeAdding adds the sending of a released notice to another address.
func (s *Server) describeAdding(api huma.API) {
	op := noticeOperation("add-address", http.MethodPost, "/v1/notices/{id}/add-address", "Send a released notice to another address of a customer who stands on it")
	op.Description = "The mail is that of the customer's own row, for them alone. The row stands for nobody in customers; recipients has one more. " +
		"created says whether this call made it; a repeated call changes nothing. A mailbox that has a row gets no second one, in whatever " +
		"state the first is: that is a conflict, and says how the first one stands. So are an address on the list of suppressions, one to " +
		"which a later notice of the incident goes, and a notice that is a draft, cancelled or expired."
	register(s, api, op, func(ctx context.Context, in *struct {
		ID   string `path:"id" doc:"the notice's key or number"`
		Body notice.Adding
	}) (*answer[notice.Added], error) {
		return ok(s.desk.AddAddress(ctx, in.ID, in.Body, requestOf(ctx).who))
	}, 400, 404, 409, 413, 415, 422)
}
