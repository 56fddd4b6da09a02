package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// mailType is the media type of a message (RFC 5322).
const mailType = "message/rfc822"

type messageInput struct {
	ID     string `path:"id" doc:"the notice's key or number"`
	Seq    int    `path:"seq" minimum:"0" maximum:"2147483647" doc:"of the delivery"`
	Accept string `header:"Accept" hidden:"true"`
}

func (s *Server) describeMessage(api huma.API) {
	op := noticeOperation("get-message", http.MethodGet, "/v1/notices/{id}/deliveries/{seq}/message", "The mail of a delivery, made again from what was frozen")
	op.Description = "`proof` says by the digest that was kept whether it is the mail that was sent: same, differs, unproven, not_sent, no_mail or erased; " +
		"`why` says it in words. The digest does not cover a DKIM-Signature, which is made again where this server has keys. " +
		"`Accept: " + mailType + "` gets the source alone."
	op.Responses = map[string]*huma.Response{"200": jsonResponse[notice.Message](api, "The mail, and how sure it is")}
	op.Responses["200"].Content[mailType] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: "the source"}}
	register(s, api, op, s.message, 404, 409, 422)
}

func (s *Server) message(ctx context.Context, in *messageInput) (*huma.StreamResponse, error) {
	m, err := s.desk.Message(ctx, in.ID, in.Seq)
	if err != nil {
		return nil, err
	}
	m.SentAt = inUTC(m.SentAt)
	if !strings.HasPrefix(in.Accept, mailType) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) { writeJSON(hctx, m) }}, nil
	}
	if m.Source == "" {
		return nil, notice.Conflict("%s", m.Why)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", mailType)
		hctx.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.%d.eml"`, m.Key, m.Seq))
		_, _ = hctx.BodyWriter().Write([]byte(m.Source)) // fails only if the client has gone
	}}, nil
}

// Message returns the mail of a delivery, made again, and whether it is the one that was sent.
func (cl *Client) Message(ctx context.Context, ref string, seq int) (m notice.Message, err error) {
	err = cl.do(ctx, call{method: http.MethodGet, path: noticePath(ref, fmt.Sprintf("/deliveries/%d/message", seq)), again: untilReached}, &m)
	return m, err
}
