package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/internal/hook"
	"tocsin/internal/notice"
	"tocsin/internal/optout"
)

// describePublic documents the routes of NewPublic, which this server does not serve.
func (s *Server) describePublic(api huma.API) {
	path := func(name, about string, values ...any) *huma.Param {
		return &huma.Param{Name: name, In: "path", Required: true, Description: about, Schema: &huma.Schema{Type: huma.TypeString, Enum: values}}
	}
	text := &huma.Schema{Type: huma.TypeString}
	page := func(status string) *huma.Response {
		return &huma.Response{Description: status, Content: map[string]*huma.MediaType{"text/html": {Schema: text}}}
	}
	add := func(op huma.Operation, answers map[string]*huma.Response, refusals ...int) {
		op.Tags, op.Security, op.Responses = []string{"public"}, []map[string][]string{}, answers
		op.Servers = []*huma.Server{{URL: "/", Description: "TOCSIN_PUBLIC_LISTEN alone"}}
		document(api, &op, append(refusals, http.StatusInternalServerError))
		if op.Responses["200"] != nil {
			op.Responses["500"].Content["text/html"] = &huma.MediaType{Schema: text}
		}
		api.OpenAPI().AddOperation(&op)
	}
	add(huma.Operation{OperationID: "take-webhook", Method: http.MethodPost, Path: "/hooks/{provider}", Summary: "Take the events of a mail provider",
		Description: "No token: the signature of the provider admits, for Postmark the password of basic authentication. The provider tries again after any answer but 204.",
		Parameters:  []*huma.Param{path("provider", "whose events", anys(hook.Providers)...)},
		RequestBody: &huma.RequestBody{Required: true, Description: "The events as the provider has them, at most 2 MiB.",
			Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{}}, "text/plain": {Schema: text}}},
	}, map[string]*huma.Response{"204": {Description: "All is recorded"}}, 400, 403, 413, 503)

	token := path("token", "of one reader, from the mail's List-Unsubscribe or its link: it admits")
	pages := func() map[string]*huma.Response {
		return map[string]*huma.Response{"200": page("The page, in the reader's language"), "404": page("The token leads nowhere"), "503": page("Not now: Retry-After says when")}
	}
	add(huma.Operation{OperationID: "show-choices", Method: http.MethodGet, Path: "/u/{token}", Summary: "Show a reader which mails they have stopped",
		Description: "Changes nothing.", Parameters: []*huma.Param{token}}, pages())
	form := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
		"List-Unsubscribe": {Type: huma.TypeString, Enum: []any{"One-Click"}, Description: "the one click of RFC 8058: stops the topic of the mail"},
		"topic":            {Type: huma.TypeString, Enum: anys(notice.Topics)},
		"do":               {Type: huma.TypeString, Enum: []any{optout.Stop, optout.Resume}},
	}}
	add(huma.Operation{OperationID: "choose", Method: http.MethodPost, Path: "/u/{token}", Summary: "Stop or resume the mails of a topic",
		Description: "Either the one click of a mail program, or topic and do, as the form of the page has them.", Parameters: []*huma.Param{token},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/x-www-form-urlencoded": {Schema: form}, "multipart/form-data": {Schema: form}}},
	}, pages(), 400, 413, 422)
}
