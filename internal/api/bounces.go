package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/notice"
)

// formatMail is the type of a whole mail (RFC 2046 §5.2.1).
const formatMail = "message/rfc822"

// maxReturned is how much of a mail that came back is looked at, in bytes.
const maxReturned = 2 << 20

func (s *Server) describeBounces(api huma.API) {
	op := huma.Operation{OperationID: "take-bounce", Method: http.MethodPost, Path: "/v1/bounces", Tags: []string{"bounces"},
		Summary: "Take in a mail that came back"}
	op.Description = "A bounce, a notice of delay, a confirmation, a complaint or an automatic reply, with its header as it came. Once it is answered " +
		"it is recorded. A mail that names no attempt of ours changes nothing. The same mail may be handed in again."
	op.RequestBody = &huma.RequestBody{Required: true, Description: "The whole mail; its first 2 MiB are looked at.",
		Content: map[string]*huma.MediaType{formatMail: {Schema: &huma.Schema{Type: huma.TypeString}}}}
	register(s, api, op, func(ctx context.Context, in *returnedMail) (*answer[notice.BounceReceipt], error) {
		if mediaType(in.format) != formatMail {
			return nil, unsupported(formatMail)
		}
		raw, err := io.ReadAll(io.LimitReader(in.mail, maxReturned))
		if err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, in.mail, drainLimit); err != nil && err != io.EOF {
			return nil, err
		}
		return ok(s.takeReturned(ctx, raw))
	}, 400, 408, 415)
}

// takeReturned has a mail recorded. One about an attempt that is under way is to come again: 503 has all senders try that, where some
// take 409 for the end.
func (s *Server) takeReturned(ctx context.Context, raw []byte) (notice.BounceReceipt, error) {
	r, err := s.desk.TakeReturned(ctx, raw)
	if notice.CodeOf(err) == notice.CodeTooEarly {
		err = plain(http.StatusServiceUnavailable, err.Error())
	}
	return r, err
}

// returnedMail takes hold of the body before anything reads it whole.
type returnedMail struct {
	format string
	mail   io.Reader
}

// Resolve makes returnedMail a huma.Resolver.
func (in *returnedMail) Resolve(ctx huma.Context) []error {
	in.format, in.mail = ctx.Header("Content-Type"), ctx.BodyReader()
	requestOf(ctx.Context()).body.rolling = true
	return nil
}

// TakeBounce hands in a mail that came back.
func (cl *Client) TakeBounce(ctx context.Context, raw []byte) (r notice.BounceReceipt, err error) {
	return r, cl.do(ctx, call{method: http.MethodPost, path: "/v1/bounces", stream: bytes.NewReader(raw), contentType: formatMail}, &r)
}
